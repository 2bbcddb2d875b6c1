//! A repository from which this host removes nothing.
//!
//! Against an attacker who has taken this host over only the store helps, that gives it credentials which cannot
//! remove: this keeps Lifeboat from trying, so that it works with such credentials.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_storage::{Child, Content, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// What restic's locks lie in. They are given back where the store lets them; one that stays keeps prunes away until
/// the owner runs `unlock`, which takes it for stale after half an hour.
const LOCKS: &str = "locks";

/// A storage that refuses to remove.
#[derive(Debug)]
pub(crate) struct AppendOnly(Arc<dyn Storage>);

impl AppendOnly {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }
}

impl Storage for AppendOnly {
    fn location(&self) -> String {
        self.0.location()
    }

    fn create_new(&self) -> CreateNew {
        self.0.create_new()
    }

    fn check_before_creating(&self) -> bool {
        self.0.check_before_creating()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        self.0.begin()
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
        let is_lock = key.parent().is_some_and(|parent| parent.as_str() == LOCKS);
        match is_lock.then(|| self.0.remove(key)) {
            Some(Err(error)) if is_refused(&error) => Ok(false),
            Some(removed) => removed,
            None => Err(Error::Storage {
                operation: "remove",
                object: key.to_string(),
                location: self.location(),
                source: io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the repository is append-only for this host",
                ),
            }),
        }
    }

    fn put_content(
        &self,
        key: &Key,
        content: &dyn Content,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        self.0.put_content(key, content, modified)
    }

    fn sweep(&self, _: Duration) -> Result<u64> {
        Ok(0)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.0.free_bytes()
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. }
        if source.kind() == io::ErrorKind::PermissionDenied)
}
