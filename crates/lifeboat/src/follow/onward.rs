//! Leads a standby on by the files that follow what it holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_repository::{LineageAddress, LtxFile, open_ltx};
use lifeboat_sqlite::Applied;

use super::event::FollowEvent;
use super::poll::{Done, Keeper, is_diverged};
use super::sidecar::Position;
use crate::way::corrupt;
use crate::{Error, Result};

impl Keeper<'_> {
    /// Applies files in order. What the standby holds is written down after each.
    pub(super) fn onward(
        &mut self,
        lineage: &LineageAddress,
        files: &[LtxFile],
        stop: &AtomicBool,
    ) -> Result<Done> {
        for file in files {
            if stop.load(Ordering::Relaxed) {
                return Ok(Done::Stopped);
            }
            let applied = match self.apply(lineage, file) {
                Ok(applied) => applied,
                Err(error) if error.is_damage() => {
                    self.detour.exclude(file, &error, self.progress);
                    return Ok(Done::PlanAgain);
                }
                Err(Error::Database(lifeboat_sqlite::Error::Discontinuous { detail })) => {
                    // It is one of the two: the standby is not what it should be, or the file.
                    if let Some(standby) = &mut self.standby {
                        standby.doubt();
                    }
                    if !self.is_verified()? {
                        return Ok(Done::Diverged);
                    }
                    let error = corrupt(file.first_key(), detail).into();
                    self.detour.exclude(file, &error, self.progress);
                    return Ok(Done::PlanAgain);
                }
                Err(Error::Database(error)) if is_diverged(&error) => return Ok(Done::Diverged),
                Err(error) => return Err(error),
            };
            self.record(lineage, file, applied)?;
        }
        if let Some(standby) = &self.standby {
            standby.checkpoint()?;
        }
        Ok(Done::Yes)
    }

    fn apply(&mut self, lineage: &LineageAddress, file: &LtxFile) -> Result<Applied> {
        let (repository, secrets) = (self.opened.repository(), self.opened.secrets()?);
        let (storage, node) = (repository.storage(), repository.node_of(lineage));
        let (decoder, reader) = open_ltx(storage, file, node, &HashMap::new(), secrets)?;
        let Some(standby) = &mut self.standby else {
            return Err(lifeboat_sqlite::Error::Missing { path: self.target.clone() }.into());
        };
        standby.apply(decoder, &mut |_| ()).map_err(|error| match error {
            lifeboat_sqlite::Error::Ltx { source, .. } => reader.explain(source).into(),
            other => other.into(),
        })
    }

    fn record(&mut self, lineage: &LineageAddress, file: &LtxFile, applied: Applied) -> Result<()> {
        let Some(standby) = &self.standby else { return Ok(()) };
        let position = Position::new(lineage.id(), file.name.time, standby.held());
        self.sidecar.position = Some(position);
        self.sidecar.save(&self.target)?;
        (self.events)(&FollowEvent::Applied { point: position.point(), pages: applied.pages });
        Ok(())
    }
}
