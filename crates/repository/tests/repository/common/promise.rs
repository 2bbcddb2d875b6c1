//! What retention promises, as its definition says it, without the code that keeps it: slow and plain.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_repository::{Ladder, Rung};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// A point: its transaction and its time in milliseconds.
pub(crate) type Moment = (u64, i64);

/// One point per `every_ms` (0: each capture) for as long as `keep_ms`.
pub(crate) type Step = (i64, i64);

/// The usual ladder, a short one, one of all rungs, and none beyond a minute of captures.
pub(crate) const LADDERS: [&[Step]; 4] = [
    &[(0, HOUR_MS), (30 * SECOND_MS, DAY_MS), (5 * MINUTE_MS, 7 * DAY_MS)],
    &[(0, MINUTE_MS), (10 * SECOND_MS, 10 * MINUTE_MS), (MINUTE_MS, HOUR_MS)],
    &[
        (0, 10 * SECOND_MS),
        (2 * SECOND_MS, MINUTE_MS),
        (20 * SECOND_MS, HOUR_MS),
        (10 * MINUTE_MS, 2 * DAY_MS),
    ],
    &[(0, MINUTE_MS)],
];

/// Steps as the ladder of the repository.
pub(crate) fn ladder(steps: &[Step]) -> Ladder {
    let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let rung = |(every, keep): &Step| Rung { every: duration(*every), keep: duration(*keep) };
    Ladder::new(steps.iter().map(rung).collect()).unwrap()
}

/// The points of a lineage that there must be.
pub(crate) fn promised(
    points: &[Moment],
    wanted: &BTreeSet<u64>,
    steps: &[Step],
    now_ms: i64,
    is_newest_lineage: bool,
) -> BTreeSet<u64> {
    let newest = points.iter().map(|(txid, _)| *txid).max();
    let mut promised = wanted.clone();
    promised.extend(newest.filter(|_| is_newest_lineage));
    for (every_ms, keep_ms) in steps {
        for (txid, time_ms) in points {
            let age_ms = (now_ms - time_ms).max(0);
            if age_ms <= *keep_ms && is_last(points, *txid, *time_ms, *every_ms) {
                promised.insert(*txid);
            }
        }
    }
    promised
}

/// The points that may still be there although nothing promises them, once everything was merged and
/// removed that can be:
///
/// - what has just left a rung: files are merged when a window of the next rung is over, not before.
///   Beyond the ladder they wait for the end of a day, and of another for a backup that follows;
/// - the end of a UTC day after the last wanted point that is older than the ladder;
/// - the point of a base, and within the ladder one that a backup once held: `others`. Merges end
///   there until a coarser window takes their place.
pub(crate) fn links(
    points: &[Moment],
    wanted: &BTreeSet<u64>,
    others: &BTreeSet<u64>,
    steps: &[Step],
    now_ms: i64,
) -> BTreeSet<u64> {
    let horizon_ms = steps.last().map_or(0, |(_, keep_ms)| *keep_ms);
    let last_old = points
        .iter()
        .filter(|(txid, time_ms)| wanted.contains(txid) && now_ms - time_ms > horizon_ms)
        .map(|(txid, _)| *txid)
        .max();
    let next_ms = steps.iter().skip(1).map(|(every_ms, _)| every_ms * 3 / 2).chain([2 * DAY_MS]);
    let waiting: Vec<(i64, i64)> =
        steps.iter().zip(next_ms).map(|((_, keep_ms), next_ms)| (*keep_ms, next_ms)).collect();
    let is_link = |(txid, time_ms): &&Moment| {
        let age_ms = now_ms - time_ms;
        let waits =
            |(keep_ms, next_ms): &(i64, i64)| (*keep_ms..=keep_ms + next_ms).contains(&age_ms);
        let ends_day =
            last_old.is_none_or(|last| *txid > last) && is_last(points, *txid, *time_ms, DAY_MS);
        others.contains(txid) || ends_day || waiting.iter().any(waits)
    };
    points.iter().filter(is_link).map(|(txid, _)| *txid).collect()
}

/// Whether no later point is in the same window of the epoch.
pub(crate) fn is_last(points: &[Moment], txid: u64, time_ms: i64, every_ms: i64) -> bool {
    let window = |time_ms: i64| time_ms.checked_div(every_ms);
    every_ms == 0
        || !points.iter().any(|(other, time)| *other > txid && window(*time) == window(time_ms))
}
