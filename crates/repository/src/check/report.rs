//! What a check found.

use lifeboat_restic::LostRoot;
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

/// A source of a backup that cannot be restored, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSource {
    /// The backup.
    pub backup: BackupName,
    /// The source's name.
    pub name: String,
    /// What of it is lost; `None`: it is a database, and lost.
    pub files: Option<LostRoot>,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Backups of which everything can be restored, newest first.
    pub restorable: Vec<BackupName>,
    /// Backups of which something cannot, newest first.
    pub lost: Vec<BackupName>,
    /// Backups of which nobody knows whether they can, newest first: to tell, they would have to be read.
    pub unknown: Vec<BackupName>,
    /// What cannot be restored of backups of which something else can, newest first.
    pub lost_sources: Vec<LostSource>,
    /// LTX files looked at.
    pub files: u64,
    /// Packs of the files part.
    pub packs: u64,
    /// Directories that were read in it, each once.
    pub directories: u64,
    /// Sealed bytes read, those of packs included.
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

    /// Something of the files part is not what it should be.
    pub(crate) fn files_damage(&mut self, object: String, problem: String) {
        let error = lifeboat_restic::Error::Corrupt { object: object.clone(), problem };
        self.findings.push(Finding { key: object, error: Error::Files(error) });
    }

    /// An object is not what it should be.
    pub(super) fn corrupt(&mut self, key: &Key, detail: impl Into<String>) {
        self.found(key, Error::corrupt(key, detail));
    }
}
