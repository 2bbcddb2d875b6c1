//! What one repository holds of one database, as far as rungs may still be made of it. By names alone:
//! what they are made of lies on this host.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_ltx::Txid;
use lifeboat_repository::{Ladder, LtxFile, LtxName, Merge, Time, plan_merges};

/// Levels of the ladder; what is merged beyond it, a pass merges.
const RUNGS: std::ops::RangeInclusive<u8> = 1..=3;
/// The level of the name that stands for all that came before.
const LEVEL_BASE: u8 = 9;

/// The newest files of a repository.
#[derive(Debug, Default)]
pub(super) struct Rungs {
    names: Vec<LtxName>,
    wanted: BTreeSet<Txid>,
    /// When a window closes; `None` while none is open.
    next: Option<Time>,
    /// The last transaction of which no capture is needed any more, and that of which no merge is.
    captures: Option<Txid>,
    merges: Option<Txid>,
}

impl Rungs {
    /// Of what a listing shows.
    pub(super) fn of(names: Vec<LtxName>) -> Self {
        let mut rungs = Self::default();
        rungs.learn(names);
        rungs
    }

    /// What a listing shows now.
    pub(super) fn learn(&mut self, names: Vec<LtxName>) {
        (self.names, self.next) = (names, Some(Time::from_millis(i64::MIN)));
    }

    /// A file was stored.
    pub(super) fn add(&mut self, name: LtxName, ladder: &Ladder) {
        let former = self.newest().map(|newest| newest.time);
        self.names.push(name);
        let Some(shortest) = everies(ladder).next() else { return };
        let same =
            former.is_some_and(|former| begin(former, shortest) == begin(name.time, shortest));
        let next = if same { closed(name.time, shortest) } else { name.time };
        self.next = Some(self.next.map_or(next, |known| known.min(next)));
    }

    /// A merge was stored. It is no news of the database.
    pub(super) fn add_merge(&mut self, name: LtxName) {
        self.names.push(name);
    }

    /// A backup holds this transaction.
    pub(super) fn want(&mut self, txid: Txid) {
        self.wanted.insert(txid);
    }

    /// When there may be something to merge.
    pub(super) fn due(&self) -> Option<Time> {
        self.next
    }

    /// What to merge, lower rungs first.
    pub(super) fn plan(&self, ladder: &Ladder, now: Time) -> Vec<Merge> {
        let file = |name: &LtxName| LtxFile { name: *name, objects: Vec::new() };
        let files: Vec<LtxFile> = self.names.iter().map(file).collect();
        let mut merges = plan_merges(&files, &self.wanted, ladder, now);
        merges.retain(|merge| RUNGS.contains(&merge.name.level));
        merges
    }

    /// What was planned is done: forgets what no rung needs any more.
    pub(super) fn settle(&mut self, ladder: &Ladder, now: Time) {
        let Some(newest) = self.newest() else { return self.next = None };
        let open = everies(ladder).map(|every| closed(newest.time, every));
        self.next = open.filter(|closed| *closed > now).min();
        let everies: Vec<Duration> = everies(ladder).collect();
        let (Some(shortest), Some(longest)) = (everies.first(), everies.last()) else {
            (self.captures, self.merges) = (Some(newest.max), Some(newest.max));
            return self.names.clear();
        };
        self.captures = self.captures.max(self.settled(newest, *shortest, now));
        self.merges = self.merges.max(self.settled(newest, *longest, now));
        self.forget();
    }

    /// The last transaction that is in no open window of this length.
    fn settled(&self, newest: LtxName, every: Duration, now: Time) -> Option<Txid> {
        if closed(newest.time, every) <= now {
            return Some(newest.max);
        }
        let open = begin(newest.time, every);
        self.names.iter().filter(|name| name.time < open).map(|name| name.max).max()
    }

    /// Leaves out what merges hold, too, and puts one name in the place of all that is settled.
    fn forget(&mut self) {
        let is_settled = |name: &LtxName| Some(name.max) <= self.merges;
        let settled = self.names.iter().copied().filter(is_settled);
        let settled = settled.max_by_key(|name| (name.max, Reverse(name.time)));
        let settled = settled.map(|name| LtxName { level: LEVEL_BASE, min: Txid::FIRST, ..name });
        self.names.retain(|name| !is_settled(name));
        // Bases hold everything, and take the place of nothing.
        let is_base = |name: &LtxName| name.min == Txid::FIRST;
        self.names.sort_by_key(|name| (name.min, Reverse((name.max, name.level))));
        let mut furthest = None;
        self.names.retain(|name| {
            let stays = is_base(name) || Some(name.max) > furthest;
            furthest = if is_base(name) { furthest } else { furthest.max(Some(name.max)) };
            stays
        });
        self.names.extend(settled);
        self.wanted.retain(|txid| Some(*txid) > self.merges);
    }

    /// The last transaction of which no capture is needed any more.
    pub(super) fn captures_merged(&self) -> Option<Txid> {
        self.captures
    }

    /// The last transaction of which no merge is needed any more.
    pub(super) fn merges_merged(&self) -> Option<Txid> {
        self.merges
    }

    fn newest(&self) -> Option<LtxName> {
        self.names.iter().copied().max_by_key(|name| (name.max, Reverse(name.time)))
    }
}

/// The lengths of the windows, shortest first.
fn everies(ladder: &Ladder) -> impl Iterator<Item = Duration> {
    ladder.rungs().iter().map(|rung| rung.every).filter(|every| !every.is_zero())
}

/// The beginning of the window that a time is in.
fn begin(time: Time, every: Duration) -> Time {
    let (millis, every) = (time.millis(), millis(every));
    Time::from_millis(millis - millis.rem_euclid(every))
}

/// When the window that a time is in is closed, though nothing comes after it.
fn closed(time: Time, every: Duration) -> Time {
    let every_ms = millis(every);
    Time::from_millis(begin(time, every).millis().saturating_add(every_ms + every_ms / 2))
}

fn millis(every: Duration) -> i64 {
    i64::try_from(every.as_millis()).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4)
}
