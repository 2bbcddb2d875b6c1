//! What is captured of one database: its state, its page array and its spool, moved on together.
//!
//! A capture is a file of the spool, durable before anything else counts on it. The page array and the
//! state follow in memory and are saved now and then; until they are, the spool keeps what they would
//! miss.

use std::collections::VecDeque;
use std::time::Instant;

use lifeboat_ltx::{PageCoding, Txid};
use lifeboat_repository::{LtxName, Time};
use lifeboat_sqlite::{
    Bitmap, Image, Moment, PageArray, PageChanges, Pin, Since, apply_changes, compare_pages,
    encode_changes, scan, since,
};

use super::copies::Copies;
use super::queue::MOST_MERGED;
use crate::capture::find::{before, trusted};
use crate::capture::take::{LEVEL_CAPTURE, following, header, point_time, workers};
use crate::state::{Captured, DatabaseState, DatabaseStateFile, Facts, Position, Seen, Spooled};
use crate::{DatabaseTarget, Error, Result};

/// What is captured of a database.
#[derive(Debug)]
pub(super) struct Captures {
    pub(super) files: DatabaseStateFile,
    pub(super) state: DatabaseState,
    array: PageArray,
    /// Captures that some repository lacks, oldest first.
    pub(super) waiting: VecDeque<Spooled>,
    /// Captures that none lacks, and of which merges may still be made.
    copies: Copies,
    /// Whether the state in memory is ahead of its file.
    unsaved: bool,
    /// Whether the page array lacks a capture that is in the spool: then nothing may be saved, and the
    /// next start takes the capture over from there.
    torn: bool,
    /// When something was last captured; `None`: not since this process looks after it.
    pub(super) changed: Option<Instant>,
}

/// What a look at a database brought.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing changed.
    Nothing,
    /// There are captures, which are in the spool.
    Captured,
    /// The lineage cannot go on, and why.
    NewLineage(String),
}

/// What became of the spool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// What no repository lacks is gone.
    All,
    /// What is left became fewer files.
    Merged,
    /// Some of what is lacking is gone, up to this transaction.
    Dropped(Txid),
}

impl Captures {
    /// Goes on from the saved state; where there is none to go on from, the files come back.
    pub(super) fn resume(
        target: &DatabaseTarget,
        files: DatabaseStateFile,
    ) -> Result<Result<Self, DatabaseStateFile>> {
        let state = match files.load() {
            Ok(Some(state)) if state.path == target.path && state.captured.txid.is_some() => state,
            Ok(_) | Err(Error::State { .. } | Error::Database(_)) => return Ok(Err(files)),
            Err(error) => return Err(error),
        };
        let Ok(array) = PageArray::open(&files.pages()) else { return Ok(Err(files)) };
        files.spool().sweep()?;
        let waiting = files.spool().waiting()?.into();
        let copies = Copies::default();
        Ok(Ok(Self {
            files,
            state,
            array,
            waiting,
            copies,
            unsaved: false,
            torn: false,
            changed: None,
        }))
    }

    /// Captures what a pinned state has that the last capture had not.
    pub(super) fn capture(&mut self, pin: &Pin) -> Result<Look> {
        if pin.page_size().get() != self.state.page_size {
            let (from, to) = (self.state.page_size, pin.page_size());
            return Ok(Look::NewLineage(format!("page size changed from {from} to {to}")));
        }
        let now = Time::now();
        let moment = pin.moment().copied();
        let (image, scanned) = match trusted(self.state.captured.seen.as_ref(), false, now) {
            Ok(seen) => {
                let scanned = seen.scanned;
                match since(pin, &seen.moment)? {
                    Since::Nothing => {
                        self.see(moment, scanned);
                        return Ok(Look::Nothing);
                    }
                    Since::Pages { image, pages } => {
                        return self.capture_pages(&image, &pages, moment, scanned);
                    }
                    Since::Anything { image, .. } => (image, now),
                }
            }
            Err(_) => (pin.image()?, now),
        };
        let path = self.files.changes();
        let former = before(&self.state);
        let changes = scan(&image, &self.array, former, &path, workers(), &|_| ())?;
        if changes.none() {
            self.see(moment, scanned);
            return Ok(Look::Nothing);
        }
        self.add(&image, &changes.pages, changes.checksum, seen(moment, scanned))?;
        apply_changes(&path, &self.array)?;
        self.torn = false;
        Ok(Look::Captured)
    }

    /// Captures an image that differs from the last capture in some of these pages at most.
    pub(super) fn capture_pages(
        &mut self,
        image: &Image<'_>,
        pages: &Bitmap,
        moment: Option<Moment>,
        scanned: Time,
    ) -> Result<Look> {
        let changes = compare_pages(image, &self.array, before(&self.state), pages)?;
        if changes.none() {
            self.see(moment, scanned);
            return Ok(Look::Nothing);
        }
        let PageChanges { pages, checksum, .. } = &changes;
        self.add(image, pages, *checksum, seen(moment, scanned))?;
        changes.apply(&self.array)?;
        self.torn = false;
        Ok(Look::Captured)
    }

    /// When all pages were last read, if that is known.
    pub(super) fn scanned(&self) -> Option<Time> {
        trusted(self.state.captured.seen.as_ref(), false, Time::now()).ok().map(|seen| seen.scanned)
    }

    /// The same pages, at a later moment.
    pub(super) fn see(&mut self, moment: Option<Moment>, scanned: Time) {
        let facts = self.state.captured.seen.as_ref().and_then(|seen| seen.facts.clone());
        let seen = moment.map(|moment| Seen { moment, scanned, facts });
        self.unsaved |= seen != self.state.captured.seen;
        self.state.captured.seen = seen;
    }

    /// Adds pages of an image to the spool, as the next transaction. The page array lacks them then.
    fn add(
        &mut self,
        image: &Image<'_>,
        pages: &Bitmap,
        checksum: lifeboat_ltx::Checksum,
        seen: Option<Seen>,
    ) -> Result<()> {
        let txid = following(self.state.highest().unwrap_or(Txid::FIRST), &self.state)?;
        let time = point_time(&self.state);
        let name = LtxName { level: LEVEL_CAPTURE, min: txid, max: txid, time };
        let mut header = header(image, self.state.lineage, name);
        header.checksum_before = Some(before(&self.state));
        header.checksum_after = Some(checksum);
        let captured = Captured { txid: Some(txid), time, checksum: Some(checksum), seen };
        let spooled = self.files.spool().add(txid, &captured, |out| {
            encode_changes(image, &header, PageCoding::Literal, pages, checksum, out, &|_| ())?;
            Ok(())
        })?;
        self.state.captured = captured;
        self.torn = true;
        self.waiting.push_back(spooled);
        self.unsaved = true;
        self.changed = Some(Instant::now());
        Ok(())
    }

    /// What a manifest says of a pinned state that is captured.
    pub(super) fn facts(&mut self, pin: &Pin) -> Result<Facts> {
        let facts = Facts::of(pin, &pin.image()?, &self.array, &Bitmap::new(0))?;
        if let Some(seen) = &mut self.state.captured.seen {
            seen.facts = Some(facts.clone());
        }
        Ok(facts)
    }

    /// Whether the state in memory is ahead of its file.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Saves the state.
    pub(super) fn save(&mut self) -> Result<()> {
        if self.unsaved && !self.torn {
            self.array.sync()?;
            self.files.save(&self.state)?;
            self.unsaved = false;
        }
        Ok(())
    }

    /// Takes what all of these repositories have out of the spool, but for `copies` that merges are made
    /// of. If then more than `limit` bytes are left, the copies go first; the others are merged, and if
    /// that does not help, dropped: who lacks them is brought up in another way.
    ///
    /// The state must be saved.
    pub(super) fn release(
        &mut self,
        ids: &[String],
        limit: Option<u64>,
        copies: bool,
    ) -> Result<Released> {
        // One that has no position yet gets a base, and needs nothing of this.
        let positions = ids.iter().filter_map(|id| self.state.positions.get(id));
        let all = positions.map(|position| position.txid).min();
        let now = Instant::now();
        while self.waiting.front().is_some_and(|spooled| Some(spooled.max) <= all)
            && let Some(spooled) = self.waiting.pop_front()
        {
            self.copies.add(spooled, now);
        }
        let waiting = self.waiting_bytes(None);
        let room = limit.map(|limit| (limit / 2).min(limit.saturating_sub(waiting)));
        self.drop_copies(if copies { room } else { Some(0) })?;
        let too_much = |waiting: &VecDeque<Spooled>| {
            let bytes = waiting.iter().map(|spooled| spooled.bytes).sum::<u64>();
            limit.is_some_and(|limit| bytes > limit)
        };
        if !too_much(&self.waiting) {
            return Ok(Released::All);
        }
        self.merge()?;
        let mut dropped = None;
        while too_much(&self.waiting) {
            let Some(spooled) = self.waiting.pop_front() else { break };
            self.files.release(&self.state, &spooled)?;
            dropped = Some(spooled.max);
        }
        Ok(dropped.map_or(Released::Merged, Released::Dropped))
    }

    /// No merge needs copies up to `txid` any more.
    pub(super) fn merged(&mut self, txid: Txid) -> Result<()> {
        self.copies.merged(txid);
        self.drop_copies(None)
    }

    /// Removes copies that are of no more use, and the oldest of more than `most` bytes.
    pub(super) fn drop_copies(&mut self, most: Option<u64>) -> Result<()> {
        let now = Instant::now();
        while let Some(spooled) = self.copies.superfluous(now, most) {
            self.files.release(&self.state, spooled)?;
            self.copies.drop_oldest();
        }
        Ok(())
    }

    /// When copies have been there for long enough.
    pub(super) fn copies_expire(&self) -> Option<Instant> {
        self.copies.expire()
    }

    /// Merges what waits, as far as no repository stands in between.
    fn merge(&mut self) -> Result<()> {
        let positions: Vec<Txid> =
            self.state.positions.values().map(|position| position.txid).collect();
        let waiting = self.waiting.make_contiguous();
        let together = |one: &Spooled, next: &Spooled| {
            one.max.next() == Some(next.min) && !positions.contains(&one.max)
        };
        let mut merged = VecDeque::new();
        for run in waiting.chunk_by(together) {
            for part in run.chunks(MOST_MERGED) {
                let part: Vec<&Spooled> = part.iter().collect();
                merged.push_back(match part.as_slice() {
                    [one] => (*one).clone(),
                    several => self.files.spool().merge(several)?,
                });
            }
        }
        self.waiting = merged;
        Ok(())
    }

    /// A repository holds more than before.
    pub(super) fn reached(&mut self, repository: &str, position: Position) {
        let former = self.state.positions.get(repository);
        if former.is_none_or(|former| former.txid < position.txid) {
            self.state.positions.insert(repository.to_owned(), position);
            self.unsaved = true;
        }
    }

    /// Bytes that wait in the spool behind a position.
    pub(super) fn waiting_bytes(&self, after: Option<Txid>) -> u64 {
        self.waiting_after(after).map(|spooled| spooled.bytes).sum()
    }

    /// When the oldest capture was made that is missing at a position.
    pub(super) fn oldest_waiting(&self, after: Option<Txid>) -> Option<Time> {
        self.waiting_after(after).next().map(|spooled| spooled.time)
    }

    fn waiting_after(&self, after: Option<Txid>) -> impl Iterator<Item = &Spooled> {
        self.waiting.iter().filter(move |spooled| Some(spooled.max) > after)
    }
}

fn seen(moment: Option<Moment>, scanned: Time) -> Option<Seen> {
    moment.map(|moment| Seen { moment, scanned, facts: None })
}
