//! Which points of a lineage are promised to stay.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_ltx::Txid;

use crate::{Ladder, Point, Time};

/// The transactions that must stay restorable: the wanted ones (that backups hold), those that the
/// ladder keeps by their age, and the newest, unless another lineage has superseded this one.
///
/// `points` are all points of the lineage, oldest first. A rung keeps the last point of each of its
/// windows. A point ahead of `now` is as young as can be.
pub fn promised(
    points: &[Point],
    wanted: &BTreeSet<Txid>,
    ladder: &Ladder,
    now: Time,
    superseded: bool,
) -> BTreeSet<Txid> {
    let mut promised = wanted.clone();
    let newest = points.last().filter(|_| !superseded);
    promised.extend(newest.map(|point| point.txid));
    for rung in ladder.rungs() {
        let mut last: BTreeMap<i64, Txid> = BTreeMap::new();
        for point in points.iter().filter(|point| rung.reaches(point.time, now)) {
            match rung.window(point.time) {
                Some(window) => _ = last.insert(window, point.txid),
                None => _ = promised.insert(point.txid),
            }
        }
        promised.extend(last.into_values());
    }
    promised
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Ladder, Point, Time, Txid, promised};

    /// Points by their seconds, numbered from 1; what is promised at a time, with and without being
    /// superseded.
    #[test]
    fn the_ladder_keeps_what_it_says() {
        let ladder = ["all for 10s", "10s for 60s", "30s for 5m"].map(str::to_owned).to_vec();
        let ladder = Ladder::try_from(ladder).unwrap();
        type Case = (&'static [i64], &'static [u64], i64, &'static [u64], &'static [u64]);
        let cases: &[Case] = &[
            (&[], &[], 0, &[], &[]),
            // Pins count whether they lead anywhere or not.
            (&[], &[3], 0, &[3], &[3]),
            (&[1000], &[], 9000, &[1], &[]),
            // The first ten seconds keep each; then the last of 0-9 and of 10-19.
            (&[1000, 1001, 1011, 1012], &[], 1012, &[2, 3, 4], &[2, 3, 4]),
            (&[1000, 1001, 1011, 1012], &[], 1022, &[2, 4], &[2, 4]),
            // 1020 to 1049 is one window of 30 s, to its age of 60 s in windows of 10.
            (&[1020, 1021, 1030, 1049], &[], 1081, &[2, 3, 4], &[2, 3, 4]),
            (&[1020, 1021, 1030, 1049], &[], 1082, &[3, 4], &[3, 4]),
            (&[1020, 1021, 1030, 1049], &[], 1349, &[4], &[4]),
            (&[1020, 1021, 1030, 1049], &[2], 1350, &[2, 4], &[2]),
            // A clock that was set back: what lies ahead is young, whatever its window.
            (&[1020, 1021, 1030, 1049], &[], 500, &[1, 2, 3, 4], &[1, 2, 3, 4]),
            // Points of one time.
            (&[1020, 1020, 1020], &[], 1040, &[3], &[3]),
        ];
        for (seconds, wanted, now, live, superseded) in cases {
            let txid = |number: u64| Txid::new(number).unwrap();
            let time = |second: i64| Time::from_millis(second * 1000);
            let points = (1..).zip(*seconds);
            let points: Vec<Point> = points
                .map(|(number, second)| Point { time: time(*second), txid: txid(number) })
                .collect();
            let wanted: BTreeSet<Txid> = wanted.iter().map(|number| txid(*number)).collect();
            for (is_superseded, expected) in [(false, live), (true, superseded)] {
                let found = promised(&points, &wanted, &ladder, time(*now), is_superseded);
                let found: Vec<u64> = found.into_iter().map(Txid::get).collect();
                assert_eq!(&found, expected, "{seconds:?} at {now}, superseded: {is_superseded}");
            }
        }
    }
}
