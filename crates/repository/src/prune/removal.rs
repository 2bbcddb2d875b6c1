//! Removes what is due of a lineage, looking at it again.

use std::collections::{BTreeSet, HashSet};

use lifeboat_ltx::Txid;
use lifeboat_storage::Key;

use super::waste::waste_of;
use super::{Doomed, PruneOptions, PruneReport};
use crate::survey::Surveyed;
use crate::{Finding, Ladder, Repository, Result};

/// So many objects are removed before the lineage is listed again.
const AT_ONCE: usize = 1000;

/// What goes of one lineage.
#[derive(Debug)]
pub(super) struct Removal {
    /// As it was when the plan was made.
    pub(super) surveyed: Surveyed,
    /// What backups held then, those included that can be brought back.
    pub(super) wanted: BTreeSet<Txid>,
    pub(super) ladder: Ladder,
    /// Whether nothing is left of it.
    pub(super) whole: bool,
    /// In the order in which they go.
    pub(super) objects: Vec<Doomed>,
}

impl Removal {
    /// Removes what is still not needed, but for what must `stay`.
    pub(super) fn carry_out(
        &self,
        repository: &Repository,
        stay: &HashSet<Key>,
        options: &PruneOptions,
        report: &mut PruneReport,
    ) -> Result<()> {
        if self.whole {
            return self.remove_whole(repository, report);
        }
        let objects = self.objects.iter().map(|object| &object.key);
        let mut planned: HashSet<&Key> = objects.filter(|key| !stay.contains(key)).collect();
        while !planned.is_empty() {
            let again = self.surveyed.again(repository)?;
            let pinned = again.listing.pins.iter().map(|(txid, _)| *txid);
            let wanted = self.wanted.iter().copied().chain(pinned).collect();
            let waste = match waste_of(&again, &wanted, &self.ladder, repository.form(), options) {
                Ok(waste) => waste,
                Err(error) => {
                    let key = self.surveyed.lineage.key().to_string();
                    report.findings.push(Finding { key, error });
                    return Ok(());
                }
            };
            let due = waste.objects.iter().filter(|object| planned.contains(&object.key));
            let due: Vec<&Doomed> = due.take(AT_ONCE).collect();
            for object in &due {
                report.remove(repository, object)?;
            }
            if due.len() < AT_ONCE {
                return Ok(());
            }
            for object in &due {
                planned.remove(&object.key);
            }
        }
        Ok(())
    }

    fn remove_whole(&self, repository: &Repository, report: &mut PruneReport) -> Result<()> {
        let entries = repository.storage().list(Some(self.surveyed.lineage.key()))?;
        let seen: HashSet<&Key> = self.surveyed.entries.iter().map(|entry| &entry.key).collect();
        if entries.iter().any(|entry| !seen.contains(&entry.key)) {
            report.busy_lineages += 1;
            return Ok(());
        }
        self.objects.iter().try_for_each(|object| report.remove(repository, object))
    }
}
