//! What happens to a backup, for whoever waits for it.

use lifeboat_repository::{BackupId, Time};

use crate::{BackupReport, Error};

/// Something that happened to a backup.
#[derive(Debug)]
pub enum BackupEvent<'a> {
    /// It begins.
    Started {
        /// Its id, if it comes to be.
        id: BackupId,
        /// When.
        time: Time,
    },
    /// It is there, perhaps without some of its sources.
    Completed {
        /// What was done.
        report: &'a BackupReport,
    },
    /// It was restored to a scratch directory, and is as it should be.
    Validated {
        /// What was done.
        report: &'a BackupReport,
    },
    /// There is no backup, or it is there and could not be restored.
    Failed {
        /// What its id is or would have been.
        id: BackupId,
        /// Why.
        error: &'a Error,
    },
}

impl BackupEvent<'_> {
    /// The name by which others know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "backup_started",
            Self::Completed { .. } => "backup_completed",
            Self::Validated { .. } => "backup_validated",
            Self::Failed { .. } => "backup_failed",
        }
    }
}
