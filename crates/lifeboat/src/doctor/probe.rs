//! Whether a repository can be written to: the only thing an examination writes.

use std::io::Read;

use lifeboat_storage::{Key, Storage};

use super::finding::Diagnosis;

const EXAMINED: &str = "writable";
/// The name is one that readers ignore, at the top so that no directory is left.
const PREFIX: &str = "probe-";

/// Writes an object, reads it back and removes it.
///
/// An upload that is begun and dropped would show less: it is the publishing under a name, and the
/// reading of what was just published, that some storages refuse.
pub(super) fn examine(storage: &dyn Storage) -> Vec<Diagnosis> {
    let mut findings = Vec::new();
    findings.extend(leftovers(storage));
    findings.push(match write_and_read(storage) {
        Ok(key) => match storage.remove(&key) {
            Ok(_) => Diagnosis::ok(EXAMINED, "an object was written, read back and removed"),
            Err(error) => Diagnosis::failed(EXAMINED, error).only_warning().remedy(format!(
                "nothing here needs to remove: the object {key} may stay, or be removed by hand"
            )),
        },
        Err(diagnosis) => diagnosis,
    });
    findings
}

fn write_and_read(storage: &dyn Storage) -> Result<Key, Diagnosis> {
    let random = getrandom::u64().map_err(|error| {
        Diagnosis::problem(EXAMINED, error.to_string(), "the system gives no random numbers")
    })?;
    let content = random.to_be_bytes();
    let name = format!("{PREFIX}{random:016x}");
    let key: Key = name.parse().map_err(|error| Diagnosis::failed(EXAMINED, as_error(error)))?;
    match storage.put(&key, &content).map_err(as_error).and_then(|()| read(storage, &key)) {
        Ok(read) if read == content => Ok(key),
        outcome => {
            // It may be there although the answer was an error.
            let _ = storage.remove(&key);
            Err(match outcome {
                Ok(read) => Diagnosis::problem(
                    EXAMINED,
                    format!("of 8 bytes written, other {} were read back", read.len()),
                    "do not trust this storage: choose another place",
                ),
                Err(error) => Diagnosis::failed(EXAMINED, error),
            })
        }
    }
}

fn read(storage: &dyn Storage, key: &Key) -> crate::Result<Vec<u8>> {
    let mut read = Vec::new();
    storage
        .read(key, None)?
        .take(1024)
        .read_to_end(&mut read)
        .map_err(|error| lifeboat_storage::Error::from_stream("read", error))?;
    Ok(read)
}

fn as_error(error: lifeboat_storage::Error) -> crate::Error {
    error.into()
}

/// Objects of an examination that was killed.
fn leftovers(storage: &dyn Storage) -> Option<Diagnosis> {
    let left: Vec<String> = storage
        .list_names(None)
        .ok()?
        .iter()
        .map(|child| child.key().to_string())
        .filter(|key| key.starts_with(PREFIX))
        .collect();
    let first = left.first()?;
    let found = format!("{} left by an examination that was killed: {first}", left.len());
    Some(Diagnosis::warning(EXAMINED, found, "remove it by hand; nothing reads it"))
}

#[cfg(test)]
mod tests {
    use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
    use lifeboat_storage::{MemoryStorage, Storage};

    use super::super::finding::Severity;
    use super::examine;

    #[test]
    fn a_storage_that_works_is_left_as_it_was() {
        let storage = Faulty::new(MemoryStorage::new(), None);
        let found = examine(&storage);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Ok);
        assert_eq!(storage.list(None).unwrap(), []);
        assert!(storage.operations().iter().any(|done| matches!(done, Operation::Publish(_))));
    }

    #[test]
    fn whatever_fails_is_told() {
        let whole = Faulty::new(MemoryStorage::new(), None);
        examine(&whole);
        let operations = whole.operations();
        for (at, operation) in operations.iter().enumerate() {
            for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
                let inner = MemoryStorage::new();
                let storage = Faulty::new(inner.clone(), Some(Fault { at, kind }));
                let found = examine(&storage);
                let expected = match operation {
                    // Only looks for what another examination left.
                    Operation::List(_) if kind != FaultKind::FromThenOn => Severity::Ok,
                    Operation::Remove(_) => Severity::Warning,
                    _ => Severity::Problem,
                };
                assert_eq!(found[0].severity, expected, "{operation:?} {kind:?}: {found:?}");
                let removable = kind != FaultKind::FromThenOn
                    && !matches!((operation, kind), (Operation::Remove(_), FaultKind::Once));
                if removable {
                    assert_eq!(inner.list(None).unwrap(), [], "{operation:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_left_is_named() {
        let storage = MemoryStorage::new();
        storage.put(&"probe-0123456789abcdef".parse().unwrap(), b"left").unwrap();
        let found = examine(&storage);
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(found[0].found.contains("probe-0123456789abcdef"), "{found:?}");
    }
}
