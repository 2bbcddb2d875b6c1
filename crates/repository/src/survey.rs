//! What one listing shows of the lineages of all databases, or of one.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lifeboat_storage::Entry;

use crate::document::key;
use crate::lease::fences;
use crate::tree::by_lineage;
use crate::{
    DatabaseAddress, LineageAddress, LineageListing, Point, Repository, Result, Time, points,
};

/// A lineage as a listing showed it.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) lineage: LineageAddress,
    /// All its objects.
    pub(crate) entries: Vec<Entry>,
    pub(crate) listing: LineageListing,
    pub(crate) points: Vec<Point>,
    /// Whether another lineage of the database has a newer point, or is open where this one is closed.
    pub(crate) superseded: bool,
}

impl Surveyed {
    /// Lists a lineage again.
    pub(crate) fn again(&self, repository: &Repository) -> Result<Self> {
        let entries = repository.storage().list(Some(self.lineage.key()))?;
        let fences = fences(repository.storage(), self.lineage.database())?;
        let mut again = Self::of(repository, self.lineage.clone(), entries);
        again.listing.obey(self.lineage.id(), &fences);
        again.points = points(&again.listing.files);
        again.superseded = self.superseded;
        Ok(again)
    }

    fn of(repository: &Repository, lineage: LineageAddress, entries: Vec<Entry>) -> Self {
        let listing = LineageListing::of(&lineage, entries.clone(), repository.layout());
        Self { lineage, entries, listing, points: Vec::new(), superseded: false }
    }

    /// Orders the lineages of a database by their newest points; of equal times, by their first. One
    /// that a lease closed comes before those that are open, whatever the clocks of their hosts said.
    fn age(&self) -> Option<(bool, Time, Time)> {
        let is_open = !self.listing.fenced;
        Some((is_open, self.points.last()?.time, self.points.first()?.time))
    }
}

/// Whether nothing was added for a period, by the clock of the storage: it may be an upload on its
/// way.
pub(crate) fn is_quiet<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    now: Time,
    period: Duration,
) -> bool {
    let newest = entries.into_iter().map(|entry| entry.modified).max();
    let now: SystemTime = now.system();
    newest.is_none_or(|newest| now.duration_since(newest).is_ok_and(|age| age >= period))
}

/// The lineages by their databases.
pub(crate) fn survey(
    repository: &Repository,
    scope: Option<&DatabaseAddress>,
) -> Result<BTreeMap<DatabaseAddress, Vec<Surveyed>>> {
    let below = scope.map_or_else(|| key("databases"), |database| Ok(database.key().clone()))?;
    let entries = repository.storage().list(Some(&below))?;
    let mut databases: BTreeMap<DatabaseAddress, Vec<Surveyed>> = BTreeMap::new();
    for (lineage, entries) in by_lineage(entries)? {
        let surveyed = Surveyed::of(repository, lineage, entries);
        databases.entry(surveyed.lineage.database().clone()).or_default().push(surveyed);
    }
    for (database, lineages) in &mut databases {
        let fences = fences(repository.storage(), database)?;
        for surveyed in &mut *lineages {
            surveyed.listing.obey(surveyed.lineage.id(), &fences);
            surveyed.points = points(&surveyed.listing.files);
        }
        let newest = lineages.iter().filter_map(Surveyed::age).max();
        for surveyed in lineages {
            surveyed.superseded = surveyed.age().is_some_and(|age| newest > Some(age));
        }
    }
    Ok(databases)
}
