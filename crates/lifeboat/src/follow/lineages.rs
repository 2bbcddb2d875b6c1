//! Which lineage of a database is followed: the one with the newest point, of those that nobody has
//! closed as long as there is one. What was closed has a successor, whatever the clock of its host says.

use std::collections::BTreeSet;

use lifeboat_repository::{
    DatabaseAddress, LineageAddress, LineageId, LineageListing, Time, points,
};

use crate::{Detour, OpenRepository, Result};

/// After so many looks the lineages that were older are looked at again: the clock of their host may
/// have been put right.
const LOOKS: u32 = 100;

/// A lineage, and what it holds.
pub(super) type Listed = (LineageAddress, LineageListing);

/// What is known of the lineages of a database.
#[derive(Debug, Default)]
pub(super) struct Lineages {
    /// Those that are older than the one that is followed.
    older: BTreeSet<LineageId>,
    looks: u32,
}

impl Lineages {
    /// A lineage that is newer than the one that is followed. While that is open, only lineages that
    /// were not there before are listed.
    pub(super) fn newer(
        &mut self,
        opened: &OpenRepository<'_>,
        database: &DatabaseAddress,
        followed: Option<&Listed>,
        detour: &Detour,
    ) -> Result<Option<Listed>> {
        self.looks += 1;
        let is_closed = followed.is_some_and(|(_, listing)| listing.fenced);
        if is_closed || self.looks.is_multiple_of(LOOKS) {
            self.older.clear();
        }
        let id = followed.map(|(lineage, _)| lineage.id());
        let mut newest: Option<(Listed, Rank)> = None;
        let reached = followed.and_then(|(_, listing)| rank(listing));
        for lineage in opened.repository().lineages(database)? {
            if Some(lineage.id()) == id || self.older.contains(&lineage.id()) {
                continue;
            }
            let listing = opened.repository().listing(&lineage)?;
            let mut sound = listing.clone();
            detour.apply(&mut sound);
            // One that has begun, but not to the end of its base, is neither newer nor older.
            let Some(rank) = rank(&sound) else { continue };
            if Some(rank) <= reached {
                self.older.insert(lineage.id());
            } else if newest.as_ref().is_none_or(|(_, newest)| rank > *newest) {
                newest = Some(((lineage, listing), rank));
            }
        }
        Ok(newest.map(|(listed, _)| listed))
    }
}

/// Whether a lineage is open, and the time of its newest point.
type Rank = (bool, Time);

fn rank(listing: &LineageListing) -> Option<Rank> {
    points(&listing.files).pop().map(|point| (!listing.fenced, point.time))
}
