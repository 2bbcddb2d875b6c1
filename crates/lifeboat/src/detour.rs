//! What a restore goes around: damaged objects, and backups that cannot be restored without them.

use lifeboat_repository::{BackupName, LineageListing, LtxFile};

use crate::error::chain;
use crate::{Error, Note, Progress};

/// An object that turned out to be damaged, or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// Its key.
    pub key: String,
    /// What was expected and what was found.
    pub reason: String,
}

/// A backup that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedBackup {
    /// Which.
    pub name: BackupName,
    /// Why it cannot be restored.
    pub reason: String,
}

/// What a restore went around so far.
///
/// What one backup found holds for those after it: none reads what is known to be damaged.
#[derive(Debug, Clone, Default)]
pub struct Detour {
    /// Newer backups that cannot be restored, newest first.
    pub skipped: Vec<SkippedBackup>,
    /// Objects that were found damaged, or gone.
    pub damaged: Vec<DamagedObject>,
}

impl Detour {
    /// Leaves a file out from here on, and says so.
    pub(crate) fn exclude(&mut self, file: &LtxFile, error: &Error, progress: &dyn Progress) {
        let named = error.key().filter(|key| file.objects.iter().any(|one| one.key == **key));
        let key = named.unwrap_or(file.first_key()).to_string();
        let object = DamagedObject { key, reason: chain(error) };
        progress.note(&Note::DamagedObject { object: object.clone() });
        self.damaged.push(object);
    }

    /// Takes excluded files out of a listing.
    pub(crate) fn apply(&self, listing: &mut LineageListing) {
        if self.damaged.is_empty() {
            return;
        }
        let is_damaged = |key: &str| self.damaged.iter().any(|object| object.key == key);
        listing.files.retain(|file| !file.objects.iter().any(|one| is_damaged(one.key.as_str())));
    }

    /// Passes a backup over, and says so.
    pub(crate) fn skip(&mut self, name: BackupName, error: &Error, progress: &dyn Progress) {
        let backup = SkippedBackup { name, reason: chain(error) };
        progress.note(&Note::SkippedBackup { backup: backup.clone() });
        self.skipped.push(backup);
    }
}
