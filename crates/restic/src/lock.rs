//! Locks, by which restic and we keep out of each other's way.
//!
//! A lock is an object that its holder renews every five minutes and removes at the end. Any number may hold a
//! shared one: whoever adds to the repository or reads it. Whoever removes something holds an exclusive one,
//! beside which there is no other.
//!
//! Two that come at the same moment: each looks for locks of others, writes its own, waits until it can be
//! seen, and looks again. So at least one sees the other, and gives way.
//!
//! A lock that its holder has left behind keeps others out as any other does; only who is told to
//! ([`ResticRepository::remove_locks`]) removes it. Nobody is ever locked out by accident of a clock.

mod document;
mod held;
mod process;
mod stale;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use lifeboat_storage::Error as StorageError;

pub use self::document::Lock;
pub use self::held::HeldLock;
pub use self::process::{hostname, is_alive, username};
pub use self::stale::is_stale;
use crate::{Error, Listed, LockId, ObjectId as _, ResticRepository, Result, list, unpacked};

/// What a lock may be long: it is some 200 bytes.
const LIMIT_BYTES: usize = 64 * 1024;
/// How often locks are looked at before one that cannot be read is an error.
const TRIES: u32 = 4;

/// Whether others may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// To read, or to add.
    Shared,
    /// To remove.
    Exclusive,
}

/// The time of day, which goes on while a machine sleeps.
pub trait Clock: fmt::Debug + Send + Sync {
    /// This moment.
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// How to hold a lock. The defaults are what restic does; they are only for tests to change.
#[derive(Clone, Debug)]
pub struct LockOptions {
    /// After how long a lock is renewed.
    pub renew_every: Duration,
    /// For how long it may be relied on after it was renewed. Less than the half hour after which others take
    /// it for left behind, because clocks differ.
    pub valid_for: Duration,
    /// How long it takes until others see what was written.
    pub settle: Duration,
    /// How long to wait before a lock that cannot be read is looked at once more; twice as long each time.
    pub patience: Duration,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            renew_every: Duration::from_secs(5 * 60),
            valid_for: Duration::from_secs(22 * 60 + 30),
            settle: Duration::from_millis(200),
            patience: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
        }
    }
}

/// The locks of a repository.
#[derive(Debug, Default)]
pub struct Locks {
    /// Those that could be read, in the order of their ids.
    pub readable: Vec<(LockId, Lock)>,
    /// Those that could not, and why.
    pub unreadable: Vec<(LockId, Error)>,
}

/// Which locks are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// Those that nobody holds any more, see [`is_stale`].
    Stale,
    /// All. Whoever holds one must be known not to work.
    All,
}

/// What became of the locks of a repository.
#[derive(Debug, Default)]
pub struct Unlocked {
    /// What was removed, with what it said if it could be read.
    pub removed: Vec<(LockId, Option<Lock>)>,
    /// What stayed: somebody holds it.
    pub kept: Vec<(LockId, Lock)>,
    /// What stayed because it cannot be read, or because the store keeps it for now, and why.
    pub unreadable: Vec<(LockId, Error)>,
}

impl Unlocked {
    /// A retention of the store may hold some, which are no reason to leave the others.
    fn remove(
        &mut self,
        repository: &ResticRepository,
        id: LockId,
        lock: Option<Lock>,
    ) -> Result<()> {
        match repository.storage().remove(&id.key()?) {
            Ok(_) => self.removed.push((id, lock)),
            Err(error) if error.is_protected() => self.unreadable.push((id, error.into())),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl ResticRepository {
    /// Takes a lock, which is held until it is released or dropped.
    ///
    /// [`Error::Locked`] if somebody has one that forbids it, be it left behind. An object that may be a lock
    /// and cannot be read is looked at four times within 35 seconds, and then is an error.
    pub fn lock(&self, kind: LockKind, options: &LockOptions) -> Result<HeldLock> {
        let lock = process::ours(kind == LockKind::Exclusive, options.clock.now());
        let mut passed = BTreeSet::new();
        self.look_for_others(&lock, &mut passed, options)?;
        let id = self.write_lock(&lock)?;
        passed.insert(id);
        sleep(options.settle);
        if let Err(error) = self.look_for_others(&lock, &mut passed, options) {
            self.storage().remove(&id.key()?)?;
            return Err(error);
        }
        HeldLock::keep(self.clone(), lock, id, options.clone())
    }

    /// The locks that there are. Empty objects are none: some storages show what was never written to its end.
    pub fn locks(&self) -> Result<Locks> {
        self.locks_beside(&BTreeSet::new())
    }

    /// Removes locks; of those that nobody holds any more this is the only way.
    pub fn remove_locks(&self, which: Unlock, now: Timestamp) -> Result<Unlocked> {
        match which {
            Unlock::Stale => self.remove_stale(now),
            Unlock::All => self.remove_all(),
        }
    }

    fn remove_stale(&self, now: Timestamp) -> Result<Unlocked> {
        let (hostname, locks) = (hostname(), self.locks()?);
        let mut unlocked = Unlocked { unreadable: locks.unreadable, ..Unlocked::default() };
        for (id, lock) in locks.readable {
            if is_stale(&lock, now, &hostname, is_alive) {
                unlocked.remove(self, id, Some(lock))?;
            } else {
                unlocked.kept.push((id, lock));
            }
        }
        Ok(unlocked)
    }

    fn remove_all(&self) -> Result<Unlocked> {
        let mut unlocked = Unlocked::default();
        for Listed { id, .. } in list::<LockId>(&**self.storage())? {
            let lock = self.read_lock(&id).ok();
            unlocked.remove(self, id, lock)?;
        }
        Ok(unlocked)
    }

    /// [`Error::Locked`] if there is a lock beside `passed` that excludes `lock`. Those that do not are added
    /// to `passed`: they will not change.
    fn look_for_others(
        &self,
        lock: &Lock,
        passed: &mut BTreeSet<LockId>,
        options: &LockOptions,
    ) -> Result<()> {
        for attempt in 0.. {
            let locks = self.locks_beside(passed)?;
            if let Some((_, other)) = locks.readable.iter().find(|(_, other)| lock.excludes(other))
            {
                return Err(self.locked_by(other, options.clock.now()));
            }
            passed.extend(locks.readable.iter().map(|(id, _)| *id));
            match locks.unreadable.into_iter().next() {
                None => break,
                Some((_, error)) if attempt + 1 == TRIES => return Err(error),
                Some(_) => sleep(options.patience * 2_u32.pow(attempt)),
            }
        }
        Ok(())
    }

    fn locked_by(&self, other: &Lock, now: Timestamp) -> Error {
        let age_seconds = other.age(now).as_secs().unsigned_abs();
        let location = self.storage().location();
        Error::Locked { location, lock: Box::new(other.clone()), age_seconds }
    }

    fn locks_beside(&self, passed: &BTreeSet<LockId>) -> Result<Locks> {
        let mut locks = Locks::default();
        for Listed { id, size } in list::<LockId>(&**self.storage())? {
            if size == 0 || passed.contains(&id) {
                continue;
            }
            match self.read_lock(&id) {
                Ok(lock) => locks.readable.push((id, lock)),
                // Released meanwhile.
                Err(Error::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => locks.unreadable.push((id, error)),
            }
        }
        Ok(locks)
    }

    fn read_lock(&self, id: &LockId) -> Result<Lock> {
        let json = unpacked::read(&**self.storage(), self.cipher(), id, LIMIT_BYTES)?;
        serde_json::from_slice(&json)
            .map_err(|error| Error::corrupt(format!("lock {id}"), error.to_string()))
    }

    fn write_lock(&self, lock: &Lock) -> Result<LockId> {
        let json = serde_json::to_vec(lock)
            .map_err(|error| Error::corrupt("a lock to be written", error.to_string()))?;
        let written = unpacked::write(&**self.storage(), self.cipher(), &json);
        if written.is_err() {
            self.remove_like(lock);
        }
        written
    }

    /// Tidies up after a write of which it is open whether it has left an object, which would keep others out.
    /// What else is wrong is told by the write's own error.
    fn remove_like(&self, lock: &Lock) {
        let Ok(locks) = self.locks() else { return };
        let ours = locks.readable.iter().filter(|(_, found)| found == lock);
        for key in ours.filter_map(|(id, _)| id.key().ok()) {
            let _told_already = self.storage().remove(&key);
        }
    }
}
