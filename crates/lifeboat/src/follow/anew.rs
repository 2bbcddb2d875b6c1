//! Makes a standby, or makes one again, by the way from a base.
//!
//! The way is staged beside the target first, as in a restore, so that nothing is locked while it is
//! read. A standby that is there is then overwritten where it differs, in one transaction that its
//! readers need not leave; another file takes the place of one that cannot be.
//!
//! Two things a restore asks are not asked here. A manifest: it says of the base who wrote it, but none
//! will say so of the captures that follow. SQLite's integrity check: that every checksum agrees shows that
//! the standby is what was captured, and one that refused the damage of its primary would hold nothing at
//! all; drills and `doctor --integrity` look for that.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_repository::{LineageAddress, LineageListing, LtxFile, Point, Time, open_ltx};
use lifeboat_sqlite::{Held, Replaced, Stage, Standby, place, replace, sidecars};

use super::event::{FollowEvent, Rewrite};
use super::poll::{Done, Keeper, is_diverged};
use super::sidecar::{Position, Sidecar};
use crate::Result;
use crate::destination::{aside_path, directory_of, stage_prefix};
use crate::space::require;
use crate::staging::{Claim, begin_stage, sweep};
use crate::way::corrupt;

impl Keeper<'_> {
    /// Brings the standby to `point`, whatever it holds.
    pub(super) fn anew(
        &mut self,
        lineage: &LineageAddress,
        listing: &LineageListing,
        point: Point,
        why: Rewrite,
        stop: &AtomicBool,
    ) -> Result<Done> {
        let (directory, prefix) = (directory_of(&self.target), stage_prefix(&self.target));
        sweep(&directory, &prefix, self.progress)?;
        let (mut stage, claim) = begin_stage(&directory, &prefix)?;
        let mut sound = listing.clone();
        self.detour.apply(&mut sound);
        let way: Vec<LtxFile> = sound.plan(lineage, point.txid)?.into_iter().cloned().collect();
        self.progress.begin(&format!("restoring {}", self.database.name()), None);
        let filled = self.fill(lineage, &way, &mut stage, stop);
        self.progress.end();
        match filled? {
            Done::Yes => {}
            done => return Ok(done),
        }
        let (pages, former) = match self.overwrite(&stage)? {
            Some(pages) => (Some(pages), None),
            None => (None, self.place(stage, claim, lineage, point.time)?),
        };
        let Some(standby) = &self.standby else { return Ok(Done::Diverged) };
        let position = Position::new(lineage.id(), point.time, standby.held());
        self.sidecar.position = Some(position);
        self.sidecar.save(&self.target)?;
        standby.checkpoint()?;
        let point = position.point();
        (self.events)(&FollowEvent::Rewritten { point, why, pages, former });
        Ok(Done::Yes)
    }

    /// Applies the way to the stage. A file that is damaged, or does not fit, is left out from now on.
    fn fill(
        &mut self,
        lineage: &LineageAddress,
        way: &[LtxFile],
        stage: &mut Stage,
        stop: &AtomicBool,
    ) -> Result<Done> {
        for file in way {
            if stop.load(Ordering::Relaxed) {
                return Ok(Done::Stopped);
            }
            match self.add(lineage, file, stage) {
                Ok(()) => {}
                Err(error) if error.is_damage() => {
                    self.detour.exclude(file, &error, self.progress);
                    return Ok(Done::PlanAgain);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Done::Yes)
    }

    fn add(&self, lineage: &LineageAddress, file: &LtxFile, stage: &mut Stage) -> Result<()> {
        let (repository, secrets) = (self.opened.repository(), self.opened.secrets()?);
        let (storage, node) = (repository.storage(), repository.node_of(lineage));
        let (decoder, reader) = open_ltx(storage, file, node, &HashMap::new(), secrets)?;
        let header = decoder.header();
        if header.range.is_base() {
            let bytes = u64::from(header.page_size.get()) * u64::from(header.commit);
            require(&directory_of(&self.target), bytes)?;
            stage.reserve(bytes)?;
        }
        let applied = stage.apply(decoder, &mut |bytes| self.progress.advance(bytes));
        applied.map(drop).map_err(|error| match error {
            lifeboat_sqlite::Error::Ltx { source, .. } => reader.explain(source).into(),
            lifeboat_sqlite::Error::Discontinuous { detail } => {
                corrupt(file.first_key(), detail).into()
            }
            other => other.into(),
        })
    }

    /// Writes to the standby in which pages it differs; how many. `None` where there is none, or it
    /// cannot be written to.
    fn overwrite(&mut self, stage: &Stage) -> Result<Option<u32>> {
        if self.replace || !self.target.is_file() {
            return Ok(None);
        }
        if self.standby.is_none() {
            let held = match self.sidecar.position {
                Some(position) => position.held(),
                None => return Ok(None),
            };
            match Standby::open(&self.target, held) {
                Ok(standby) => self.standby = Some(standby),
                Err(error) if is_diverged(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let Some(standby) = &mut self.standby else { return Ok(None) };
        if standby.page_size().get() != stage.page_bytes() {
            return Ok(None);
        }
        match standby.overwrite(stage, &mut |_| ()) {
            Ok(applied) => Ok(Some(applied.pages)),
            Err(error) if is_diverged(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the stage in the place of what is there; where that is now.
    fn place(
        &mut self,
        stage: Stage,
        claim: Claim,
        lineage: &LineageAddress,
        time: Time,
    ) -> Result<Option<PathBuf>> {
        // Our own connection would count as a user of the target.
        self.standby = None;
        let held = stage.become_standby()?;
        let former = self.target.metadata();
        if let (Ok(former), true) = (&former, rustix::process::geteuid().is_root()) {
            stage.give_to(former.uid(), former.gid())?;
        }
        stage.sync(former.map_or(0o600, |former| former.mode()))?;
        let may_replace = self.replace || self.sidecar.position.is_some();
        let is_there = self.target.symlink_metadata().is_ok() || !sidecars(&self.target).is_empty();
        let replaced = if may_replace && is_there {
            replace(stage.path(), &self.target, &aside_path(&self.target))?
        } else {
            // Before there is a file: without this it would not be taken for a standby again.
            self.write_down(lineage, time, held)?;
            self.place_new(&stage)?;
            Replaced::Nothing
        };
        stage.keep();
        // Closed before SQLite opens the file: later it would take the locks of SQLite with it.
        drop(claim);
        // After what was there is out of the way: that must never be taken for the standby.
        self.write_down(lineage, time, held)?;
        self.replace = false;
        self.standby = Some(Standby::open(&self.target, held)?);
        Ok(match replaced {
            Replaced::Former(aside) => Some(aside.database),
            Replaced::Nothing => None,
        })
    }

    fn place_new(&mut self, stage: &Stage) -> Result<()> {
        let placed = place(stage.path(), &self.target);
        if let Err(lifeboat_sqlite::Error::TargetExists { .. }) = &placed {
            // Somebody else was faster; what is there now is not ours.
            self.sidecar.position = None;
            Sidecar::remove(&self.target)?;
        }
        Ok(placed?)
    }

    fn write_down(&mut self, lineage: &LineageAddress, time: Time, held: Held) -> Result<()> {
        self.sidecar.position = Some(Position::new(lineage.id(), time, held));
        self.sidecar.save(&self.target)
    }
}
