//! Sealing into a storage that fails at every operation in turn.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::sync::Arc;

use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::x25519::Identity;
use lifeboat_storage::{
    Error, HashingWriter, Key, MemoryStorage, Result, SealOptions, SealWriter, Storage, unseal,
};

static PLAIN: [u8; 300_000] = [5; 300_000];

fn key() -> Key {
    "databases/object".parse().unwrap()
}

fn store(storage: &dyn Storage, identity: &Identity) -> Result<()> {
    let options = SealOptions { frame_bytes: 1000, ..SealOptions::default() };
    let out = HashingWriter::new(storage.begin()?);
    let mut writer = SealWriter::new(out, &[identity.to_public()], &options)?;
    writer.write_all(&PLAIN).map_err(|error| Error::from_stream("write", error))?;
    let (out, stats) = writer.finish()?;
    let (upload, digest) = out.finish();
    assert_eq!(digest.size, stats.sealed_bytes);
    upload.publish(&key())
}

fn load(storage: &dyn Storage, identity: &Identity) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    unseal(storage.read(&key(), None)?, std::slice::from_ref(identity))?
        .read_to_end(&mut plain)
        .map_err(|error| Error::from_stream("read", error))?;
    Ok(plain)
}

fn assert_injected(error: &Error, context: &str) {
    let Error::Storage { source, .. } = error else { panic!("{context}: {error:?}") };
    assert_eq!(source.to_string(), "injected fault", "{context}");
}

#[test]
fn the_object_is_whole_or_absent_and_the_cause_is_told() {
    let identity = Identity::generate();
    let recording = Faulty::new(MemoryStorage::new(), None);
    store(&recording, &identity).unwrap();
    let operations = recording.operations();
    assert!(operations.contains(&Operation::Publish(key())));
    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for (at, operation) in operations.iter().enumerate() {
            let context = format!("{kind:?} at {at}, {operation:?}");
            let memory = MemoryStorage::new();
            let faulty = Faulty::new(memory.clone(), Some(Fault { at, kind }));
            assert_injected(&store(&faulty, &identity).unwrap_err(), &context);
            let published = kind == FaultKind::Tear && matches!(operation, Operation::Publish(_));
            assert_eq!(memory.list(None).unwrap().len(), usize::from(published), "{context}");
            if published {
                // The answer was lost: a second try is refused, and what is there is whole.
                let again = store(&memory, &identity);
                assert!(matches!(again, Err(Error::Exists { .. })), "{context}: {again:?}");
                assert!(load(&memory, &identity).unwrap() == PLAIN, "{context}");
            }
        }
    }
}

#[test]
fn a_reader_that_breaks_off_is_told_from_damage() {
    let identity = Identity::generate();
    let memory = MemoryStorage::new();
    store(&memory, &identity).unwrap();
    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        let faulty = Faulty::new(memory.clone(), Some(Fault { at: 0, kind }));
        assert_injected(&load(&faulty, &identity).unwrap_err(), "read");
        assert_eq!(load(&faulty, &identity).is_ok(), kind != FaultKind::FromThenOn);
    }
    memory.damage(&key(), |bytes| bytes[1000] ^= 1);
    assert!(matches!(load(&memory, &identity), Err(Error::Corrupt { .. })));
}

#[test]
fn faults_hit_the_operation_they_are_set_for() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let faulty = Faulty::new(storage, Some(Fault { at: 4, kind: FaultKind::Tear }));
    faulty.put(&key(), b"1234").unwrap();
    assert!(faulty.stat(&key()).unwrap().is_some());
    assert_injected(&faulty.remove(&key()).unwrap_err(), "remove");
    assert!(!faulty.remove(&key()).unwrap());
    let publish = Operation::Publish(key());
    let expected = [Operation::Begin, Operation::Write(4), publish, Operation::Stat(key())];
    assert_eq!(faulty.operations()[..4], expected);
    assert_eq!(faulty.operations()[4..], [Operation::Remove(key()), Operation::Remove(key())]);
    faulty.reset(Some(Fault { at: 1, kind: FaultKind::FromThenOn }));
    assert!(faulty.list(None).is_ok());
    assert!(faulty.list_names(None).is_err());
    assert!(faulty.begin().is_err());
    assert_eq!(faulty.operations().len(), 3);
}
