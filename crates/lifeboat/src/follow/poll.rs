//! One look at the repository, and what follows from it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lifeboat_ltx::Txid;
use lifeboat_repository::{
    DatabaseAddress, LineageAddress, LineageId, LineageListing, LtxFile, Point, points,
};
use lifeboat_sqlite::Standby;

use super::FollowReport;
use super::event::{FollowEvent, FollowPoint, Rewrite};
use super::find::newest_lineage;
use super::sidecar::{Position, Sidecar};
use super::step::{Step, step};
use crate::{Detour, OpenRepository, Progress, Result};

/// How often a way is planned again within one look: each time an object was found damaged or gone.
const PLANS: usize = 100;
/// After so many looks the lineages that were older are looked at again: the clock of their host may
/// have been put right.
const LOOKS: u32 = 100;

/// How a look ended.
#[derive(Debug)]
pub(super) enum Outcome {
    CaughtUp,
    Behind(String),
    Stopped,
}

/// How carrying a step out ended.
pub(super) enum Done {
    Yes,
    /// Something was found damaged, and left out from here on.
    PlanAgain,
    /// The standby is not what it should be.
    Diverged,
    Stopped,
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
    /// Lineages that were looked at and are older.
    older: BTreeSet<LineageId>,
    looks: u32,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        opened: &'a OpenRepository<'a>,
        database: DatabaseAddress,
        target: PathBuf,
        sidecar: Sidecar,
        replace: bool,
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
            older: BTreeSet::new(),
            looks: 0,
        }
    }

    /// What the standby holds.
    pub(super) fn point(&self) -> Option<FollowPoint> {
        self.sidecar.position.as_ref().map(point_of)
    }

    pub(super) fn report(&self, outcome: Outcome) -> Result<FollowReport> {
        let behind = match outcome {
            Outcome::Behind(reason) => Some(reason),
            Outcome::CaughtUp | Outcome::Stopped => None,
        };
        Ok(FollowReport { point: self.point(), behind })
    }

    /// Looks once, and applies what is new.
    pub(super) fn poll(&mut self, stop: &AtomicBool) -> Result<Outcome> {
        // What was damaged may have been put back, or was only read wrong.
        self.detour = Detour::default();
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS) {
            self.older.clear();
        }
        let mut why = self.open_standby()?;
        for _ in 0..PLANS {
            let (lineage, listing, next) = match self.plan(why)? {
                Planned::Way(lineage, listing, next) => (lineage, listing, next),
                Planned::Nothing => return Ok(Outcome::CaughtUp),
                Planned::Stuck(reason) => return Ok(Outcome::Behind(reason)),
            };
            let done = match next {
                Next::Onward(files) => self.onward(&lineage, &files, stop)?,
                Next::Anew(point, why) => self.anew(&lineage, &listing, point, why, stop)?,
            };
            match done {
                Done::Yes if self.holds_all_of(&listing) => return Ok(Outcome::CaughtUp),
                Done::Yes | Done::PlanAgain => why = self.open_standby()?,
                Done::Diverged => why = Some(Rewrite::Diverged),
                Done::Stopped => return Ok(Outcome::Stopped),
            }
        }
        Ok(Outcome::Behind("object after object is damaged or gone".to_owned()))
    }

    fn holds_all_of(&self, listing: &LineageListing) -> bool {
        let held = self.sidecar.position.as_ref().map(Position::txid);
        self.detour.damaged.is_empty() && held == listing.last()
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

    /// What to do next: with the lineage that is followed, else with a newer one.
    fn plan(&mut self, why: Option<Rewrite>) -> Result<Planned> {
        let followed = self.sidecar.position.as_ref().map(|position| position.lineage);
        let current = match followed {
            Some(id) => {
                let lineage = self.database.lineage(id)?;
                let listing = self.opened.repository().listing(&lineage)?;
                Some((lineage, listing))
            }
            None => None,
        };
        let from = self.sidecar.position.as_ref().map(Position::txid).filter(|_| why.is_none());
        let steps = current.map(|(lineage, listing)| {
            let step = self.step(&listing, from);
            (lineage, listing, step)
        });
        if let Some((lineage, listing, Step::Onward(files))) = steps {
            return Ok(Planned::Way(lineage, listing, Next::Onward(files)));
        }
        let current = steps.as_ref().map(|(lineage, listing, _)| (lineage, listing));
        if let Some((lineage, listing)) = self.newer_lineage(current)? {
            let why = why.unwrap_or(Rewrite::Lineage);
            return Ok(match self.step(&listing, None) {
                Step::Anew(point) => Planned::Way(lineage, listing, Next::Anew(point, why)),
                _ => Planned::Stuck("a newer lineage has begun, but is not whole".to_owned()),
            });
        }
        match steps {
            Some((lineage, listing, Step::Anew(point))) => {
                let next = Next::Anew(point, why.unwrap_or(Rewrite::Gap));
                Ok(Planned::Way(lineage, listing, next))
            }
            Some((lineage, listing, Step::Nothing)) => self.verify(lineage, listing),
            Some((.., Step::Stuck(reason))) => Ok(Planned::Stuck(reason)),
            Some((.., Step::Onward(_))) | None => {
                Ok(Planned::Stuck("no file leads to a database".to_owned()))
            }
        }
    }

    fn step(&self, listing: &LineageListing, from: Option<Txid>) -> Step {
        let mut sound = listing.clone();
        self.detour.apply(&mut sound);
        step(&sound.files, listing.last(), from)
    }

    /// A lineage whose newest point is newer than that of the one that is followed.
    fn newer_lineage(
        &mut self,
        current: Option<(&LineageAddress, &LineageListing)>,
    ) -> Result<Option<(LineageAddress, LineageListing)>> {
        let repository = self.opened.repository();
        let followed = current.map(|(lineage, _)| lineage.id());
        let mut candidates: Vec<_> =
            current.into_iter().map(|(a, b)| (a.clone(), b.clone())).collect();
        for lineage in repository.lineages(&self.database)? {
            if Some(lineage.id()) == followed || self.older.contains(&lineage.id()) {
                continue;
            }
            let mut listing = repository.listing(&lineage)?;
            self.detour.apply(&mut listing);
            candidates.push((lineage, listing));
        }
        // One that has begun, but not to the end of its base, is not older.
        let whole = candidates.iter().filter(|(_, listing)| !points(&listing.files).is_empty());
        let ids: Vec<_> = whole.map(|(lineage, _)| lineage.id()).collect();
        let newest = newest_lineage(candidates);
        let chosen = newest.as_ref().map(|(lineage, _)| lineage.id());
        if self.detour.damaged.is_empty() {
            self.older
                .extend(ids.into_iter().filter(|id| ![chosen, followed].contains(&Some(*id))));
        }
        Ok(newest.filter(|_| chosen != followed))
    }

    /// The repository has nothing new: is the standby still what it was left as?
    fn verify(&mut self, lineage: LineageAddress, listing: LineageListing) -> Result<Planned> {
        let verified = self.standby.as_mut().map_or(Ok(false), Standby::verify);
        match verified {
            Ok(true) => return Ok(Planned::Nothing),
            Ok(false) => {}
            Err(error) if is_diverged(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(match self.step(&listing, None) {
            Step::Anew(point) => {
                Planned::Way(lineage, listing, Next::Anew(point, Rewrite::Diverged))
            }
            _ => Planned::Stuck("it was changed by somebody else, and cannot be restored".into()),
        })
    }
}

/// What a plan says.
enum Planned {
    Nothing,
    Stuck(String),
    Way(LineageAddress, LineageListing, Next),
}

enum Next {
    Onward(Vec<LtxFile>),
    Anew(Point, Rewrite),
}

pub(super) fn point_of(position: &Position) -> FollowPoint {
    FollowPoint { lineage: position.lineage, txid: position.txid(), time: position.time }
}

/// Whether an error says that a standby is damaged.
pub(super) fn is_diverged(error: &lifeboat_sqlite::Error) -> bool {
    use lifeboat_sqlite::Error as Database;
    matches!(error, Database::Corrupt { .. } | Database::NotADatabase { .. })
}
