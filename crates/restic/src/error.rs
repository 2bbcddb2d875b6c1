//! What can go wrong with a restic repository.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use crate::{Lock, SnapshotId};

/// The result of an operation on a restic repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a restic repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage failed; its own message says at what.
    #[error(transparent)]
    Storage(#[from] lifeboat_storage::Error),
    /// There is no restic repository at the location.
    #[error("no restic repository at {location}")]
    NoRepository {
        /// Where it was looked for.
        location: String,
    },
    /// There is a restic repository already.
    #[error("{location} already holds a restic repository")]
    AlreadyInitialized {
        /// Where.
        location: String,
    },
    /// The repository has a format that is not written or read here.
    #[error("{location} is a restic repository of version {version}, only version 2 is known")]
    UnknownVersion {
        /// Where.
        location: String,
        /// Its version.
        version: u32,
    },
    /// The master key does not open the repository.
    #[error("the key given does not open the restic repository at {location}")]
    WrongKey {
        /// Where.
        location: String,
    },
    /// The password opens no key file.
    #[error("wrong password for the restic repository at {location}")]
    WrongPassword {
        /// Where.
        location: String,
    },
    /// An object, or what it consists of, is damaged or does not belong here.
    #[error("{object} is corrupt: {problem}")]
    Corrupt {
        /// Which, with its key or id.
        object: String,
        /// What was found.
        problem: String,
    },
    /// What was to be archived is not whole, as its source says itself: a command that failed.
    #[error("what was to be archived is not whole")]
    Source {
        /// What the source says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A source told of something at a place where it cannot be.
    #[error("{path:?} came out of order from what was to be archived")]
    Disorder {
        /// Of what.
        path: PathBuf,
    },
    /// There was nothing at all to archive, or nothing of it could be looked at.
    #[error("nothing to archive")]
    Nothing,
    /// Not all that was seen has been dealt with, which is a mistake of this program.
    #[error("{seen} entries were seen, but only {accounted} are accounted for")]
    Unaccounted {
        /// How many came from the source.
        seen: u64,
        /// How many are in trees, or were counted as left out.
        accounted: u64,
    },
    /// A thread ended where it should not have, which is a mistake of this program.
    #[error("a thread ended unexpectedly: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// Somebody else holds a lock that forbids what is to be done, or has left one behind.
    #[error("the restic repository at {location} is locked{} by {lock}, {age_seconds} seconds ago",
        if lock.exclusive { " exclusively" } else { "" })]
    Locked {
        /// Where.
        location: String,
        /// The lock that is in the way.
        lock: Box<Lock>,
        /// How long ago it was taken or renewed.
        age_seconds: u64,
    },
    /// Our own lock no longer keeps others out.
    #[error("lost the lock of the restic repository at {location}: {problem}")]
    LockLost {
        /// Where.
        location: String,
        /// What became of it.
        problem: String,
    },
    /// A prune does not keep what a snapshot needs that is there.
    #[error("nothing was removed: snapshot {snapshot} is there and was not planned to be kept")]
    Unplanned {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A text names no part of the packs.
    #[error("{text:?} is neither n/m nor a percentage such as 5% nor a size such as 1G")]
    InvalidSubset {
        /// The text that was given.
        text: String,
    },
    /// The machine refused what is needed to work: a thread, random bytes.
    #[error("cannot {operation}")]
    Machine {
        /// What was to be done.
        operation: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn corrupt(object: impl Display, problem: impl Into<String>) -> Self {
        Self::Corrupt { object: object.to_string(), problem: problem.into() }
    }

    /// The error with all that led to it, for where it is told later, among others.
    pub(crate) fn with_sources(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }

    /// Of an error that a reader or an upload of a storage returned.
    pub(crate) fn from_stream(operation: &'static str, error: io::Error) -> Self {
        Self::Storage(lifeboat_storage::Error::from_stream(operation, error))
    }
}
