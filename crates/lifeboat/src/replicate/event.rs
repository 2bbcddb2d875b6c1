//! What a replication tells while it goes on.

use std::path::Path;

use lifeboat_ltx::Txid;
use lifeboat_repository::{BackupId, Time};

/// Something that happened. What goes on by itself every second is told too: [`Event::is_routine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A database is protected from here on.
    Joined {
        /// Its name.
        database: &'a str,
        /// Its file.
        path: &'a Path,
    },
    /// A point is durable in the spool.
    Captured {
        /// The database.
        database: &'a str,
        /// The transaction.
        txid: Txid,
        /// When.
        time: Time,
        /// Bytes in the spool.
        bytes: u64,
    },
    /// A point, and all before it, can be restored from a repository.
    Protected {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// The transaction.
        txid: Txid,
        /// When it was captured.
        time: Time,
        /// Bytes that were sent for it.
        bytes: u64,
    },
    /// A repository is brought up by more than the captures that wait for it.
    Lacking {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The spool was full: points up to this transaction were dropped, and repositories that lacked them are
    /// brought up to the present state when they come back.
    Dropped {
        /// The database.
        database: &'a str,
        /// The last transaction that was dropped.
        txid: Txid,
    },
    /// A lineage begins.
    NewLineage {
        /// The database.
        database: &'a str,
        /// Why the former one could not go on.
        reason: &'a str,
    },
    /// Files of a closed window became one.
    Merged {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// The first transaction.
        from: Txid,
        /// The last transaction.
        to: Txid,
        /// How many files.
        files: u64,
        /// Bytes that were sent for it.
        bytes: u64,
    },
    /// The whole history of a database in a repository was looked at.
    Passed {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// Files that were made of others.
        merges: u64,
        /// Objects that go after the grace period.
        announced_objects: u64,
        /// Objects that went.
        removed_objects: u64,
        /// Their bytes.
        removed_bytes: u64,
    },
    /// A new base is due.
    BaseDue {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A new base was written.
    Based {
        /// The database.
        database: &'a str,
        /// Where.
        repository: &'a str,
        /// The transaction that it holds.
        txid: Txid,
        /// Bytes that were sent for it.
        bytes: u64,
    },
    /// Files that had changed were backed up.
    BackedUp {
        /// The source.
        source: &'a str,
        /// Where.
        repository: &'a str,
        /// The backup.
        backup: BackupId,
    },
    /// A database cannot be read, or a repository not be written to. It is tried again.
    Failing {
        /// The database; `None`: all of them.
        database: Option<&'a str>,
        /// The repository; `None`: the database itself is the trouble.
        repository: Option<&'a str>,
        /// What is wrong.
        error: &'a str,
    },
    /// What failed before works again.
    Working {
        /// The database; `None`: all of them.
        database: Option<&'a str>,
        /// The repository.
        repository: Option<&'a str>,
    },
}

impl Event<'_> {
    /// Whether it happens all the time while all is well.
    pub fn is_routine(&self) -> bool {
        matches!(
            self,
            Self::Captured { .. }
                | Self::Protected { .. }
                | Self::Merged { .. }
                | Self::Passed { .. }
        )
    }
}

/// Receives what happens. It is called by the thread that captures, and by that which backs up files: it must be
/// quick.
pub trait Events: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

impl Events for crate::Silent {
    fn event(&self, _event: &Event<'_>) {}
}
