//! A part of a storage, to read.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_storage::{Child, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// What lies below a directory of a storage, as a storage that can be read.
#[derive(Debug)]
pub(crate) struct Prefixed {
    inner: Arc<dyn Storage>,
    directory: Key,
}

impl Prefixed {
    pub(crate) fn new(inner: Arc<dyn Storage>, directory: Key) -> Self {
        Self { inner, directory }
    }

    fn inside(&self, key: Option<&Key>) -> Result<Key> {
        key.map_or_else(|| Ok(self.directory.clone()), |key| self.directory.join(key.as_str()))
    }

    fn outside(&self, key: &Key) -> Result<Key> {
        let below = key.as_str().strip_prefix(self.directory.as_str());
        below.and_then(|rest| rest.strip_prefix('/')).unwrap_or(key.as_str()).parse()
    }

    fn read_only(&self, operation: &'static str, object: &str) -> Error {
        let (object, location) = (object.to_owned(), self.location());
        Error::Storage {
            operation,
            object,
            location,
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

impl Storage for Prefixed {
    fn location(&self) -> String {
        format!("{}/{}", self.inner.location().trim_end_matches('/'), self.directory)
    }

    fn create_new(&self) -> CreateNew {
        self.inner.create_new()
    }

    fn check_before_creating(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        Err(self.read_only("write", "an object"))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.inner.read(&self.inside(Some(key))?, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        let found = self.inner.stat(&self.inside(Some(key))?)?;
        Ok(found.map(|entry| Entry { key: key.clone(), ..entry }))
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        let entries = self.inner.list(Some(&self.inside(directory)?))?.into_iter();
        entries.map(|entry| Ok(Entry { key: self.outside(&entry.key)?, ..entry })).collect()
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        let children = self.inner.list_names(Some(&self.inside(directory)?))?.into_iter();
        let child = |child| {
            Ok(match child {
                Child::Directory(key) => Child::Directory(self.outside(&key)?),
                Child::Object(key) => Child::Object(self.outside(&key)?),
            })
        };
        children.map(child).collect()
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        Err(self.read_only("remove", key.as_str()))
    }

    /// What is unfinished is for those who write.
    fn sweep(&self, _: Duration) -> Result<u64> {
        Ok(0)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}
