//! What a database will take up if it goes on as it did: a pure function of what was measured.
//!
//! The model, for a moment some days ahead:
//!
//! - The **size** grows by what it grew by a day over the last 7 or the last 30 days: the smaller of
//!   the two at least, the larger at most. A **base** shrinks or grows with it.
//! - Backups go on at the distance of the last ten. The **rules** say which are kept then, and only
//!   they have a **span** beyond the ladder. Changes of a longer span overlap, nobody knows how far:
//!   at least, a span is what one backup's distance brings (the same pages change every time); at
//!   most, all days of the span add up (others do each time), or the whole base.
//! - The **rungs** of the ladder hold what they hold now, and as much more as they are not full yet.
//! - There is one base at least; at most a second one, and one for every base's worth of spans.
//!
//! It takes for granted that `forget` and `prune` run, and that the changes of the last 7 days are
//! what changes a day.

use std::time::Duration;

use jiff::tz::TimeZone;
use lifeboat_repository::{BackupId, Candidate, KeepRules, Time, retain};

use super::growth::{elapsed_ms, resized, scale};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// No more backups are thought of than this; if more were to be made, they are taken to be further
/// apart.
const MOST_BACKUPS: u64 = 5_000;
/// How many of the last backups say how far apart they are.
const CADENCE: usize = 10;

/// What is known of a database.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    /// Bytes of the database.
    pub(super) size: u64,
    /// By how many bytes a day it grows, at least and at most.
    pub(super) growth: (i64, i64),
    /// Bytes of a base, if one were written now.
    pub(super) base: u64,
    /// Bytes of the files within the ladder.
    pub(super) rungs: u64,
    /// How far back they go.
    pub(super) history: Duration,
    /// How far back the ladder goes.
    pub(super) horizon: Duration,
    /// Bytes of changes a day.
    pub(super) changes: u64,
    /// When backups were made, newest first; two at least.
    pub(super) backups: &'a [Time],
    pub(super) rules: &'a KeepRules,
    pub(super) zone: &'a TimeZone,
}

/// Bytes after so many days, at least and at most; `None` if the backups do not say how far apart
/// they are.
pub(super) fn forecast(facts: &Facts<'_>, days: u32) -> Option<(u64, u64)> {
    let interval = interval(facts.backups)?;
    let newest = *facts.backups.first()?;
    let end = later(newest, DAY * days);
    let kept = kept(facts, interval, newest, end);
    let horizon = Time::from_millis(end.millis() - duration_ms(facts.horizon));
    let (least, most) = (grown(facts, facts.growth.0, days), grown(facts, facts.growth.1, days));
    let (mut low_spans, mut high_spans) = (0_u64, 0_u64);
    let beyond: Vec<Time> = kept.into_iter().filter(|time| *time < horizon).collect();
    let ends = beyond.iter().copied().skip(1).chain((!beyond.is_empty()).then_some(horizon));
    for (from, to) in beyond.iter().zip(ends) {
        let gap = Duration::from_millis(elapsed_ms(*from, to));
        let changed = |gap: Duration, base: u64| scale(facts.changes, gap, DAY).min(base);
        low_spans = low_spans.saturating_add(changed(gap.min(interval), least));
        high_spans = high_spans.saturating_add(changed(gap, most));
    }
    let full = facts.horizon.max(facts.history);
    let rungs = scale(facts.rungs, full, facts.history.max(Duration::from_millis(1)));
    let bases = (2 + high_spans / most.max(1)).saturating_mul(most);
    let low = least.saturating_add(rungs).saturating_add(low_spans);
    Some((low, bases.saturating_add(rungs).saturating_add(high_spans)))
}

/// How far apart the last backups are.
fn interval(backups: &[Time]) -> Option<Duration> {
    let last = &backups[..backups.len().min(CADENCE)];
    let gaps = u32::try_from(last.len().checked_sub(1)?).ok().filter(|gaps| *gaps > 0)?;
    let elapsed = Duration::from_millis(elapsed_ms(*last.last()?, *last.first()?));
    Some((elapsed / gaps).max(Duration::from_secs(60)))
}

/// The backups that the rules keep at the end, oldest first.
fn kept(facts: &Facts<'_>, interval: Duration, newest: Time, end: Time) -> Vec<Time> {
    let ahead = elapsed_ms(newest, end);
    let step = interval.max(Duration::from_millis(ahead / MOST_BACKUPS));
    let mut times = facts.backups.to_vec();
    let mut next = later(newest, step);
    while next <= end {
        times.push(next);
        next = later(next, step);
    }
    times.sort_unstable();
    times.reverse();
    let id = BackupId::random();
    let candidates: Vec<Candidate<'_>> =
        times.iter().map(|time| Candidate { time: *time, id, tags: &[] }).collect();
    let verdicts = retain(&candidates, facts.rules, facts.zone, end);
    let kept = times.iter().zip(verdicts).filter(|(_, verdict)| !verdict.reasons.is_empty());
    kept.map(|(time, _)| *time).rev().collect()
}

/// A base of the database as it will be.
fn grown(facts: &Facts<'_>, per_day: i64, days: u32) -> u64 {
    let change = i128::from(per_day) * i128::from(days);
    let size = (i128::from(facts.size) + change).max(0).unsigned_abs();
    resized(facts.base, facts.size, u64::try_from(size).unwrap_or(u64::MAX))
}

fn later(time: Time, by: Duration) -> Time {
    Time::from_millis(time.millis().saturating_add(duration_ms(by)))
}

fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{DAY, Duration, Facts, KeepRules, Time, TimeZone, forecast};

    const MIB: u64 = 1 << 20;
    static ZONE: TimeZone = TimeZone::UTC;

    /// Daily backups of a database of 100 MiB, in which 1 MiB changes a day; 7 days of ladder.
    fn facts<'a>(backups: &'a [Time], rules: &'a KeepRules) -> Facts<'a> {
        Facts {
            size: 100 * MIB,
            growth: (0, 0),
            base: 50 * MIB,
            rungs: 7 * MIB,
            history: 7 * DAY,
            horizon: 7 * DAY,
            changes: MIB,
            backups,
            rules,
            zone: &ZONE,
        }
    }

    fn daily(number: i64) -> Vec<Time> {
        (0..number).map(|day| Time::from_millis(1_795_229_340_123 - day * 86_400_000)).collect()
    }

    fn mib((low, high): (u64, u64)) -> (u64, u64) {
        (low / MIB, high / MIB)
    }

    #[test]
    fn what_is_kept_decides() {
        let backups = daily(10);
        let forecast = |rules: &str, days| {
            let rules: KeepRules = rules.parse().unwrap();
            mib(forecast(&facts(&backups, &rules), days).unwrap())
        };
        // All within the ladder: nothing but base and rungs.
        assert_eq!(forecast("last 5", 30), (50 + 7, 2 * 50 + 7));
        assert_eq!(forecast("last 5", 365), (50 + 7, 2 * 50 + 7));
        // Every day of 32 beyond the ladder is a span; then of 367 days, with a base every 50 MiB.
        assert_eq!(forecast("all", 30), (50 + 7 + 32, 2 * 50 + 7 + 32));
        assert_eq!(forecast("all", 365), (50 + 7 + 367, (2 + 7) * 50 + 7 + 367));
        // Weeks and months are longer spans: between one day's changes and all of them.
        let (low, high) = forecast("7/4/12", 365);
        assert!((50 + 7 + 10..50 + 7 + 16).contains(&low), "{low}");
        assert!((600..800).contains(&high), "{high}");
    }

    #[test]
    fn growth_and_ladders_that_are_not_full() {
        let (backups, rules) = (daily(10), "last 5".parse().unwrap());
        let facts = facts(&backups, &rules);
        let of = |facts: Facts<'_>| mib(forecast(&facts, 30).unwrap());
        let (slow, fast) = (i64::try_from(MIB).unwrap(), i64::try_from(2 * MIB).unwrap());
        assert_eq!(of(Facts { growth: (slow, fast), ..facts.clone() }), (65 + 7, 2 * 80 + 7));
        assert_eq!(of(Facts { growth: (-10 * fast, 0), ..facts.clone() }), (7, 2 * 50 + 7));
        let young = Facts { rungs: MIB, history: DAY, ..facts.clone() };
        assert_eq!(of(young), (50 + 7, 2 * 50 + 7));
        assert_eq!(of(Facts { history: Duration::ZERO, rungs: 0, ..facts }), (50, 2 * 50));
    }

    #[test]
    fn one_backup_says_nothing() {
        let rules = KeepRules::default();
        assert_eq!(forecast(&facts(&daily(1), &rules), 30), None);
        assert_eq!(forecast(&facts(&[], &rules), 30), None);
        // Backups at one moment do not run away with it.
        let same = vec![daily(1)[0]; 3];
        assert!(forecast(&facts(&same, &rules), 365).is_some());
    }
}
