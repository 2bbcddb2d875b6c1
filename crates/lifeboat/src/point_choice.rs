//! Which point a user means.

use std::cmp::Reverse;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageId, Point, Time};

use crate::{Error, Result};

/// A point of a database, as a user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointChoice {
    /// The newest at or before a time, of all lineages.
    At(Time),
    /// A transaction, and no other will do.
    Txid(Txid),
    /// The newest of all.
    Newest,
}

/// Which point of which database.
#[derive(Debug, Clone)]
pub struct PointSelection {
    /// A database: its name, or its path. `None`: the only one there is.
    pub source: Option<String>,
    /// The host whose database is meant. `None`: this one, else the only one there is.
    pub host: Option<String>,
    /// A lineage: its id, or the beginning of it. `None`: any.
    pub lineage: Option<String>,
    /// The point.
    pub point: PointChoice,
}

/// A point that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPoint {
    /// The host, as it stands in keys.
    pub host: String,
    /// The database's name, as it stands in keys.
    pub database: String,
    /// The lineage.
    pub lineage: LineageId,
    /// Transaction and time.
    pub point: Point,
}

/// Reads a transaction number: hex digits, as listings show it. Leading zeros may be left out.
pub fn parse_txid(text: &str) -> Result<Txid> {
    let digits =
        (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
    number.and_then(Txid::new).ok_or_else(|| {
        Error::usage(
            format!("{text:?} is no transaction"),
            "give hex digits as `lifeboat points` shows them",
        )
    })
}

/// The newest point at or before a time, and in which lineage. Of two lineages with equal times, the
/// one whose first point is later: it took over from the other.
pub(crate) fn newest_at(lineages: &[Vec<Point>], time: Time) -> Option<(usize, Point)> {
    let newest = |points: &[Point]| points.iter().copied().filter(|point| point.time <= time).max();
    let found = lineages.iter().enumerate();
    found.filter_map(|(at, points)| Some((at, newest(points)?))).max_by_key(|(at, point)| {
        (point.time, lineages[*at].first().map(|first| first.time), point.txid, Reverse(*at))
    })
}

/// The lineages in which a transaction is a point.
pub(crate) fn with_txid(lineages: &[Vec<Point>], txid: Txid) -> Vec<(usize, Point)> {
    let found = lineages.iter().enumerate().filter_map(|(at, points)| {
        let found = points.binary_search_by_key(&txid, |point| point.txid).ok()?;
        Some((at, points[found]))
    });
    found.collect()
}

/// The last transaction of the lineage whose last point is the newest. In a lineage the number counts:
/// times get lost where files are copied without theirs.
pub(crate) fn newest(lineages: &[Vec<Point>]) -> Option<(usize, Point)> {
    let last = |(at, points): (usize, &Vec<Point>)| Some((at, *points.last()?));
    lineages.iter().enumerate().filter_map(last).max_by_key(|(_, point)| *point)
}

#[cfg(test)]
mod tests {
    use lifeboat_ltx::Txid;
    use lifeboat_repository::{Point, Time};

    use super::{newest, newest_at, parse_txid, with_txid};

    /// Seconds of the points of each lineage; their numbers count from 1.
    type Lineages = &'static [&'static [i64]];
    /// Which lineage, and which number.
    type Found = Option<(usize, u64)>;

    fn points(lineages: Lineages) -> Vec<Vec<Point>> {
        let point = |(number, second): (u64, &i64)| Point {
            time: Time::from_millis(second * 1000),
            txid: Txid::new(number).unwrap(),
        };
        lineages.iter().map(|seconds| (1..).zip(*seconds).map(point).collect()).collect()
    }

    #[test]
    fn the_newest_of_all_lineages_at_or_before_a_time() {
        let cases: &[(Lineages, i64, Found)] = &[
            (&[], 9, None),
            (&[&[]], 9, None),
            (&[&[5]], 4, None),
            (&[&[5]], 5, Some((0, 1))),
            (&[&[5, 6, 8]], 7, Some((0, 2))),
            (&[&[5, 6, 8], &[7, 9]], 7, Some((1, 1))),
            (&[&[5, 6, 8], &[7, 9]], 8, Some((0, 3))),
            (&[&[5, 6, 8], &[7, 9]], 100, Some((1, 2))),
            // Equal times: the lineage that began later, whatever the order; in one, the last.
            (&[&[5, 8], &[7, 8]], 8, Some((1, 2))),
            (&[&[7, 8], &[5, 8]], 8, Some((0, 2))),
            (&[&[5, 6, 6, 6]], 6, Some((0, 4))),
            // A clock that went back, in a replica of others.
            (&[&[5, 9, 7]], 8, Some((0, 3))),
        ];
        for (lineages, second, expected) in cases {
            let found = newest_at(&points(lineages), Time::from_millis(second * 1000));
            let found = found.map(|(at, point)| (at, point.txid.get()));
            assert_eq!(found, *expected, "{lineages:?} at {second}");
        }
    }

    #[test]
    fn the_newest_of_all_is_the_last_transaction() {
        let cases: &[(Lineages, Found)] = &[
            (&[], None),
            (&[&[], &[5, 6]], Some((1, 2))),
            (&[&[1, 9], &[5, 6]], Some((0, 2))),
            (&[&[9, 9, 7]], Some((0, 3))),
        ];
        for (lineages, expected) in cases {
            let found = newest(&points(lineages)).map(|(at, point)| (at, point.txid.get()));
            assert_eq!(found, *expected, "{lineages:?}");
        }
    }

    #[test]
    fn a_transaction_may_be_in_several_lineages() {
        let lineages = points(&[&[1, 2], &[5], &[6, 7, 8]]);
        let at = |txid| {
            let found = with_txid(&lineages, Txid::new(txid).unwrap());
            found.iter().map(|(at, _)| *at).collect::<Vec<_>>()
        };
        assert_eq!([at(1), at(2), at(3), at(4)], [vec![0, 1, 2], vec![0, 2], vec![2], vec![]]);
    }

    #[test]
    fn transactions_are_hex_digits() {
        for (text, number) in
            [("1", 1), ("2f", 0x2f), ("10", 16), ("2F", 0x2f), ("000000000000002f", 0x2f)]
        {
            assert_eq!(parse_txid(text).unwrap().get(), number);
        }
        for text in ["", "0", "0x2f", "+1", "g", "00000000000000001", "1 "] {
            assert!(parse_txid(text).is_err(), "{text}");
        }
    }
}
