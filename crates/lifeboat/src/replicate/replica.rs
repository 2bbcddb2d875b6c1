//! Follows one database and captures what it sees.
//!
//! A WAL database that is written to is followed by a tracker, whose pins move on with every look. One
//! with a rollback journal is looked at when its file has changed. Either is let go of when nothing
//! happens: then nothing of it is open, and the saved moment tells what happened meanwhile.

use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::Time;
use lifeboat_sqlite::{Advance, HandOver, JournalMode, Patience, Step, Tracker, pin};

use super::Limits;
use super::captures::{Captures, Look};
use super::growth::Growth;
use crate::capture::describe;
use crate::state::DatabaseStateFile;
use crate::{DatabaseSource, DatabaseTarget, Error, Result};

/// A database that has a lineage here.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) target: DatabaseTarget,
    pub(super) captures: Captures,
    tracker: Option<Tracker>,
    /// Looks until the next hand-over: one that brought nothing is not tried at each.
    patience: u32,
    growth: Growth,
}

/// Looks between two hand-overs when the first has brought nothing.
const BETWEEN_HAND_OVERS: u32 = 3;

impl Replica {
    /// Goes on from the saved state; where there is none to go on from, the files come back.
    pub(super) fn resume(
        target: DatabaseTarget,
        files: DatabaseStateFile,
    ) -> Result<Result<Self, DatabaseStateFile>> {
        let captures = Captures::resume(&target, files)?;
        Ok(captures.map(|captures| Self {
            target,
            captures,
            tracker: None,
            patience: 0,
            growth: Growth::default(),
        }))
    }

    /// The database and its files.
    pub(super) fn into_parts(self) -> (DatabaseTarget, DatabaseStateFile) {
        (self.target, self.captures.files)
    }

    /// The last transaction that was captured, and its time.
    pub(super) fn captured(&self) -> (Option<Txid>, Time) {
        let captured = &self.captures.state.captured;
        (captured.txid, captured.time)
    }

    /// Looks whether something changed, and captures it.
    pub(super) fn look(&mut self, limits: &Limits) -> Result<Look> {
        match self.advance()? {
            Some(Look::NewLineage(reason)) => Ok(Look::NewLineage(reason)),
            Some(look) => {
                let handed = self.hand_over(limits)?;
                self.growth.next(self.wal_bytes(), Instant::now());
                Ok(if handed { Look::Captured } else { look })
            }
            None if self.is_still() => Ok(Look::Nothing),
            None => self.look_anew(),
        }
    }

    /// Moves the tracker on; `None` where there is none that could tell.
    fn advance(&mut self) -> Result<Option<Look>> {
        let Self { tracker: Some(tracker), captures, .. } = self else { return Ok(None) };
        // Everything is read again after a while.
        let Some(scanned) = captures.scanned() else {
            self.rest();
            return Ok(None);
        };
        match tracker.advance()? {
            Advance::Nothing => {
                captures.see(Some(*tracker.moment()), scanned);
                Ok(Some(Look::Nothing))
            }
            Advance::Step(step) => take(captures, step, scanned).map(Some),
            Advance::Lost(_) => {
                self.tracker = None;
                Ok(None)
            }
        }
    }

    /// Has a WAL that is too large put into the database file; whether something was captured then.
    fn hand_over(&mut self, limits: &Limits) -> Result<bool> {
        let Self { tracker: Some(tracker), captures, patience, .. } = self else {
            return Ok(false);
        };
        let too_large = limits.wal_bytes.is_some_and(|limit| tracker.wal_bytes() > limit);
        *patience = patience.saturating_sub(1);
        if !too_large || *patience > 0 {
            return Ok(false);
        }
        let mut captured = false;
        let scanned = captures.scanned().unwrap_or(Time::from_millis(0));
        let done = tracker.hand_over(&Patience::default(), |step| {
            captured |= matches!(take(captures, step, scanned)?, Look::Captured);
            Ok::<_, Error>(())
        })?;
        match done {
            HandOver::Done => {}
            HandOver::Lost(_) => self.tracker = None,
            _ => *patience = BETWEEN_HAND_OVERS,
        }
        Ok(captured)
    }

    /// When to look again at the latest, so that the WAL does not grow far beyond its limit.
    pub(super) fn pause(&self, limits: &Limits) -> Option<Duration> {
        self.tracker.as_ref().and(limits.wal_bytes).map(|limit| self.growth.pause(limit))
    }

    /// Without opening a database with a rollback journal, since opening it takes its lock: whether its
    /// file is the one of the last capture.
    fn is_still(&self) -> bool {
        let Some(seen) = &self.captures.state.captured.seen else { return false };
        let moment = &seen.moment;
        moment.journal_mode == JournalMode::Rollback && moment.is_still(&self.target.path)
    }

    /// Pins the database, and follows it from there if it has a WAL.
    fn look_anew(&mut self) -> Result<Look> {
        self.tracker = None;
        self.growth = Growth::default();
        let pin = pin(&self.target.path, &self.captures.files.scratch())?;
        let look = self.captures.capture(&pin)?;
        if !matches!(look, Look::NewLineage(_)) {
            self.tracker = Tracker::start(pin)?;
        }
        Ok(look)
    }

    /// Looks and captures, and describes what is captured now as a backup does.
    pub(super) fn look_closely(&mut self) -> Result<(Look, DatabaseSource)> {
        self.rest();
        let pin = pin(&self.target.path, &self.captures.files.scratch())?;
        let look = self.captures.capture(&pin)?;
        let facts = self.captures.facts(&pin)?;
        let mut source = describe(&self.target, &self.captures.state, &facts)?;
        source.changed_from = Some(source.txid);
        Ok((look, source))
    }

    /// Lets go of the database. What happens to it meanwhile is found out by its moment.
    pub(super) fn rest(&mut self) {
        self.tracker = None;
    }

    /// Bytes of the WAL that are in use.
    pub(super) fn wal_bytes(&self) -> u64 {
        self.tracker.as_ref().map_or(0, Tracker::wal_bytes)
    }

    /// Whether nothing changed for so long.
    pub(super) fn is_quiet_for(&self, time: Duration) -> bool {
        self.captures.changed.is_none_or(|changed| changed.elapsed() >= time)
    }
}

/// Captures a step, and lets the tracker go on from it.
fn take(captures: &mut Captures, step: Step<'_>, scanned: Time) -> Result<Look> {
    let look =
        captures.capture_pages(&step.image()?, step.pages(), Some(*step.moment()), scanned)?;
    step.keep();
    Ok(look)
}
