//! A repository over a network whose new objects wait on this machine.
//!
//! Where a backup is to come to several repositories and none of them is on this machine, all of it, up to the
//! manifest, is written to an outbox first. To whoever writes and reads it is as if it had been sent. Then it
//! is sent, in the order in which it was written, and copied from there to the other repositories at the same
//! time: what becomes of one of them touches none of the others, and what they get is not read back over the
//! network.
//!
//! What tells others what is done at this moment does not wait: locks, leases, keys.

mod sending;
#[cfg(test)]
mod tests;
mod upload;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifeboat_storage::{Child, CreateNew, Entry, Error, Key, Result, Storage, Upload};

use self::sending::Waiting;
use self::upload::DeferredUpload;
pub use self::watched::SentBytes;
use crate::Repository;

/// What waits: all that counts for nothing until a manifest names it, and that manifest.
const WAIT: [&str; 5] = ["databases/", "data/", "index/", "snapshots/", "backups/"];
/// Listings that are kept: what leads to a point of a database, and what closes a lineage.
const LISTED: [&str; 2] = ["databases/", "leases/"];
/// This much is left free.
const SPARE: u64 = 16 << 20;

/// The storage of a repository whose new objects wait in an outbox, until [`Deferred::send`].
#[derive(Debug)]
pub struct Deferred {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    outbox: Arc<dyn Storage>,
    target: Arc<dyn Storage>,
    /// How many bytes the outbox may hold.
    room: u64,
    /// How long an object is at most.
    object_bytes: u64,
    waiting: Mutex<Waiting>,
    /// Held by who sends.
    sending: Mutex<()>,
    listings: Mutex<Listings>,
}

/// What the target has listed.
#[derive(Debug, Default)]
struct Listings {
    known: HashMap<Key, Vec<Entry>>,
    /// Whether that is told instead of asking again.
    frozen: bool,
}

impl Repository {
    /// Lets all that is written from now on wait in an outbox, in which nothing else lies and nobody else writes. It
    /// takes half of the free space at most: where that is used up, what is large is sent before the rest.
    ///
    /// `None`, and nothing is changed, if there is too little space, or nothing is sealed.
    pub fn defer(&mut self, outbox: Arc<dyn Storage>) -> crate::Result<Option<Arc<Deferred>>> {
        let room = outbox.free_bytes()?.unwrap_or(u64::MAX) / 2;
        let object_bytes = self.part_bytes().saturating_add(SPARE);
        if !self.form().is_sealed() || room < object_bytes {
            return Ok(None);
        }
        let target = self.storage().clone();
        let deferred = Arc::new(Deferred::new(outbox, target, room, object_bytes));
        self.write_to(deferred.clone());
        Ok(Some(deferred))
    }
}

impl Deferred {
    fn new(
        outbox: Arc<dyn Storage>,
        target: Arc<dyn Storage>,
        room: u64,
        object_bytes: u64,
    ) -> Self {
        let (waiting, sending, listings) = Default::default();
        let shared = Shared { outbox, target, room, object_bytes, waiting, sending, listings };
        Self { shared: Arc::new(shared) }
    }

    /// From now on, what was listed of databases and leases is told again, with what waits, and not asked for: so
    /// that copying what waits needs no answer of a target that may have stopped giving any.
    pub fn freeze_listings(&self) {
        self.shared.listings().frozen = true;
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listings(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the target lists.
    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        let kept = directory.filter(|directory| begins(directory, &LISTED));
        if let Some(directory) = kept {
            let listings = self.listings();
            if let Some(known) = listings.known.get(directory).filter(|_| listings.frozen) {
                return Ok(known.clone());
            }
        }
        let listed = self.target.list(directory)?;
        if let Some(directory) = kept {
            self.listings().known.insert(directory.clone(), listed.clone());
        }
        Ok(listed)
    }
}

/// Whether a key lies in one of these directories.
fn begins(key: &Key, directories: &[&str]) -> bool {
    directories.iter().any(|directory| key.as_str().starts_with(directory))
}

impl Storage for Deferred {
    fn location(&self) -> String {
        self.shared.target.location()
    }

    fn create_new(&self) -> CreateNew {
        self.shared.target.create_new()
    }

    fn check_before_creating(&self) -> bool {
        self.shared.target.check_before_creating()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        Ok(Box::new(DeferredUpload::begin(self.shared.clone())?))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let Shared { outbox, target, .. } = &*self.shared;
        if begins(key, &WAIT) {
            match outbox.read(key, range.clone()) {
                Err(Error::NotFound { .. }) => {}
                read => return read,
            }
        }
        let read = target.read(key, range);
        if matches!(read, Err(Error::NotFound { .. })) {
            // It may have been pruned since it was listed.
            self.shared.listings().frozen = false;
        }
        read
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        let Shared { outbox, target, .. } = &*self.shared;
        if begins(key, &WAIT)
            && let Some(entry) = outbox.stat(key)?
        {
            return Ok(Some(entry));
        }
        target.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        // What waits is listed first: what is sent meanwhile is in both, and nothing in none.
        let mut waiting = self.shared.outbox.list(directory)?;
        waiting.retain(|entry| begins(&entry.key, &WAIT));
        let listed = self.shared.list(directory)?.into_iter().chain(waiting);
        let by_key: BTreeMap<Key, Entry> = listed.map(|entry| (entry.key.clone(), entry)).collect();
        Ok(by_key.into_values().collect())
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        let is_ours = |child: &Child| match child {
            Child::Object(key) => begins(key, &WAIT),
            Child::Directory(key) => WAIT.iter().any(|wait| format!("{key}/").starts_with(wait)),
        };
        let mut children = self.shared.outbox.list_names(directory)?;
        children.retain(is_ours);
        children.extend(self.shared.target.list_names(directory)?);
        children.sort_by(|one, other| one.key().cmp(other.key()));
        children.dedup();
        Ok(children)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let waited = self.shared.waiting().withdraw(key);
        let was_here = self.shared.outbox.remove(key)?;
        Ok(if waited { was_here } else { self.shared.target.remove(key)? || was_here })
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.shared.target.sweep(older_than)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.shared.target.free_bytes()
    }
}
