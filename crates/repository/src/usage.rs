//! What the objects of a repository take up, from one listing.

use std::collections::BTreeMap;

use lifeboat_storage::Entry;

use crate::tree::split;
use crate::{Form, LtxName, Repository, Result};

/// Sizes in bytes and numbers of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All objects.
    pub objects: u64,
    /// All bytes.
    pub bytes: u64,
    /// Backups.
    pub backups: u64,
    /// The files part.
    pub files: FilesUsage,
    /// By host and database, as they stand in keys.
    pub databases: BTreeMap<(String, String), DatabaseUsage>,
}

/// What one database takes up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseUsage {
    /// Stored bytes of bases.
    pub base_bytes: u64,
    /// Stored bytes of captures and merges.
    pub history_bytes: u64,
    /// The same by level.
    pub level_bytes: BTreeMap<u8, u64>,
    /// Objects of LTX files.
    pub ltx_objects: u64,
}

/// What the files part takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesUsage {
    /// All its bytes.
    pub bytes: u64,
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Bytes of index objects.
    pub index_bytes: u64,
    /// Snapshots.
    pub snapshots: u64,
}

impl FilesUsage {
    fn add(&mut self, entry: &Entry) {
        let directory = entry.key.as_str().split('/').next().unwrap_or_default();
        match directory {
            "data" => {
                self.packs += 1;
                self.pack_bytes += entry.size;
            }
            "index" => self.index_bytes += entry.size,
            "snapshots" => self.snapshots += 1,
            "config" | "keys" | "locks" => {}
            _ => return,
        }
        self.bytes += entry.size;
    }
}

/// Adds up what is in a repository.
pub fn usage(repository: &Repository) -> Result<Usage> {
    let mut usage = Usage { backups: repository.backups()?.len() as u64, ..Usage::default() };
    for entry in repository.storage().list(None)? {
        usage.objects += 1;
        usage.bytes += entry.size;
        usage.files.add(&entry);
        if let Some((host, name, level)) = ltx_object(repository.form(), &entry) {
            let database = usage.databases.entry((host, name)).or_default();
            database.ltx_objects += 1;
            if level == 9 {
                database.base_bytes += entry.size;
            } else {
                database.history_bytes += entry.size;
                *database.level_bytes.entry(level).or_default() += entry.size;
            }
        }
    }
    Ok(usage)
}

/// Host, database and level of an LTX object.
fn ltx_object(form: Form, entry: &Entry) -> Option<(String, String, u8)> {
    let (host, name, _, path) = split(&entry.key)?;
    let (ltx, _) = LtxName::parse(form, path.strip_prefix("ltx/")?, entry.modified)?;
    Some((host.to_owned(), name.to_owned(), ltx.level))
}
