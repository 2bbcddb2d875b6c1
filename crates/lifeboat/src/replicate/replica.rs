//! Captures one database, again and again, into its spool.
//!
//! A capture is a file of the spool, durable before anything else counts on it. The page array and the
//! state follow in memory and are saved now and then; until they are, the spool keeps what they would
//! miss.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::{LtxName, Time};
use lifeboat_sqlite::{
    Bitmap, Image, JournalMode, PageArray, Pin, Since, apply_changes, encode_changes, pin, scan,
    scan_pages, since,
};

use super::Limits;
use crate::capture::describe;
use crate::capture::find::{before, trusted};
use crate::capture::take::{LEVEL_CAPTURE, following, header, point_time, workers};
use crate::state::{Captured, DatabaseState, DatabaseStateFile, Facts, Seen, Spooled};
use crate::{DatabaseSource, DatabaseTarget, Result};

/// A database that has a lineage here.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) target: DatabaseTarget,
    pub(super) files: DatabaseStateFile,
    pub(super) state: DatabaseState,
    array: PageArray,
    /// Captures that some repository lacks, oldest first.
    pub(super) waiting: VecDeque<Spooled>,
    /// Whether the state in memory is ahead of its file.
    unsaved: bool,
    /// When something was last captured.
    pub(super) changed: Instant,
}

/// What a look at a database brought.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing changed.
    Nothing,
    /// A capture, which is in the spool.
    Point,
    /// The lineage cannot go on, and why.
    NewLineage(String),
}

impl Replica {
    /// Goes on from the saved state; `None` where there is none to go on from.
    pub(super) fn resume(
        target: DatabaseTarget,
        files: DatabaseStateFile,
    ) -> Result<Result<Self, DatabaseStateFile>> {
        let state = match files.load() {
            Ok(Some(state)) if state.path == target.path && state.captured.txid.is_some() => state,
            Ok(_) | Err(crate::Error::State { .. } | crate::Error::Database(_)) => {
                return Ok(Err(files));
            }
            Err(error) => return Err(error),
        };
        let Ok(array) = PageArray::open(&files.pages()) else { return Ok(Err(files)) };
        let waiting = files.spool().waiting()?.into();
        let changed = Instant::now();
        Ok(Ok(Self { target, files, state, array, waiting, unsaved: false, changed }))
    }

    /// The last transaction that was captured, and its time.
    pub(super) fn captured(&self) -> (Option<Txid>, Time) {
        (self.state.captured.txid, self.state.captured.time)
    }

    /// Looks whether something changed, and captures it.
    pub(super) fn look(&mut self, _limits: &Limits) -> Result<Look> {
        if self.surely_unchanged() {
            return Ok(Look::Nothing);
        }
        let pin = pin(&self.target.path, &self.files.scratch())?;
        self.capture(&pin)
    }

    /// Looks and captures, and describes what is captured now as a backup does.
    pub(super) fn look_closely(&mut self) -> Result<(Look, DatabaseSource)> {
        self.rest();
        let pin = pin(&self.target.path, &self.files.scratch())?;
        let look = self.capture(&pin)?;
        let image = pin.image()?;
        let facts = Facts::of(&pin, &image, &self.array, &Bitmap::new(0))?;
        let source = describe(&self.target, &self.state, &facts)?;
        if let Some(seen) = &mut self.state.captured.seen {
            seen.facts = Some(facts);
        }
        Ok((look, source))
    }

    /// Without opening a database with a rollback journal, since opening it takes its lock: whether its
    /// file is the one of the last capture.
    fn surely_unchanged(&self) -> bool {
        let Some(seen) = &self.state.captured.seen else { return false };
        let moment = &seen.moment;
        moment.journal_mode == JournalMode::Rollback && moment.is_still(&self.target.path)
    }

    /// Captures what a pinned state has that the last capture had not.
    pub(super) fn capture(&mut self, pin: &Pin) -> Result<Look> {
        if pin.page_size().get() != self.state.page_size {
            let (from, to) = (self.state.page_size, pin.page_size());
            return Ok(Look::NewLineage(format!("page size changed from {from} to {to}")));
        }
        let now = Time::now();
        let (image, pages) = match trusted(self.state.captured.seen.as_ref(), false, now) {
            Ok(seen) => match since(pin, &seen.moment)? {
                Since::Nothing => {
                    let scanned = seen.scanned;
                    self.see(pin, scanned);
                    return Ok(Look::Nothing);
                }
                Since::Pages { image, pages } => (image, Some(pages)),
                Since::Anything { image, .. } => (image, None),
            },
            Err(_) => (pin.image()?, None),
        };
        let scanned = match (&pages, &self.state.captured.seen) {
            (Some(_), Some(seen)) => seen.scanned,
            _ => now,
        };
        let seen = pin.moment().map(|moment| Seen { moment: *moment, scanned, facts: None });
        self.compare(&image, pages.as_ref(), seen)
    }

    /// The same pages, at a later moment.
    fn see(&mut self, pin: &Pin, scanned: Time) {
        let facts = self.state.captured.seen.as_ref().and_then(|seen| seen.facts.clone());
        let seen = pin.moment().map(|moment| Seen { moment: *moment, scanned, facts });
        self.unsaved |= seen != self.state.captured.seen;
        self.state.captured.seen = seen;
    }

    /// Compares pages, or all, with the page array, and spools those that differ.
    fn compare(
        &mut self,
        image: &Image<'_>,
        pages: Option<&Bitmap>,
        seen: Option<Seen>,
    ) -> Result<Look> {
        let (path, former) = (self.files.changes(), before(&self.state));
        let changes = match pages {
            Some(pages) => {
                scan_pages(image, &self.array, former, pages, &path, workers(), &|_| ())?
            }
            None => scan(image, &self.array, former, &path, workers(), &|_| ())?,
        };
        if changes.none() {
            self.state.captured.seen = seen;
            self.unsaved = true;
            return Ok(Look::Nothing);
        }
        let txid = following(self.state.highest().unwrap_or(Txid::FIRST), &self.state)?;
        let time = point_time(&self.state);
        let captured = Captured { txid: Some(txid), time, checksum: Some(changes.checksum), seen };
        let name = LtxName { level: LEVEL_CAPTURE, min: txid, max: txid, time };
        let mut header = header(image, self.state.lineage, name);
        header.checksum_before = Some(former);
        header.checksum_after = Some(changes.checksum);
        let spooled = self.files.spool().add(txid, &captured, |out| {
            let coding = lifeboat_ltx::PageCoding::Literal;
            encode_changes(image, &header, coding, &changes.pages, changes.checksum, out, &|_| ())?;
            Ok(())
        })?;
        apply_changes(&path, &self.array)?;
        self.state.captured = captured;
        self.waiting.push_back(spooled);
        self.unsaved = true;
        self.changed = Instant::now();
        Ok(Look::Point)
    }

    /// Saves the state, and removes what every repository of `positions` has from the spool.
    pub(super) fn save(&mut self, repositories: &[String]) -> Result<()> {
        if self.unsaved {
            self.array.sync()?;
            self.files.save(&self.state)?;
            self.unsaved = false;
        }
        let reached = |id: &String| self.state.positions.get(id).map(|position| position.txid);
        // One that has none yet gets a base, and needs nothing of this.
        let Some(all) = repositories.iter().filter_map(reached).min() else { return Ok(()) };
        while let Some(spooled) = self.waiting.pop_front_if(|spooled| spooled.max <= all) {
            self.files.release(&self.state, &spooled)?;
        }
        Ok(())
    }

    /// A repository holds more than before.
    pub(super) fn reached(&mut self, repository: &str, position: crate::state::Position) {
        let former = self.state.positions.get(repository);
        if former.is_none_or(|former| former.txid < position.txid) {
            self.state.positions.insert(repository.to_owned(), position);
            self.unsaved = true;
        }
    }

    /// Bytes that wait in the spool behind a position.
    pub(super) fn waiting_bytes(&self, after: Option<Txid>) -> u64 {
        self.waiting
            .iter()
            .filter(|spooled| Some(spooled.max) > after)
            .map(|spooled| spooled.bytes)
            .sum()
    }

    /// When the oldest capture that a repository lacks was made.
    pub(super) fn oldest_waiting(&self, after: Option<Txid>) -> Option<Time> {
        self.waiting.iter().find(|spooled| Some(spooled.max) > after).map(|spooled| spooled.time)
    }

    /// Closes what need not be open while nothing changes.
    pub(super) fn rest(&mut self) {}

    /// Bytes of the WAL that are in use.
    pub(super) fn wal_bytes(&self) -> u64 {
        0
    }

    /// Whether the state in memory is ahead of its file.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether nothing changed for so long.
    pub(super) fn is_quiet_for(&self, time: Duration) -> bool {
        self.changed.elapsed() >= time
    }
}
