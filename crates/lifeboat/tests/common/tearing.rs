//! A storage that shows half of an upload under its final name.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use lifeboat::{CheckOptions, Context, OpenRepository, Silent, check};
use lifeboat_storage::{Child, Entry, Error, Key, Result, Storage, Upload};

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

#[derive(Debug)]
struct Tearing(Arc<dyn Storage>);

struct TearingUpload {
    storage: Arc<dyn Storage>,
    bytes: Vec<u8>,
    modified: Option<SystemTime>,
}

impl Storage for Tearing {
    fn location(&self) -> String {
        self.0.location()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        let storage = self.0.clone();
        Ok(Box::new(TearingUpload { storage, bytes: Vec::new(), modified: None }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.0.read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.0.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.0.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.0.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.0.remove(key)
    }
}

impl Write for TearingUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for TearingUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.modified = Some(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        let mut upload = self.storage.begin()?;
        self.modified.into_iter().for_each(|modified| upload.set_modified(modified));
        let torn = NEXT.lock().unwrap().take_if(|_| key.as_str().contains("/ltx/"));
        let length = if torn.is_some() { self.bytes.len() / 2 } else { self.bytes.len() };
        upload.write_all(&self.bytes[..length]).unwrap();
        upload.publish(key)?;
        let Some(says) = torn else { return Ok(()) };
        TORN.lock().unwrap().push(key.clone());
        match says {
            Says::Done => Ok(()),
            Says::Failed => Err(Error::Storage {
                operation: "publish",
                object: key.to_string(),
                location: self.storage.location(),
                source: io::Error::other("injected fault"),
            }),
        }
    }
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
    machine.context().with_storage_between(|storage| Arc::new(Tearing(storage)))
}

/// What a check finds fault with.
pub(crate) fn findings(opened: &OpenRepository<'_>, read_data: bool) -> BTreeSet<String> {
    let report = check(opened, CheckOptions { read_data }, &Silent).unwrap();
    report.findings.into_iter().map(|finding| finding.key).collect()
}
