//! A check by whoever cannot open anything: what listings show.

use std::collections::{HashMap, HashSet};

use lifeboat_ltx::Txid;
use lifeboat_storage::Key;

use super::check_identities;
use super::lineages::{Expected, list_named};
use super::report::CheckReport;
use crate::document::key;
use crate::{BackupId, LineageAddress, Recipient, Repository, Result};

/// Checks what names and sizes show: that manifests have pins, that whole files lead to every pin
/// and to the newest transaction. Where there are files, a backup without pins may hold only these. Nothing is opened, so that what an object holds, and whether its
/// manifest names others, is not known.
pub fn check_names(repository: &Repository) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    if let Err(error) = Recipient::current(repository.storage()) {
        let damaged = error.key().cloned().map_or_else(|| key("recipients"), Ok)?;
        report.found(&damaged, error);
    }
    check_identities(repository, &mut report)?;
    let names = repository.backups()?;
    let ids: HashSet<BackupId> = names.iter().map(|name| name.id).collect();
    let expected = Expected { objects: &HashMap::new(), ids: &ids };
    let lineages = list_named(repository, &expected, &mut report)?;
    let mut pinned: HashMap<BackupId, Vec<(&LineageAddress, Txid)>> = HashMap::new();
    for lineage in lineages.values() {
        for (txid, backup) in &lineage.listing.pins {
            pinned.entry(*backup).or_default().push((&lineage.address, *txid));
        }
    }
    let manifests = repository.storage().list(Some(&key("backups")?))?;
    let sizes: HashMap<&Key, u64> =
        manifests.iter().map(|entry| (&entry.key, entry.size)).collect();
    // What a backup holds there has no pins.
    let has_files = lifeboat_restic::exists(repository.storage())?;
    for name in names {
        let key = name.key()?;
        // A sealed object is never empty.
        let mut whole = sizes.get(&key).is_some_and(|size| *size > 0);
        if !whole {
            report.corrupt(&key, "it is empty");
        }
        let points = pinned.get(&name.id).map(Vec::as_slice).unwrap_or_default();
        if points.is_empty() && whole && has_files {
            report.unknown.push(name);
            continue;
        }
        if points.is_empty() {
            report.corrupt(&key, "no pin keeps what it names");
            whole = false;
        }
        for (lineage, txid) in points {
            if let Err(error) = lineages[lineage.key()].listing.plan(lineage, *txid) {
                report.found(&key, error);
                whole = false;
            }
        }
        let list = if whole { &mut report.restorable } else { &mut report.lost };
        list.push(name);
    }
    Ok(report)
}
