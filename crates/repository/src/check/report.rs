//! What a check found.

use lifeboat_storage::Key;

use crate::{BackupName, Error};

/// Something wrong in a repository.
#[derive(Debug)]
pub struct Finding {
    /// The object; the lineage, where objects are missing.
    pub key: String,
    /// What is wrong.
    pub error: Error,
}

/// A database of a backup that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDatabase {
    /// The backup.
    pub backup: BackupName,
    /// The database's name.
    pub name: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Backups of which everything can be restored, newest first.
    pub restorable: Vec<BackupName>,
    /// Backups of which something cannot, newest first.
    pub lost: Vec<BackupName>,
    /// What cannot be restored of backups of which something else can, newest first.
    pub lost_databases: Vec<LostDatabase>,
    /// LTX files looked at.
    pub files: u64,
    /// Sealed bytes read.
    pub read_bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What uploads that did not come to their end have left: parts of files that are not whole,
    /// pins without a backup. They are no damage.
    pub unfinished: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn found(&mut self, key: &Key, error: Error) {
        self.findings.push(Finding { key: key.to_string(), error });
    }

    /// An object is not what it should be.
    pub(super) fn corrupt(&mut self, key: &Key, detail: impl Into<String>) {
        self.found(key, Error::corrupt(key, detail));
    }
}
