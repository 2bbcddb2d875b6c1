//! What one listing of all databases shows, compared with what the manifests say.

use std::collections::{BTreeMap, HashMap, HashSet};

use lifeboat_storage::{Entry, Key};

use super::CheckReport;
use super::content::Contents;
use crate::deletion::for_each_deletion;
use crate::document::key;
use crate::lease::{Fence, fences};
use crate::tree::by_lineage;
use crate::{
    BackupId, DatabaseAddress, LineageAddress, LineageListing, ObjectRef, Repository, Result,
    Secrets,
};

/// A lineage, and the files of it that are sound as far as it is known.
pub(super) struct Lineage {
    pub(super) address: LineageAddress,
    pub(super) listing: LineageListing,
    /// Of the files that were read.
    pub(super) contents: Contents,
}

/// All lineages by their keys.
pub(super) type Lineages = BTreeMap<Key, Lineage>;

/// What the manifests say of the objects below `databases/`.
pub(super) struct Expected<'a> {
    pub(super) objects: &'a HashMap<String, ObjectRef>,
    /// Of all backups, readable or not.
    pub(super) ids: &'a HashSet<BackupId>,
}

/// Lists all databases at once. Files of which an object has not its full size are left out.
pub(super) fn list(
    repository: &Repository,
    secrets: &Secrets,
    expected: &Expected<'_>,
    report: &mut CheckReport,
) -> Result<Lineages> {
    let deleted = read_deletions(repository, secrets, report)?;
    let entries = repository.storage().list(Some(&key("databases")?))?;
    report_missing(&entries, expected, &deleted, report)?;
    check_listed(repository, entries, expected, report)
}

/// The same without secrets: what deletions and manifests say of objects is not known.
pub(super) fn list_named(
    repository: &Repository,
    expected: &Expected<'_>,
    report: &mut CheckReport,
) -> Result<Lineages> {
    let entries = repository.storage().list(Some(&key("databases")?))?;
    check_listed(repository, entries, expected, report)
}

fn check_listed(
    repository: &Repository,
    entries: Vec<Entry>,
    expected: &Expected<'_>,
    report: &mut CheckReport,
) -> Result<Lineages> {
    let mut fenced = HashMap::new();
    let mut lineages = Lineages::new();
    for (address, entries) in by_lineage(entries)? {
        let damaged = check_entries(&address, &entries, expected, report);
        let mut listing = LineageListing::of(&address, entries, repository.layout());
        let unnamed = |entry: &&Entry| !expected.objects.contains_key(entry.key.as_str());
        let unfinished = listing.partial.iter().filter(unnamed);
        report.unfinished.extend(unfinished.map(|entry| entry.key.to_string()));
        let database = address.database();
        if !fenced.contains_key(database) {
            fenced.insert(database.clone(), read_fences(repository, database, report)?);
        }
        match &fenced[database] {
            Some(fences) => listing.obey(address.id(), fences),
            // Nobody knows which of them count.
            None => listing.files.clear(),
        }
        check_lineage(&address, &listing, repository, report)?;
        listing.files.retain(|file| !file.objects.iter().any(|part| damaged.contains(&part.key)));
        let lineage = Lineage { address, listing, contents: Contents::default() };
        lineages.insert(lineage.address.key().clone(), lineage);
    }
    Ok(lineages)
}

/// Objects that a manifest names, that are not there, and that nobody said would be removed.
fn report_missing(
    entries: &[Entry],
    expected: &Expected<'_>,
    deleted: &HashSet<String>,
    report: &mut CheckReport,
) -> Result<()> {
    let there: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let named = expected.objects.keys();
    let mut missing: Vec<&String> =
        named.filter(|key| !there.contains(key.as_str()) && !deleted.contains(*key)).collect();
    missing.sort_unstable();
    for object in missing {
        report.corrupt(&key(object)?, "it is missing");
    }
    Ok(())
}

/// Objects that may be gone because a notice said so.
fn read_deletions(
    repository: &Repository,
    secrets: &Secrets,
    report: &mut CheckReport,
) -> Result<HashSet<String>> {
    let mut deleted = HashSet::new();
    for_each_deletion(repository.storage(), repository.form(), secrets, &mut |key, read| {
        match read {
            Ok(notice) => deleted.extend(notice.objects.into_iter().map(|object| object.key)),
            Err(error) => report.found(key, error),
        }
        Ok(())
    })?;
    Ok(deleted)
}

/// The fences of a database; `None` if one of its leases cannot be read.
fn read_fences(
    repository: &Repository,
    database: &DatabaseAddress,
    report: &mut CheckReport,
) -> Result<Option<Vec<Fence>>> {
    match fences(repository.storage(), database) {
        Ok(fences) => Ok(Some(fences)),
        Err(error) => {
            let directory = key(format!("leases/{}/{}", database.host(), database.name()))?;
            let key = error.key().unwrap_or(&directory).clone();
            report.found(&key, error);
            Ok(None)
        }
    }
}

/// Sizes of objects and pins. Returns the objects of a wrong size.
fn check_entries(
    address: &LineageAddress,
    entries: &[Entry],
    expected: &Expected<'_>,
    report: &mut CheckReport,
) -> HashSet<Key> {
    let mut damaged = HashSet::new();
    for entry in entries {
        if let Some(object) = expected.objects.get(entry.key.as_str()) {
            if object.size != entry.size {
                let detail = format!("expected {} bytes, found {}", object.size, entry.size);
                report.corrupt(&entry.key, detail);
                damaged.insert(entry.key.clone());
            }
        } else if let Some((_, backup)) = address.parse_pin(&entry.key) {
            if entry.size != 0 {
                report.corrupt(&entry.key, format!("a pin is empty, found {} bytes", entry.size));
            } else if !expected.ids.contains(&backup) {
                report.unfinished.push(entry.key.to_string());
            }
        }
    }
    damaged
}

fn check_lineage(
    address: &LineageAddress,
    listing: &LineageListing,
    repository: &Repository,
    report: &mut CheckReport,
) -> Result<()> {
    // The newest transaction can be reached, else something before it is missing.
    if let Some(last) = listing.last()
        && let Err(error) = listing.plan(address, last)
    {
        report.found(address.key(), error);
    }
    if !listing.has_origin && !listing.files.is_empty() && !repository.is_replica() {
        report.corrupt(&address.origin(repository.form())?, "it is missing");
    }
    report.files += listing.files.len() as u64;
    Ok(())
}
