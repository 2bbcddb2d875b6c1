//! The objects of a lineage that can go.

use std::time::SystemTime;

use lifeboat_storage::Entry;

use super::needed::{Wanted, unneeded};
use super::{Doomed, GRACE, PruneOptions, Why};
use crate::{Form, LineageAddress, LineageListing, Result};

/// What can go of a lineage, in the order in which it can.
#[derive(Debug, Default)]
pub(super) struct Waste {
    pub(super) objects: Vec<Doomed>,
    /// Whether nothing of ours remains.
    pub(super) whole: bool,
}

/// Finds what can go.
pub(super) fn waste_of(
    lineage: &LineageAddress,
    listing: &LineageListing,
    entries: &[Entry],
    wanted: &Wanted,
    form: Form,
    options: PruneOptions,
) -> Result<Waste> {
    let mut objects: Vec<Doomed> = Vec::new();
    let nothing = listing.files.is_empty() && wanted.txids.is_empty();
    let quiet = |entries: &mut dyn Iterator<Item = &Entry>| is_quiet(entries, options);
    let whole = (nothing || wanted.is_nothing()) && quiet(&mut entries.iter());
    if whole || !wanted.is_nothing() {
        let why = if wanted.is_nothing() { Why::Superseded } else { Why::NotNeeded };
        let unneeded = unneeded(&listing.files, wanted)
            .or_else(|txid| listing.plan(lineage, txid).map(|_| Vec::new()))?;
        let files = unneeded.into_iter().flat_map(|file| &file.objects);
        objects.extend(files.map(|entry| doomed(entry, why)));
    }
    if quiet(&mut listing.partial.iter()) {
        objects.extend(listing.partial.iter().map(|entry| doomed(entry, Why::Unfinished)));
    }
    // The origin goes last, and only if it would be alone: other files in its lineage are not ours,
    // or do not count, and it says whose they are.
    let origin = lineage.origin(form)?;
    if whole
        && entries.len() == objects.len() + 1
        && let Some(entry) = entries.iter().find(|entry| entry.key == origin)
    {
        let why = if wanted.is_nothing() { Why::Superseded } else { Why::Unfinished };
        objects.push(doomed(entry, why));
    }
    Ok(Waste { objects, whole })
}

/// Whether nothing was added for the grace period, and for a day at least, by the clock of the
/// storage: it may be an upload on its way.
fn is_quiet(entries: &mut dyn Iterator<Item = &Entry>, options: PruneOptions) -> bool {
    let now = SystemTime::from(options.now.timestamp());
    let period = options.grace.max(GRACE);
    entries
        .map(|entry| entry.modified)
        .max()
        .is_none_or(|modified| now.duration_since(modified).is_ok_and(|age| age >= period))
}

fn doomed(entry: &Entry, why: Why) -> Doomed {
    Doomed { key: entry.key.clone(), size: entry.size, why }
}
