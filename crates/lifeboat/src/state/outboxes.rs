//! `outboxes/<repository>/<n>/`: sealed files on their way to a repository over a network.
//!
//! Each is one process's, as long as that holds its lock. What one that was killed has left there is sent by the
//! next one that writes to the repository.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_repository::Repository;
use lifeboat_storage::{LocalStorage, Storage};
use rustix::fs::{FlockOperation, flock};

use super::StateDirectory;
use super::file::{create_private_directory, create_private_file};
use crate::Result;

/// More processes than these do not write to one repository at once; those that do, do without.
const MOST: u32 = 64;

/// An outbox that is this process's.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) storage: Arc<dyn Storage>,
    _lock: File,
}

impl Outbox {
    /// Takes one that nobody has, and sends what is left in all of these; `None` if all are taken.
    pub(crate) fn take(state: &StateDirectory, repository: &Repository) -> Result<Option<Self>> {
        let directory = state.path().join("outboxes").join(repository.marker().id.to_string());
        create_private_directory(&directory)?;
        let mut own = None;
        for number in 0..MOST {
            let path = directory.join(number.to_string());
            if own.is_some() && !path.exists() {
                break;
            }
            let Some(outbox) = Self::lock(&path)? else { continue };
            repository.resume(&outbox.storage)?;
            own.get_or_insert(outbox);
        }
        Ok(own)
    }

    /// `None` if another process has it.
    fn lock(path: &Path) -> Result<Option<Self>> {
        let lock = create_private_file(&path.with_extension("lock"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let storage = LocalStorage::create(path)?;
        // Nobody else writes there: what is unfinished is of a process that was killed.
        storage.sweep(Duration::ZERO).map_err(lifeboat_repository::Error::from)?;
        Ok(Some(Self { storage: Arc::new(storage), _lock: lock }))
    }
}
