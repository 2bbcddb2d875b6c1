//! A pass: all that a repository holds of a database is looked at.

use std::collections::HashSet;

use lifeboat_repository::{BaseDue, LtxName, Time, base_due};

use super::Keeper;
use super::work::Work;
use crate::replicate::message::{KeeperNews, Kept, Pass};
use crate::tidy::{Tidied, tidy};
use crate::{Error, OpenRepository, Result};

/// What a pass found.
struct Found {
    pass: Pass,
    /// What the repository holds now.
    names: Vec<LtxName>,
    /// Why a base is due, if one is.
    base: Option<String>,
    /// What is damaged, if something is.
    damage: Option<Error>,
}

impl<'a> Keeper<'a> {
    /// Looks at a database in a repository, and tells what came of it. What fails is tried again at the next
    /// pass.
    pub(super) fn pass_due(&self, work: &mut Work<'a>, number: usize, repository: usize) {
        let Some(database) = work.databases.get_mut(&number) else { return };
        let unlocked = &mut work.lanes[repository].unlocked;
        let found = match self.pass(unlocked, &database.kept, repository) {
            Ok(found) => found,
            Err(error) => return self.tell(number, repository, KeeperNews::Failing(error)),
        };
        let Some(way) = database.ways.get_mut(&repository) else { return };
        way.learn(found.names, &database.kept.ladder);
        // What was announced must be looked at again, though nothing is written any more.
        way.written = found.pass.waiting_objects > 0;
        self.tell(number, repository, KeeperNews::Passed(found.pass));
        if let Some(damage) = found.damage {
            self.tell(number, repository, KeeperNews::Failing(damage));
        }
        if let Some(reason) = found.base {
            self.tell(number, repository, KeeperNews::BaseDue { reason });
        }
    }

    /// The repository is opened anew for the passes that are due at a time: its password may have changed
    /// since the last ones, and secrets are in memory only as long as they are needed.
    fn pass(
        &self,
        unlocked: &mut Option<OpenRepository<'a>>,
        kept: &Kept,
        repository: usize,
    ) -> Result<Found> {
        let opened = match unlocked {
            Some(opened) => &*opened,
            None => unlocked.insert(self.open(repository)?),
        };
        let (mut pass, mut damage) = (Pass::default(), None);
        if opened.can_read() {
            let address = kept.lineage.database();
            let mut tidied = tidy(opened, address, &kept.ladder, self.pace.grace, &kept.local)?;
            pass = summary(&tidied);
            damage = tidied.take_finding().map(|finding| finding.error.into());
        }
        let listing = opened.repository().listing(&kept.lineage)?;
        let objects = listing.files.iter().flat_map(|file| &file.objects);
        let keys: HashSet<&str> = objects.map(|object| object.key.as_str()).collect();
        kept.local.ledger(&opened.id()).retain(&keys)?;
        let base = base_due(&listing.files, Time::now()).filter(|_| !listing.fenced);
        let names = listing.files.iter().map(|file| file.name).collect();
        Ok(Found { pass, names, base: base.map(|due| reason(&due)), damage })
    }
}

fn summary(tidied: &Tidied) -> Pass {
    let Tidied { compacted, plan, pruned } = tidied;
    let waiting = plan.waiting.iter().chain(&plan.announce);
    Pass {
        merges: compacted.merges,
        announced_objects: pruned.announced_objects,
        removed_objects: pruned.removed_objects,
        removed_bytes: pruned.removed_bytes,
        waiting_objects: waiting.clone().count() as u64,
        waiting_bytes: waiting.map(|object| object.size).sum(),
    }
}

fn reason(due: &BaseDue) -> String {
    match due.base {
        None => "it has none".to_owned(),
        Some(_) if due.delta_bytes > due.base_bytes => format!(
            "what changed since the last one takes {} bytes, that one {}",
            due.delta_bytes, due.base_bytes
        ),
        Some(base) => format!("the last one is of {}", base.time.timestamp()),
    }
}
