//! Points that lie close together, as one range.

use lifeboat_repository::Point;

/// Points at most this far apart, in milliseconds, are one range: twice the interval to which points
/// of the last days are thinned.
const CLOSE_MS: u64 = 10 * 60_000;

/// Consecutive points that lie close together; or one that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointRange {
    /// The oldest.
    pub from: Point,
    /// The newest.
    pub to: Point,
    /// How many there are.
    pub count: usize,
    /// The longest time between two that follow each other, in milliseconds: so much older than what
    /// was asked for a restored database may be.
    pub largest_gap_ms: u64,
}

/// The ranges of points that are ordered from the oldest to the newest.
pub fn ranges(points: &[Point]) -> Vec<PointRange> {
    let groups = points.chunk_by(|one, next| gap_ms(*one, *next) <= CLOSE_MS);
    groups.filter_map(range).collect()
}

fn range(points: &[Point]) -> Option<PointRange> {
    let gaps = points.windows(2).map(|pair| gap_ms(pair[0], pair[1]));
    Some(PointRange {
        from: *points.first()?,
        to: *points.last()?,
        count: points.len(),
        largest_gap_ms: gaps.max().unwrap_or(0),
    })
}

fn gap_ms(one: Point, next: Point) -> u64 {
    next.time.millis().abs_diff(one.time.millis())
}

#[cfg(test)]
mod tests {
    use lifeboat_ltx::Txid;
    use lifeboat_repository::{Point, Time};

    use super::ranges;

    /// First and last second, how many, and the longest gap in seconds.
    type Expected = (i64, i64, usize, u64);

    #[test]
    fn what_is_close_is_one() {
        let cases: &[(&[i64], &[Expected])] = &[
            (&[], &[]),
            (&[5], &[(5, 5, 1, 0)]),
            (&[0, 1, 3], &[(0, 3, 3, 2)]),
            (&[0, 600], &[(0, 600, 2, 600)]),
            (&[0, 601], &[(0, 0, 1, 0), (601, 601, 1, 0)]),
            (
                &[0, 3600, 3601, 4000, 9000],
                &[(0, 0, 1, 0), (3600, 4000, 3, 399), (9000, 9000, 1, 0)],
            ),
            (&[7, 7], &[(7, 7, 2, 0)]),
        ];
        for (seconds, expected) in cases {
            let point = |(txid, second): (u64, &i64)| Point {
                time: Time::from_millis(second * 1000),
                txid: Txid::new(txid).unwrap(),
            };
            let points: Vec<Point> = (1..).zip(*seconds).map(point).collect();
            let found: Vec<_> = ranges(&points)
                .iter()
                .map(|range| {
                    let second = |point: Point| point.time.millis() / 1000;
                    (second(range.from), second(range.to), range.count, range.largest_gap_ms / 1000)
                })
                .collect();
            assert_eq!(found, *expected, "{seconds:?}");
        }
    }
}
