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
    /// What a listing shows now.
    pub(super) fn learn(&mut self, names: Vec<LtxName>) {
        (self.names, self.next) = (names, Some(Time::from_millis(i64::MIN)));
    }

    /// A file was stored.
    pub(super) fn add(&mut self, name: LtxName, ladder: &Ladder) {
        let former = self.newest().map(|newest| newest.time);
        self.names.push(name);
        let Some(shortest) = everies(ladder).next() else {
            // Nothing is merged, and nothing needs it.
            return self.next = Some(name.time);
        };
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

    /// The time at which windows count as closed: while captures still wait (`behind`), more may come of
    /// the window of the newest one, however long ago that was.
    pub(super) fn now(&self, now: Time, behind: bool) -> Time {
        let newest = self.newest().filter(|_| behind);
        newest.map_or(now, |newest| now.min(newest.time))
    }

    /// What to merge, lower rungs first.
    pub(super) fn plan(&self, ladder: &Ladder, now: Time) -> Vec<Merge> {
        let file = |name: &LtxName| LtxFile { name: *name, objects: Vec::new() };
        let files: Vec<LtxFile> = self.names.iter().map(file).collect();
        let mut merges = plan_merges(&files, &self.wanted, ladder, now);
        merges.retain(|merge| RUNGS.contains(&merge.name.level));
        merges
    }

    /// What was planned at a time of [`now`](Self::now) is done: forgets what no rung needs any more.
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

    /// Nothing is due until something comes.
    pub(super) fn rest(&mut self) {
        self.next = None;
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

#[cfg(test)]
mod tests {
    use lifeboat_ltx::Txid;
    use lifeboat_repository::{Ladder, LtxName, Time};

    use super::Rungs;

    /// Windows of 10 and of 30 seconds.
    fn ladder() -> Ladder {
        let rungs = ["all for 1h", "10s for 2h", "30s for 24h"].map(str::to_owned).to_vec();
        Ladder::try_from(rungs).unwrap()
    }

    fn of(names: Vec<LtxName>) -> Rungs {
        let mut rungs = Rungs::default();
        rungs.learn(names);
        rungs
    }

    fn seconds(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn name(level: u8, min: u64, max: u64, time: i64) -> LtxName {
        let txid = |number| Txid::new(number).unwrap();
        LtxName { level, min: txid(min), max: txid(max), time: seconds(time) }
    }

    /// Plans, does all of it, and settles: the merges as level, first and last transaction.
    fn round(rungs: &mut Rungs, now: i64) -> Vec<(u8, u64, u64)> {
        let mut done = Vec::new();
        for merge in rungs.plan(&ladder(), seconds(now)) {
            rungs.add_merge(merge.name);
            done.push((merge.name.level, merge.name.min.get(), merge.name.max.get()));
        }
        rungs.settle(&ladder(), seconds(now));
        done
    }

    fn settled(rungs: &Rungs) -> (u64, u64) {
        let number = |txid: Option<Txid>| txid.map_or(0, Txid::get);
        (number(rungs.captures_merged()), number(rungs.merges_merged()))
    }

    #[test]
    fn windows_are_merged_when_they_are_closed_and_little_is_remembered() {
        let mut rungs = of(vec![name(9, 1, 1, 1000)]);
        assert!(rungs.due().is_some_and(|due| due <= seconds(0)));
        assert_eq!(round(&mut rungs, 1001), []);
        // The window from 1000 s to 1010 s is closed at 1015 s at the latest.
        assert_eq!(rungs.due(), Some(seconds(1015)));
        for (txid, time) in [(2, 1001), (3, 1004), (4, 1008)] {
            rungs.add(name(0, txid, txid, time), &ladder());
            assert_eq!(rungs.due(), Some(seconds(1015)));
        }
        assert_eq!(settled(&rungs), (0, 0));
        // Something later closes it at once.
        rungs.add(name(0, 5, 5, 1011), &ladder());
        assert_eq!(rungs.due(), Some(seconds(1011)));
        assert_eq!(round(&mut rungs, 1011), [(1, 2, 4)]);
        assert_eq!(settled(&rungs), (4, 0));
        assert_eq!(rungs.names, [name(9, 1, 1, 1000), name(1, 2, 4, 1008), name(0, 5, 5, 1011)]);
        rungs.add(name(0, 6, 6, 1012), &ladder());
        // Nothing comes after it: half a window later it is closed, and the longer one, to 1020 s, when
        // half of that is over.
        assert_eq!(rungs.due(), Some(seconds(1025)));
        assert_eq!(round(&mut rungs, 1025), [(1, 5, 6)]);
        assert_eq!((settled(&rungs), rungs.due()), ((6, 0), Some(seconds(1035))));
        assert_eq!(round(&mut rungs, 1035), [(2, 2, 6)]);
        assert_eq!((settled(&rungs), rungs.due()), ((6, 6), None));
        assert_eq!(rungs.names, [name(9, 1, 6, 1012)]);
        // It goes on from there.
        rungs.add(name(0, 7, 7, 2000), &ladder());
        rungs.add(name(0, 8, 8, 2001), &ladder());
        assert_eq!(round(&mut rungs, 2050), [(1, 7, 8)]);
        assert_eq!(rungs.names, [name(9, 1, 8, 2001)]);
    }

    #[test]
    fn a_repository_that_catches_up_gets_each_window_once() {
        let mut rungs = of(vec![name(9, 1, 1, 1000)]);
        for (txid, time) in [(2, 1001), (3, 1002), (4, 1011)] {
            rungs.add(name(0, txid, txid, time), &ladder());
        }
        let now = rungs.now(seconds(5000), true);
        assert_eq!(round(&mut rungs, now.millis() / 1000), [(1, 2, 3)]);
        rungs.rest();
        assert_eq!(rungs.due(), None);
        rungs.add(name(0, 5, 5, 1012), &ladder());
        assert!(rungs.due().is_some_and(|due| due < seconds(5000)));
        assert_eq!(rungs.now(seconds(5000), false), seconds(5000));
        assert_eq!(round(&mut rungs, 5000), [(1, 4, 5), (2, 2, 5)]);
    }

    #[test]
    fn a_window_is_cut_at_what_a_backup_holds() {
        let mut rungs = of(vec![name(9, 1, 1, 1000)]);
        for txid in 2..8 {
            rungs.add(name(0, txid, txid, 1001), &ladder());
        }
        rungs.want(Txid::new(4).unwrap());
        assert_eq!(round(&mut rungs, 1015), [(1, 2, 4), (1, 5, 7)]);
    }

    /// A base that is written meanwhile takes the place of nothing beneath it.
    #[test]
    fn the_chain_goes_on_beneath_a_base() {
        let names = vec![name(9, 1, 1, 1000), name(0, 2, 2, 1001), name(0, 3, 3, 1002)];
        let mut rungs = of([names, vec![name(9, 1, 3, 1002)]].concat());
        assert_eq!(round(&mut rungs, 1003), []);
        rungs.add(name(0, 4, 4, 1003), &ladder());
        assert_eq!(round(&mut rungs, 1015), [(1, 2, 4)]);
    }
}
