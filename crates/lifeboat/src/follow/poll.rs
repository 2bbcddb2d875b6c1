//! One look at the repository, and what follows from it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lifeboat_ltx::Txid;
use lifeboat_repository::{DatabaseAddress, LineageListing, LtxFile, Point};
use lifeboat_sqlite::Standby;

use super::event::{FollowEnd, FollowEvent, FollowPoint, Rewrite};
use super::lineages::{Lineages, Listed};
use super::sidecar::{Position, Sidecar};
use super::step::{Step, step};
use crate::{Detour, OpenRepository, Progress, Result};

/// How often a way is planned again within one look: each time an object was found damaged or gone.
const PLANS: usize = 100;

/// How carrying a step out ended.
pub(super) enum Done {
    Yes,
    /// Something was found damaged, and left out from here on.
    PlanAgain,
    /// The standby is not what it should be.
    Diverged,
    Stopped,
}

/// What to do next.
enum Next {
    End(FollowEnd),
    Onward(Listed, Vec<LtxFile>),
    Anew(Listed, Point, Rewrite),
}

/// Keeps one standby.
pub(super) struct Keeper<'a> {
    pub(super) opened: &'a OpenRepository<'a>,
    pub(super) database: DatabaseAddress,
    pub(super) target: PathBuf,
    pub(super) sidecar: Sidecar,
    /// What is at the target is somebody else's: to be moved aside.
    pub(super) replace: bool,
    pub(super) standby: Option<Standby>,
    pub(super) detour: Detour,
    pub(super) progress: &'a dyn Progress,
    pub(super) events: &'a dyn Fn(&FollowEvent),
    lineages: Lineages,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        opened: &'a OpenRepository<'a>,
        database: DatabaseAddress,
        target: PathBuf,
        (sidecar, replace): (Sidecar, bool),
        progress: &'a dyn Progress,
        events: &'a dyn Fn(&FollowEvent),
    ) -> Self {
        Self {
            opened,
            database,
            target,
            sidecar,
            replace,
            standby: None,
            detour: Detour::default(),
            progress,
            events,
            lineages: Lineages::default(),
        }
    }

    /// What the standby holds.
    pub(super) fn point(&self) -> Option<FollowPoint> {
        self.sidecar.position.as_ref().map(Position::point)
    }

    /// Looks once, and applies what is new.
    pub(super) fn poll(&mut self, stop: &AtomicBool) -> Result<FollowEnd> {
        // What was damaged may have been put back, or was only read wrong.
        self.detour = Detour::default();
        let mut why = self.open_standby()?;
        for _ in 0..PLANS {
            let (done, last) = match self.plan(why)? {
                Next::End(outcome) => return Ok(outcome),
                Next::Onward((lineage, listing), files) => {
                    (self.onward(&lineage, &files, stop)?, listing.last())
                }
                Next::Anew((lineage, listing), point, why) => {
                    let done = self.anew(&lineage, &listing, point, why, stop)?;
                    (done, listing.last())
                }
            };
            match done {
                Done::Yes if self.txid() == last => return Ok(FollowEnd::CaughtUp),
                Done::Yes | Done::PlanAgain => why = self.open_standby()?,
                Done::Diverged => why = Some(Rewrite::Diverged),
                Done::Stopped => return Ok(FollowEnd::Stopped),
            }
        }
        Ok(FollowEnd::Behind("object after object is damaged or gone".to_owned()))
    }

    fn txid(&self) -> Option<Txid> {
        self.sidecar.position.as_ref().map(Position::txid)
    }

    /// Opens the standby if it is not open; else, why it has to be rewritten.
    fn open_standby(&mut self) -> Result<Option<Rewrite>> {
        self.standby.take_if(|standby| !standby.is_in_place());
        let Some(position) = self.sidecar.position else { return Ok(Some(Rewrite::First)) };
        if self.standby.is_some() {
            return Ok(None);
        }
        match Standby::open(&self.target, position.held()) {
            Ok(standby) => {
                self.standby = Some(standby);
                Ok(None)
            }
            Err(lifeboat_sqlite::Error::Missing { .. }) => Ok(Some(Rewrite::First)),
            Err(error) if is_diverged(&error) => Ok(Some(Rewrite::Diverged)),
            Err(error) => Err(error.into()),
        }
    }

    /// What to do next: go on with the lineage that is followed, else with a newer one. `why` says
    /// that what the standby holds is of no use.
    fn plan(&mut self, why: Option<Rewrite>) -> Result<Next> {
        let followed = self.followed()?;
        let from = self.txid().filter(|_| why.is_none());
        let next = followed.as_ref().map(|(_, listing)| self.step(listing, from));
        let (next, followed) = match (next, followed) {
            (Some(Step::Onward(files)), Some(listed)) => return Ok(Next::Onward(listed, files)),
            other => other,
        };
        let (opened, database) = (self.opened, &self.database);
        let newer = self.lineages.newer(opened, database, followed.as_ref(), &self.detour)?;
        if let Some(newer) = newer {
            return Ok(self.begin_with(newer, why.unwrap_or(Rewrite::Lineage)));
        }
        Ok(match (next, followed) {
            (Some(Step::Anew(point)), Some(listed)) => {
                Next::Anew(listed, point, why.unwrap_or(Rewrite::Gap))
            }
            (Some(Step::Stuck(reason)), _) => Next::End(FollowEnd::Behind(reason)),
            (Some(_), Some(listed)) if !self.is_verified()? => {
                self.begin_with(listed, Rewrite::Diverged)
            }
            (Some(_), _) => Next::End(FollowEnd::CaughtUp),
            (None, _) => Next::End(FollowEnd::Behind("no file leads to a database".to_owned())),
        })
    }

    /// The lineage that is followed.
    fn followed(&self) -> Result<Option<Listed>> {
        let Some(position) = &self.sidecar.position else { return Ok(None) };
        let lineage = self.database.lineage(position.lineage)?;
        let listing = self.opened.repository().listing(&lineage)?;
        Ok(Some((lineage, listing)))
    }

    fn begin_with(&self, listed: Listed, why: Rewrite) -> Next {
        match self.step(&listed.1, None) {
            Step::Anew(point) => Next::Anew(listed, point, why),
            _ => Next::End(FollowEnd::Behind("no file leads to a database".to_owned())),
        }
    }

    fn step(&self, listing: &LineageListing, from: Option<Txid>) -> Step {
        let mut sound = listing.clone();
        self.detour.apply(&mut sound);
        step(&sound.files, listing.last(), from)
    }

    /// Whether the standby is what it should be.
    pub(super) fn is_verified(&mut self) -> Result<bool> {
        match self.standby.as_mut().map_or(Ok(false), Standby::verify) {
            Err(error) if is_diverged(&error) => Ok(false),
            verified => Ok(verified?),
        }
    }
}

/// Whether an error says that a standby is damaged.
pub(super) fn is_diverged(error: &lifeboat_sqlite::Error) -> bool {
    use lifeboat_sqlite::Error as Database;
    matches!(error, Database::Corrupt { .. } | Database::NotADatabase { .. })
}
