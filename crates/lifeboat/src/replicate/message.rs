//! What the threads of a replication tell each other.

use std::path::PathBuf;
use std::time::Instant;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageAddress, LineageId, LtxName, Time};

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
    Attached { database: usize, lineage: LineageId, position: Position, time: Time },
    /// It holds more of a database.
    Stored {
        database: usize,
        lineage: LineageId,
        name: LtxName,
        position: Position,
        sent_bytes: u64,
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

/// To the starter.
#[derive(Debug)]
pub(super) enum Start {
    /// Go on with a database, or begin.
    Begin { database: usize, target: DatabaseTarget },
    /// Bring a repository up to the present state of a database, without the spool.
    Store { database: usize, replica: Box<Replica>, repository: usize },
}
