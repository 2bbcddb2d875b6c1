//! Objects in memory, for tests.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::{Child, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// Objects in memory, with the contract of [`Storage`]. Clones share their objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    objects: Arc<Mutex<BTreeMap<Key, Object>>>,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Arc<Vec<u8>>,
    modified: SystemTime,
}

const LOCATION: &str = "memory";

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes an object in place, which no storage does by itself: to test what damage does.
    /// `false` if there is none.
    #[cfg(any(test, feature = "testing"))]
    pub fn damage(&self, key: &Key, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        match self.objects().get_mut(key) {
            None => false,
            Some(object) => {
                change(Arc::make_mut(&mut object.bytes));
                true
            }
        }
    }

    /// Every change is one call on the map, so a panic elsewhere cannot have left half of one.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(key: &Key, object: &Object) -> Entry {
    Entry { key: key.clone(), size: object.bytes.len() as u64, modified: object.modified }
}

impl Storage for MemoryStorage {
    fn location(&self) -> String {
        LOCATION.to_owned()
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Refused
    }

    /// It refuses by itself.
    fn check_before_creating(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        Ok(Box::new(MemoryUpload { storage: self.clone(), bytes: Vec::new(), modified: None }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let Some(object) = self.objects().get(key).cloned() else {
            return Err(Error::NotFound { key: key.clone(), location: self.location() });
        };
        let range = range.unwrap_or(0..u64::MAX);
        let mut reader = Cursor::new(SharedBytes(object.bytes));
        reader.set_position(range.start);
        Ok(Box::new(reader.take(range.end.saturating_sub(range.start))))
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        Ok(self.objects().get(key).map(|object| entry(key, object)))
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        let objects = self.objects();
        let below = objects.iter().filter(|(key, _)| key.relative_to(directory).is_some());
        Ok(below.map(|(key, object)| entry(key, object)).collect())
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        let mut children = Vec::new();
        for key in self.objects().keys() {
            let Some(rest) = key.relative_to(directory) else { continue };
            children.push(match rest.split_once('/') {
                None => Child::Object(key.clone()),
                Some((name, _)) => Child::Directory(Key::below(directory, name)?),
            });
        }
        children.sort_by(|a, b| a.key().cmp(b.key()));
        children.dedup();
        Ok(children)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        Ok(self.objects().remove(key).is_some())
    }

    fn sweep(&self, _: Duration) -> Result<u64> {
        Ok(0)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct MemoryUpload {
    storage: MemoryStorage,
    bytes: Vec<u8>,
    modified: Option<SystemTime>,
}

impl Write for MemoryUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.modified = Some(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        let mut objects = self.storage.objects();
        if objects.contains_key(key) {
            return Err(Error::Exists { key: key.clone(), location: LOCATION.to_owned() });
        }
        let modified = self.modified.unwrap_or_else(SystemTime::now);
        let object = Object { bytes: Arc::new(self.bytes), modified };
        objects.insert(key.clone(), object);
        Ok(())
    }
}
