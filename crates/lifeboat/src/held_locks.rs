//! The locks of restic repositories that this process holds, so that whoever ends it can give them back: one that
//! is left behind keeps others out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_restic::{HeldLock, LockKind, LockOptions, ResticRepository};

use crate::Result;

/// The locks that are held, to be shared with whoever ends the program.
#[derive(Debug, Clone, Default)]
pub struct HeldLocks(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    locks: Vec<(u64, HeldLock)>,
    tickets: u64,
}

/// A lock that is given back when this is dropped, or when the program is asked to end.
#[derive(Debug)]
pub(crate) struct LockTicket {
    held: HeldLocks,
    ticket: u64,
    location: String,
}

impl HeldLocks {
    /// Takes a lock.
    pub(crate) fn take(&self, repository: &ResticRepository, kind: LockKind) -> Result<LockTicket> {
        let lock = repository.lock(kind, &LockOptions::default())?;
        let mut held = self.lock();
        held.tickets += 1;
        let ticket = held.tickets;
        held.locks.push((ticket, lock));
        Ok(LockTicket { held: self.clone(), ticket, location: repository.storage().location() })
    }

    /// Gives all of them back. What they were taken for must not go on.
    pub fn release(&self) {
        let locks = std::mem::take(&mut self.lock().locks);
        drop(locks);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LockTicket {
    /// Whether it still keeps others out; see [`HeldLock::still_ours`].
    pub(crate) fn still_ours(&self) -> lifeboat_restic::Result<()> {
        let held = self.held.lock();
        match held.locks.iter().find(|(ticket, _)| *ticket == self.ticket) {
            Some((_, lock)) => lock.still_ours(),
            None => Err(lifeboat_restic::Error::LockLost {
                location: self.location.clone(),
                problem: "the program was asked to end".to_owned(),
            }),
        }
    }
}

impl Drop for LockTicket {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        let at = held.locks.iter().position(|(ticket, _)| *ticket == self.ticket);
        let lock = at.map(|at| held.locks.swap_remove(at));
        drop(held);
        // Waits for the thread that renews it: not while others wait for theirs.
        drop(lock);
    }
}
