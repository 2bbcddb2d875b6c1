//! What one repository lacks of one database.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_repository::LtxName;
use lifeboat_storage::{LocalStorage, Storage};

use super::message::Attach;
use crate::Result;
use crate::capture::take::{LEVEL_CAPTURE, LEVEL_MERGED};
use crate::state::Spooled;

/// The most captures that are merged into one file: each is an open file while it is.
pub(super) const MOST_MERGED: usize = 64;
/// With more than these waiting, they are merged even where each should be stored by itself: a
/// repository that was away for long must catch up.
const MANY: usize = 600;

/// How a database stands with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// What the repository holds has not been looked at.
    Unknown,
    /// What waits can be sent.
    Good,
    /// It cannot go on from the spool; somebody sees to that.
    Lacking,
}

/// Captures on their way into a repository.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) attach: Attach,
    pub(super) standing: Standing,
    pub(super) waiting: VecDeque<Spooled>,
    /// When something was last sent.
    pub(super) sent: Option<Instant>,
    /// Not to wait for the interval, once.
    pub(super) hurry: bool,
    /// The epoch in which this host may write, and when that was last made sure of.
    pub(super) lease: Option<(u32, Instant)>,
    /// Failures since the last success, and when to try again.
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
    /// Kept open: which of its directories are durable it need find out once only.
    outbox: Option<Arc<dyn Storage>>,
}

impl Queue {
    pub(super) fn new(mut attach: Attach) -> Self {
        let waiting = std::mem::take(&mut attach.waiting).into();
        Self {
            attach,
            standing: Standing::Unknown,
            waiting,
            sent: None,
            hurry: false,
            lease: None,
            failures: 0,
            not_before: None,
            outbox: None,
        }
    }

    /// Where sealed objects wait.
    pub(super) fn outbox(&mut self) -> Result<Arc<dyn Storage>> {
        if let Some(outbox) = &self.outbox {
            return Ok(outbox.clone());
        }
        let outbox = LocalStorage::create(&self.attach.outbox)?;
        // Nobody else writes there: what is unfinished is of a process that was killed.
        outbox.sweep(Duration::ZERO)?;
        Ok(self.outbox.insert(Arc::new(outbox)).clone())
    }

    /// Leaves out what the repository holds already; whether the rest goes on from there.
    pub(super) fn goes_on(&mut self) -> bool {
        let Some(position) = self.attach.position else { return false };
        self.waiting.retain(|spooled| spooled.max > position.txid);
        let next = position.txid.next();
        self.waiting.front().is_none_or(|spooled| next.is_some_and(|next| spooled.min <= next))
    }

    /// When something is to be sent; `None` while nothing waits.
    pub(super) fn due(&self, interval: Option<Duration>, now: Instant) -> Option<Instant> {
        let due = match self.standing {
            Standing::Unknown => Some(now),
            Standing::Lacking => None,
            Standing::Good if self.waiting.is_empty() => None,
            Standing::Good => match (interval, self.sent, self.hurry) {
                (Some(interval), Some(sent), false) => Some((sent + interval).max(now)),
                _ => Some(now),
            },
        };
        due.map(|due| self.not_before.map_or(due, |until| until.max(due)))
    }

    /// How many of those that wait become one file.
    pub(super) fn batch(&self, interval: Option<Duration>) -> usize {
        batch(self.waiting.len(), interval.is_some())
    }

    /// The file that the first ones become.
    pub(super) fn name(&self, count: usize) -> Option<LtxName> {
        let (first, last) = (self.waiting.front()?, self.waiting.get(count.checked_sub(1)?)?);
        let level = if first.min == last.max { LEVEL_CAPTURE } else { LEVEL_MERGED };
        Some(LtxName { level, min: first.min, max: last.max, time: last.time })
    }
}

fn batch(waiting: usize, gathers: bool) -> usize {
    if gathers || waiting > MANY { waiting.min(MOST_MERGED) } else { waiting.min(1) }
}

#[cfg(test)]
mod tests {
    use super::batch;

    #[test]
    fn captures_are_merged_where_that_is_asked_for_or_too_many_wait() {
        for (waiting, gathers, expected) in [
            (0, false, 0),
            (0, true, 0),
            (1, false, 1),
            (5, false, 1),
            (5, true, 5),
            (600, false, 1),
            (601, false, 64),
            (65, true, 64),
        ] {
            assert_eq!(batch(waiting, gathers), expected, "{waiting} {gathers}");
        }
    }
}
