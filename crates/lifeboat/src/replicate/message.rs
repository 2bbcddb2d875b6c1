//! What the threads of a replication tell each other.

use std::path::PathBuf;
use std::time::Instant;

use lifeboat_ltx::Txid;
use lifeboat_repository::{Ladder, LineageAddress, LineageId, LtxName, Time};

use super::keeper::Local;
use super::replica::Replica;
use crate::state::{Ledger, Position, Spooled};
use crate::{DatabaseTarget, Error};

/// To the engine. Databases and repositories are told by their numbers.
#[derive(Debug)]
pub(super) enum Message {
    /// A database can be followed, or cannot.
    Ready { database: usize, replica: Result<Box<Replica>, Error> },
    /// Something about a repository.
    Upload { repository: usize, news: UploadNews },
    /// Something about the history of a database in a repository.
    Keeper { database: usize, repository: usize, news: KeeperNews },
    /// No merge needs captures of a lineage up to here any more.
    Merged { database: usize, lineage: LineageId, txid: Txid },
}

/// What the keeper tells, and the starter of the bases that it writes for it.
#[derive(Debug)]
pub(super) enum KeeperNews {
    /// Several files became one.
    Merged { name: LtxName, files: usize, sent_bytes: u64 },
    /// A pass is over.
    Passed(Pass),
    /// A base is due, and why.
    BaseDue { reason: String },
    /// It was written.
    Based { txid: Txid, sent_bytes: u64 },
    /// Something failed; it is tried again.
    Failing(Error),
    /// It works again.
    Working,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    /// Files that it made of others.
    pub(super) merges: u64,
    /// Objects that it announced, and that it removed.
    pub(super) announced_objects: u64,
    pub(super) removed_objects: u64,
    pub(super) removed_bytes: u64,
    /// Objects that were announced and wait for their removal, and their bytes.
    pub(super) waiting_objects: u64,
    pub(super) waiting_bytes: u64,
}

/// What an uploader tells.
#[derive(Debug)]
pub(super) enum UploadNews {
    /// The repository is open; this is its id.
    Opened { id: String, location: String },
    /// It fails, with all of its databases (`None`) or with one.
    Failing { database: Option<usize>, error: Error },
    /// It works again, with all that failed or with one.
    Working { database: Option<usize> },
    /// A database may be brought there; nothing is missing from what it holds.
    Attached {
        database: usize,
        lineage: LineageId,
        position: Position,
        time: Time,
        /// What it holds.
        names: Vec<LtxName>,
        /// How many captures wait for it.
        waiting: usize,
    },
    /// It holds more of a database.
    Stored {
        database: usize,
        lineage: LineageId,
        name: LtxName,
        position: Position,
        sent_bytes: u64,
        /// How many captures still wait for it.
        waiting: usize,
    },
    /// It cannot go on with what is in the spool, and why.
    Lacks { database: usize, reason: String },
}

/// To an uploader.
#[derive(Debug)]
pub(super) enum Order {
    /// Bring a database there, from here on.
    Attach(Box<Attach>),
    /// One more capture.
    Add { database: usize, spooled: Spooled },
    /// Leave a database alone.
    Detach { database: usize },
    /// Send what waits, whatever the interval.
    Hurry { database: usize },
    /// Send what waits, and end: at the first failure, or at this time.
    Finish { until: Option<Instant> },
}

/// A database, as an uploader sees it.
#[derive(Debug)]
pub(super) struct Attach {
    pub(super) database: usize,
    pub(super) name: String,
    pub(super) lineage: LineageAddress,
    /// How far the repository is.
    pub(super) position: Option<Position>,
    /// Whether it lacks more than what is in the spool.
    pub(super) behind: bool,
    /// The highest transaction that was ever given.
    pub(super) highest: Option<Txid>,
    pub(super) waiting: Vec<Spooled>,
    pub(super) outbox: PathBuf,
    pub(super) ledger: Ledger,
}

/// To the keeper.
#[derive(Debug)]
pub(super) enum Upkeep {
    /// Look after a database, from here on.
    Attach(Box<Kept>),
    /// A repository holds these files of it, and so many captures wait.
    Holds {
        database: usize,
        repository: usize,
        lineage: LineageId,
        names: Vec<LtxName>,
        waiting: usize,
    },
    /// One file more.
    Stored { database: usize, repository: usize, lineage: LineageId, name: LtxName, waiting: usize },
    /// A backup holds a transaction.
    Wanted { database: usize, repository: usize, txid: Txid },
    /// Leave a database alone.
    Detach { database: usize },
}

/// A database, as the keeper sees it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) database: usize,
    pub(super) lineage: LineageAddress,
    pub(super) ladder: Ladder,
    pub(super) local: Local,
}

/// To the starter.
#[derive(Debug)]
pub(super) enum Start {
    /// Go on with a database, or begin.
    Begin { database: usize, target: DatabaseTarget },
    /// Bring a repository up to the present state of a database, without the spool.
    Store { database: usize, replica: Box<Replica>, repository: usize },
    /// Write a new base of a database into a repository.
    Base { database: usize, replica: Box<Replica>, repository: usize },
}
