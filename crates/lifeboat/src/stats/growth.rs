//! How fast a database and its history grow.

use std::time::Duration;

use lifeboat_repository::{LtxFile, Time, onward, points};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// By how many bytes a day a size has grown, or shrunk, over the last so many days; `None` if there
/// are no two sizes a day or more apart. `sizes` are newest first.
pub(super) fn growth(sizes: &[(Time, u64)], days: u64) -> Option<i64> {
    let (newest, size) = *sizes.first()?;
    let within = |(time, _): &&(Time, u64)| elapsed_ms(*time, newest) <= days * DAY_MS;
    let (oldest, former) = *sizes.iter().filter(within).min_by_key(|(time, _)| *time)?;
    let elapsed = elapsed_ms(oldest, newest);
    if elapsed < DAY_MS {
        return None;
    }
    let change = per_day(size.abs_diff(former), elapsed);
    let change = i64::try_from(change).unwrap_or(i64::MAX);
    Some(if size < former { -change } else { change })
}

/// How many bytes of changes a day lead through the last so many days, as they are stored now;
/// `None` if the files go back less than a day. `files` are those of one lineage.
pub(super) fn changes(files: &[LtxFile], days: u64) -> Option<u64> {
    let points = points(files);
    let newest = points.last()?;
    let first = points.iter().find(|point| elapsed_ms(point.time, newest.time) <= days * DAY_MS)?;
    let elapsed = elapsed_ms(first.time, newest.time);
    let bytes = onward(files, first.txid).iter().map(|file| file.size()).sum();
    (elapsed >= DAY_MS).then(|| per_day(bytes, elapsed))
}

/// How many bytes a day were added over the last so many days; `None` if there is no day between the first and
/// the last. What came first is not counted: it is not added to what was there.
pub(super) fn stored_per_day(added: &[(Time, u64)], days: u64) -> Option<u64> {
    let newest = added.iter().map(|(time, _)| *time).max()?;
    let within = |(time, _): &&(Time, u64)| elapsed_ms(*time, newest) <= days * DAY_MS;
    let oldest = added.iter().filter(within).map(|(time, _)| *time).min()?;
    let elapsed = elapsed_ms(oldest, newest);
    let later = added.iter().filter(within).filter(|(time, _)| *time > oldest);
    (elapsed >= DAY_MS).then(|| per_day(later.map(|(_, bytes)| bytes).sum(), elapsed))
}

/// The milliseconds from one moment to another; 0 if it is not before it.
pub(super) fn elapsed_ms(from: Time, to: Time) -> u64 {
    u64::try_from(to.millis().saturating_sub(from.millis())).unwrap_or_default()
}

fn per_day(bytes: u64, elapsed_ms: u64) -> u64 {
    scale(bytes, Duration::from_millis(DAY_MS), Duration::from_millis(elapsed_ms))
}

/// Bytes of `from` for a period of `to`, at the same rate; a `from` of no time is taken for a
/// millisecond.
pub(super) fn scale(bytes: u64, to: Duration, from: Duration) -> u64 {
    let scaled = u128::from(bytes) * to.as_millis() / from.as_millis().max(1);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Bytes of a copy of a database that had one size and will have another.
pub(super) fn resized(bytes: u64, from: u64, to: u64) -> u64 {
    let resized = u128::from(bytes) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(resized).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lifeboat_ltx::Txid;
    use lifeboat_repository::LtxName;
    use lifeboat_storage::Entry;

    use super::{LtxFile, Time, changes, growth};

    /// Level, first and last transaction, hour and bytes.
    fn file(&(level, min, max, hour, size): &(u8, u64, u64, i64, u64)) -> LtxFile {
        let txid = |number| Txid::new(number).unwrap();
        let time = Time::from_millis(1_795_229_340_123 + hour * 3_600_000);
        let key = format!("{level}/{min}-{max}").parse().unwrap();
        LtxFile {
            name: LtxName { level, min: txid(min), max: txid(max), time },
            objects: vec![Entry { key, size, modified: SystemTime::UNIX_EPOCH }],
        }
    }

    #[test]
    fn changes_are_those_of_the_way_through_the_last_days() {
        // Files; bytes a day over the last 7 days.
        type Case = (&'static [(u8, u64, u64, i64, u64)], Option<u64>);
        let cases: &[Case] = &[
            (&[], None),
            (&[(9, 1, 1, 0, 900)], None),
            (&[(9, 1, 1, 0, 900), (0, 2, 2, 23, 50)], None),
            (&[(9, 1, 1, 0, 900), (0, 2, 2, 48, 50)], Some(25)),
            // Neither bases nor what a merge has replaced.
            (
                &[(9, 1, 1, 0, 900), (0, 2, 2, 24, 90), (0, 3, 3, 48, 90), (1, 2, 3, 48, 100)],
                Some(50),
            ),
            (
                &[(9, 1, 1, 0, 900), (0, 2, 2, 24, 10), (9, 1, 2, 24, 900), (0, 3, 3, 48, 10)],
                Some(10),
            ),
            // What is older is left out.
            (&[(9, 1, 1, 0, 900), (0, 2, 2, 100, 9000), (0, 3, 3, 220, 500)], Some(100)),
        ];
        for (files, expected) in cases {
            let files: Vec<_> = files.iter().map(file).collect();
            assert_eq!(changes(&files, 7), *expected, "{files:?}");
        }
    }

    #[test]
    fn growth_is_counted_from_the_oldest_size_within_the_days() {
        let time = |hour: i64| Time::from_millis(1_795_229_340_123 + hour * 3_600_000);
        // Hour and size, newest first; growth a day over 7 and over 30 days.
        type Case = (&'static [(i64, u64)], Option<i64>, Option<i64>);
        let cases: &[Case] = &[
            (&[], None, None),
            (&[(0, 100)], None, None),
            (&[(23, 200), (0, 100)], None, None),
            (&[(24, 200), (0, 100)], Some(100), Some(100)),
            (&[(240, 1000), (84, 350), (0, 0)], Some(100), Some(100)),
            (&[(240, 1000), (192, 0), (0, 900)], Some(500), Some(10)),
            (&[(96, 100), (0, 500)], Some(-100), Some(-100)),
            (&[(1200, 100), (0, 500)], None, None),
            // A clock that was set back.
            (&[(48, 300), (72, 900), (0, 100)], Some(100), Some(100)),
        ];
        for (sizes, week, month) in cases {
            let sizes: Vec<_> = sizes.iter().map(|(hour, size)| (time(*hour), *size)).collect();
            assert_eq!((growth(&sizes, 7), growth(&sizes, 30)), (*week, *month), "{sizes:?}");
        }
    }
}
