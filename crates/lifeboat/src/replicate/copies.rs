//! Captures that every repository has, and that stay in the spool for a while because merges are made of
//! them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;

use crate::state::Spooled;

/// How long a copy stays at most: who could not merge it by then reads it from the repository, if it can.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Copies, oldest first.
#[derive(Debug, Default)]
pub(super) struct Copies {
    files: VecDeque<(Instant, Spooled)>,
    bytes: u64,
    /// No merge needs the ones up to here.
    merged: Option<Txid>,
}

impl Copies {
    /// Takes a capture that no repository lacks any more.
    pub(super) fn add(&mut self, spooled: Spooled, now: Instant) {
        self.bytes += spooled.bytes;
        self.files.push_back((now, spooled));
    }

    /// No merge needs the copies up to `txid` any more.
    pub(super) fn merged(&mut self, txid: Txid) {
        self.merged = self.merged.max(Some(txid));
    }

    /// The oldest one, if it must go: no merge needs it, it was there for long enough, or there are more
    /// than `most` bytes of them.
    pub(super) fn superfluous(&self, now: Instant, most: Option<u64>) -> Option<&Spooled> {
        let (since, spooled) = self.files.front()?;
        let goes = Some(spooled.max) <= self.merged
            || now.saturating_duration_since(*since) >= LONGEST
            || most.is_some_and(|most| self.bytes > most);
        goes.then_some(spooled)
    }

    /// The oldest one is gone.
    pub(super) fn drop_oldest(&mut self) {
        if let Some((_, spooled)) = self.files.pop_front() {
            self.bytes -= spooled.bytes;
        }
    }

    /// When the oldest one has been there for long enough.
    pub(super) fn expire(&self) -> Option<Instant> {
        self.files.front().map(|(since, _)| *since + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use lifeboat_ltx::Txid;

    use super::{Copies, LONGEST};
    use crate::state::Spooled;

    fn txid(number: u64) -> Txid {
        Txid::new(number).unwrap()
    }

    #[test]
    fn copies_go_when_they_are_merged_old_or_too_many() {
        let began = Instant::now();
        // What is merged, how long they are there, how many bytes may be; how many stay of five.
        for (merged, age, most, expected) in [
            (None, Duration::ZERO, None, 5),
            (Some(3), Duration::ZERO, None, 2),
            (Some(9), Duration::ZERO, None, 0),
            (None, LONGEST, None, 0),
            (None, LONGEST - Duration::from_secs(2), None, 5),
            (None, Duration::ZERO, Some(50), 5),
            (None, Duration::ZERO, Some(49), 4),
            (Some(2), Duration::ZERO, Some(29), 2),
            (None, Duration::ZERO, Some(0), 0),
        ] {
            let mut copies = Copies::default();
            (1..=5).for_each(|number| {
                copies.add(Spooled::sample(txid(number), txid(number), 10), began);
            });
            merged.into_iter().for_each(|merged| copies.merged(txid(merged)));
            while copies.superfluous(began + age, most).is_some() {
                copies.drop_oldest();
            }
            assert_eq!(copies.files.len(), expected, "{merged:?} {age:?} {most:?}");
            assert_eq!(copies.bytes, 10 * expected as u64);
            assert_eq!(copies.expire(), (expected > 0).then(|| began + LONGEST));
        }
    }
}
