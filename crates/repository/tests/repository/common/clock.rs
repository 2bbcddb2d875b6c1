//! A storage whose clock a test sets.

use std::sync::atomic::{AtomicI64, Ordering};

use lifeboat_repository::Time;
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{MemoryStorage, Result, Storage, Upload};

/// Objects in memory, written at the time that the test says it is. Clones share both.
pub(crate) type Clocked = Meddling<Clock>;

pub(crate) struct Clock {
    pub(crate) memory: MemoryStorage,
    now_ms: AtomicI64,
}

pub(crate) fn clocked(memory: MemoryStorage, now: Time) -> Clocked {
    Meddling::new(Clock { memory, now_ms: AtomicI64::new(now.millis()) })
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        Time::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock, in either direction.
    pub(crate) fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Meddle for Clock {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        let mut upload = self.memory.begin()?;
        upload.set_modified(self.now().system());
        Ok(upload)
    }
}
