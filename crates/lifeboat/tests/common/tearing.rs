//! A storage that shows half of an upload under its final name.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use lifeboat::{CheckOptions, Context, OpenRepository, Silent, check};
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{Error, Key, Result, Storage, Upload};

use super::Machine;

/// What a storage says of an object that it has cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Done,
    Failed,
}

/// The next LTX object that is published is torn: for one test in a process.
static NEXT: Mutex<Option<Says>> = Mutex::new(None);
/// Those that were.
static TORN: Mutex<Vec<Key>> = Mutex::new(Vec::new());

struct Tearing(Arc<dyn Storage>);

impl Meddle for Tearing {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> Result<()> {
        upload.publish(key)?;
        let torn = NEXT.lock().unwrap().take_if(|_| key.as_str().contains("/ltx/"));
        let Some(says) = torn else { return Ok(()) };
        halve(&self.0, key)?;
        TORN.lock().unwrap().push(key.clone());
        match says {
            Says::Done => Ok(()),
            Says::Failed => Err(Error::Storage {
                operation: "publish",
                object: key.to_string(),
                location: self.0.location(),
                source: io::Error::other("injected fault"),
            }),
        }
    }
}

/// Leaves half of an object.
fn halve(storage: &dyn Storage, key: &Key) -> Result<()> {
    let entry = storage.stat(key)?.unwrap();
    let mut bytes = Vec::new();
    storage.read(key, Some(0..entry.size / 2))?.read_to_end(&mut bytes).unwrap();
    storage.remove(key)?;
    let mut upload = storage.begin()?;
    upload.set_modified(entry.modified);
    upload.write_all(&bytes).unwrap();
    upload.publish(key)
}

/// The next LTX object is torn.
pub(crate) fn tear(says: Says) {
    TORN.lock().unwrap().clear();
    *NEXT.lock().unwrap() = Some(says);
}

/// The only object that was torn since.
pub(crate) fn torn() -> String {
    let torn = TORN.lock().unwrap();
    assert_eq!(torn.len(), 1, "{torn:?}");
    torn[0].to_string()
}

/// A machine's repository, through such a storage.
pub(crate) fn tearing(machine: &Machine) -> Context {
    machine.context().with_storage_between(|storage| Arc::new(Meddling::new(Tearing(storage))))
}

/// What a check finds fault with.
pub(crate) fn findings(opened: &OpenRepository<'_>, read_data: bool) -> BTreeSet<String> {
    let report = check(
        opened,
        CheckOptions { read_data: read_data.then_some(lifeboat::Subset::All) },
        &Silent,
    )
    .unwrap();
    report.findings.into_iter().map(|finding| finding.key).collect()
}
