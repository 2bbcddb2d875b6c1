//! A storage whose clock a test sets.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use lifeboat_repository::Time;
use lifeboat_storage::{Child, Entry, Key, MemoryStorage, Result, Storage, Upload};

/// Objects in memory, written at the time that the test says it is. Clones share both.
#[derive(Clone, Debug)]
pub struct Clocked {
    pub memory: MemoryStorage,
    now_ms: Arc<AtomicI64>,
}

impl Clocked {
    pub fn new(memory: MemoryStorage, now: Time) -> Self {
        Self { memory, now_ms: Arc::new(AtomicI64::new(now.millis())) }
    }

    pub fn now(&self) -> Time {
        Time::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock, in either direction.
    pub fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Storage for Clocked {
    fn location(&self) -> String {
        self.memory.location()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        let mut upload = self.memory.begin()?;
        upload.set_modified(self.now().system());
        Ok(upload)
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.memory.read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.memory.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.memory.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.memory.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.memory.remove(key)
    }
}
