//! The objects of a lineage that can go.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_ltx::Txid;
use lifeboat_storage::Entry;

use super::{Doomed, GRACE, PruneOptions, Why};
use crate::needed::{Unneeded, unneeded};
use crate::survey::{Surveyed, is_quiet};
use crate::{Form, Ladder, Result, promised};

/// What can go of a lineage.
#[derive(Debug, Default)]
pub(super) struct Waste<'a> {
    /// In the order in which it can.
    pub(super) objects: Vec<Doomed>,
    /// The files among it, and what takes their place.
    pub(super) files: Vec<Unneeded<'a>>,
    /// Whether nothing of ours remains.
    pub(super) whole: bool,
}

/// Finds what can go of a lineage of which backups hold the `wanted` transactions.
pub(super) fn waste_of<'a>(
    surveyed: &'a Surveyed,
    wanted: &BTreeSet<Txid>,
    ladder: &Ladder,
    form: Form,
    options: &PruneOptions,
) -> Result<Waste<'a>> {
    let Surveyed { lineage, entries, listing, points, .. } = surveyed;
    let period: Duration = options.grace.max(GRACE);
    let quiet = is_quiet(entries, options.now, period);
    // Where something was added lately, whoever did it may go on.
    let superseded = surveyed.superseded && quiet;
    let promised = promised(points, wanted, ladder, options.now, superseded);
    if let Some(last) = listing.last() {
        listing.plan(lineage, last)?;
    }
    let files = unneeded(&listing.files.iter().collect::<Vec<_>>(), &promised)
        .or_else(|txid| listing.plan(lineage, txid).map(|_| Vec::new()))?;
    let whole = promised.is_empty() && quiet;
    let why = if whole { Why::Superseded } else { Why::NotNeeded };
    let of_files = files.iter().flat_map(|one| &one.file.objects);
    let mut objects: Vec<Doomed> = of_files.map(|entry| doomed(entry, why)).collect();
    if is_quiet(&listing.partial, options.now, period) {
        objects.extend(listing.partial.iter().map(|entry| doomed(entry, Why::Unfinished)));
    }
    // The origin goes last, and only if it would be alone: other files in its lineage are not ours,
    // or do not count, and it says whose they are.
    let origin = lineage.origin(form)?;
    if whole
        && entries.len() == objects.len() + 1
        && let Some(entry) = entries.iter().find(|entry| entry.key == origin)
    {
        let why = if listing.files.is_empty() { Why::Unfinished } else { why };
        objects.push(doomed(entry, why));
    }
    Ok(Waste { objects, files, whole })
}

fn doomed(entry: &Entry, why: Why) -> Doomed {
    Doomed { key: entry.key.clone(), size: entry.size, why }
}
