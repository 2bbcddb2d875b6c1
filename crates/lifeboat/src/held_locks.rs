//! The locks of restic repositories that this process holds, so that whoever ends it can give them back: one that
//! is left behind keeps others out.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lifeboat_restic::{HeldLock, LockKind, LockOptions, ResticRepository};

use crate::{Error, Result};

/// The locks that are held, to be shared with whoever ends the program.
#[derive(Debug, Clone, Default)]
pub struct HeldLocks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Held>,
    /// One that was being taken was taken, or was not.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    locks: Vec<(u64, HeldLock)>,
    tickets: u64,
    /// How many are being taken. Their objects may be there already.
    being_taken: usize,
    /// The program was asked to end.
    ends: bool,
}

/// A lock that is given back when this is dropped, or when the program is asked to end.
#[derive(Debug)]
pub(crate) struct LockTicket {
    held: HeldLocks,
    ticket: u64,
    location: String,
}

impl HeldLocks {
    /// Takes a lock. [`Error::Interrupted`] if the program was asked to end.
    pub(crate) fn take(&self, repository: &ResticRepository, kind: LockKind) -> Result<LockTicket> {
        let location = repository.storage().location();
        let _being_taken = BeingTaken::begin(self);
        let lock = repository.lock(kind, &LockOptions::default())?;
        let mut held = self.lock();
        if held.ends {
            drop(held);
            drop(lock);
            return Err(Error::Interrupted);
        }
        held.tickets += 1;
        let ticket = held.tickets;
        held.locks.push((ticket, lock));
        Ok(LockTicket { held: self.clone(), ticket, location })
    }

    /// Gives all of them back, also those that are just being taken, for which it waits. What they were taken for
    /// must not go on, and no more are taken.
    pub fn release(&self) {
        let mut held = self.lock();
        held.ends = true;
        let locks = std::mem::take(&mut held.locks);
        drop(held);
        drop(locks);
        let settled = self.0.settled.wait_while(self.lock(), |held| held.being_taken > 0);
        drop(settled.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that is being taken, however that ends.
struct BeingTaken<'a>(&'a HeldLocks);

impl<'a> BeingTaken<'a> {
    fn begin(locks: &'a HeldLocks) -> Self {
        locks.lock().being_taken += 1;
        Self(locks)
    }
}

impl Drop for BeingTaken<'_> {
    fn drop(&mut self) {
        self.0.lock().being_taken -= 1;
        self.0.0.settled.notify_all();
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
