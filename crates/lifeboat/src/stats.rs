//! What a repository takes up.

use lifeboat_repository::{Source, usage};

use crate::{BackupEntry, OpenRepository, Result, backups};

/// Sizes in bytes and numbers.
#[derive(Debug, Default)]
pub struct Stats {
    /// Backups.
    pub backups: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of all objects.
    pub stored_bytes: u64,
    /// What one would need to keep every backup as a copy.
    pub restorable_bytes: u64,
    /// Databases.
    pub databases: Vec<DatabaseStats>,
}

/// One database.
#[derive(Debug, Default)]
pub struct DatabaseStats {
    /// The host, as it stands in keys.
    pub host: String,
    /// The name, as it stands in keys.
    pub name: String,
    /// Backups that hold it.
    pub backups: u64,
    /// Its bytes in the newest of them.
    pub size_bytes: u64,
    /// Stored bytes of whole copies.
    pub base_bytes: u64,
    /// Stored bytes of changes.
    pub history_bytes: u64,
    /// Objects.
    pub objects: u64,
}

/// Adds up what is in the repository.
pub fn stats(opened: &OpenRepository<'_>) -> Result<Stats> {
    let usage = usage(opened.repository())?;
    let entries = backups(opened)?;
    let mut stats = Stats {
        backups: usage.backups,
        objects: usage.objects,
        stored_bytes: usage.bytes,
        ..Stats::default()
    };
    for ((host, name), database) in usage.databases {
        let mut found = DatabaseStats {
            base_bytes: database.base_bytes,
            history_bytes: database.history_bytes,
            objects: database.ltx_objects,
            host,
            name,
            ..DatabaseStats::default()
        };
        for size in sizes(&entries, &found.host, &found.name)? {
            if found.backups == 0 {
                found.size_bytes = size;
            }
            found.backups += 1;
            stats.restorable_bytes += size;
        }
        stats.databases.push(found);
    }
    Ok(stats)
}

/// The sizes of a database in the backups that hold it, newest first.
fn sizes(entries: &[BackupEntry], host: &str, name: &str) -> Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for manifest in entries.iter().filter_map(|entry| entry.manifest.as_ref().ok()) {
        if lifeboat_repository::encode_name(&manifest.host)? != host {
            continue;
        }
        for database in manifest.sources.iter().filter_map(Source::database) {
            if lifeboat_repository::encode_name(&database.name)? == name {
                sizes.push(database.size_bytes);
            }
        }
    }
    Ok(sizes)
}
