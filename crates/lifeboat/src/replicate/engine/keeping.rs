//! What the keeper is told, and what it tells.

use std::time::Instant;

use lifeboat_ltx::Txid;
use lifeboat_repository::{DatabaseAddress, LineageId, Time};

use super::Engine;
use super::slot::{Phase, Slot};
use crate::error::chain;
use crate::replicate::event::Event;
use crate::replicate::keeper::Local;
use crate::replicate::message::{KeeperNews, Kept, Start, Upkeep};
use crate::replicate::status::UpkeepStatus;

impl Engine<'_> {
    pub(super) fn tell_keeper(&self, order: Upkeep) {
        if let Some(keeper) = &self.keeper {
            let _ = keeper.send(order);
        }
    }

    /// Has the keeper look after a database.
    pub(super) fn attach_keeper(&self, database: usize) {
        let slot = &self.databases[database];
        let Phase::Following(replica) = &slot.phase else { return };
        let lineage = replica.captures.state.lineage;
        let local = Local::new(lineage, replica.captures.files.merging(lineage));
        let address = DatabaseAddress::new(&self.context.host_name(), &slot.target.name);
        let Ok(address) = address else { return };
        let ladder = self.context.ladder_of(&slot.target.name);
        let Ok(lineage) = address.lineage(lineage) else { return };
        self.tell_keeper(Upkeep::Attach(Box::new(Kept { database, lineage, ladder, local })));
    }

    /// No merge needs copies of captures up to `txid` any more.
    pub(super) fn merged(&mut self, number: usize, lineage: LineageId, txid: Txid) {
        let Phase::Following(replica) = &mut self.databases[number].phase else { return };
        if replica.captures.state.lineage == lineage
            && let Err(error) = replica.captures.merged(txid)
        {
            self.failed(number, &error);
        }
    }

    /// Removes copies that have been there for long enough.
    pub(super) fn expire_due(&mut self, now: Instant) {
        for number in 0..self.databases.len() {
            let Phase::Following(replica) = &mut self.databases[number].phase else { continue };
            if replica.captures.copies_expire().is_some_and(|at| at <= now)
                && let Err(error) = replica.captures.drop_copies(None)
            {
                self.failed(number, &error);
            }
        }
    }

    pub(super) fn learn_upkeep(&mut self, number: usize, repository: usize, news: KeeperNews) {
        let location = self.repositories[repository].location.clone();
        let Slot { target, ways, .. } = &mut self.databases[number];
        let (database, upkeep) = (target.name.as_str(), &mut ways[repository].upkeep);
        let (in_repository, events) = (location.as_str(), self.events);
        let works = |upkeep: &mut UpkeepStatus| {
            if upkeep.problem.take().is_some() {
                let (database, repository) = (Some(database), Some(in_repository));
                events.event(&Event::Working { database, repository });
            }
        };
        match news {
            KeeperNews::Merged { name, files, sent_bytes } => {
                works(upkeep);
                upkeep.merges += 1;
                events.event(&Event::Merged {
                    database,
                    repository: in_repository,
                    from: name.min,
                    to: name.max,
                    files: files as u64,
                    bytes: sent_bytes,
                });
            }
            KeeperNews::Passed(pass) => {
                works(upkeep);
                upkeep.merges += pass.merges;
                upkeep.last_pass = Some(Time::now());
                upkeep.waiting_objects = pass.waiting_objects;
                upkeep.waiting_bytes = pass.waiting_bytes;
                events.event(&Event::Passed {
                    database,
                    repository: in_repository,
                    merges: pass.merges,
                    announced_objects: pass.announced_objects,
                    removed_objects: pass.removed_objects,
                    removed_bytes: pass.removed_bytes,
                });
            }
            KeeperNews::BaseDue { reason } => {
                events.event(&Event::BaseDue {
                    database,
                    repository: in_repository,
                    reason: &reason,
                });
                self.base(number, repository);
            }
            KeeperNews::Based { txid, sent_bytes } => {
                works(upkeep);
                let (repository, bytes) = (in_repository, sent_bytes);
                events.event(&Event::Based { database, repository, txid, bytes });
            }
            KeeperNews::Working => works(upkeep),
            KeeperNews::Failing(error) => {
                let error = chain(&error);
                if upkeep.problem.as_ref() != Some(&error) {
                    let (database, repository) = (Some(database), Some(in_repository));
                    events.event(&Event::Failing { database, repository, error: &error });
                    upkeep.problem = Some(error);
                }
            }
        }
    }

    /// Has a new base written. If somebody else has the database now, the next pass asks again.
    fn base(&mut self, database: usize, repository: usize) {
        let (slot, Some(starter)) = (&mut self.databases[database], &self.starter) else { return };
        match std::mem::replace(&mut slot.phase, Phase::Starting) {
            Phase::Following(replica) => {
                slot.next = None;
                let _ = starter.send(Start::Base { database, replica, repository });
            }
            other => slot.phase = other,
        }
    }
}
