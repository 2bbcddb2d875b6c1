//! Lists backups.

use lifeboat_repository::{BackupName, Manifest};

use crate::{Error, OpenRepository, Result};

/// A backup in a listing.
#[derive(Debug)]
pub struct BackupEntry {
    /// Its name.
    pub name: BackupName,
    /// What it says, or why it cannot be read.
    pub manifest: Result<Manifest>,
}

/// All backups, newest first. One that cannot be read is listed as such; a wrong password ends it.
pub fn backups(opened: &OpenRepository<'_>) -> Result<Vec<BackupEntry>> {
    let names = opened.repository().backups()?;
    if !names.is_empty() {
        opened.secrets()?;
    }
    let entries = names.into_iter().map(|name| {
        let manifest = opened.manifest(&name);
        match manifest {
            Err(error @ Error::NoPassword { .. }) => Err(error),
            manifest => Ok(BackupEntry { name, manifest }),
        }
    });
    entries.collect()
}

/// The names of all backups, newest first: what can be told without opening one.
pub fn backup_names(opened: &OpenRepository<'_>) -> Result<Vec<BackupName>> {
    Ok(opened.repository().backups()?)
}
