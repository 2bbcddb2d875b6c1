//! How fast a WAL grows: writers may fill it faster than one looks.

use std::time::{Duration, Instant};

/// Between two looks, however fast the WAL grows.
const LEAST: Duration = Duration::from_millis(20);
/// Until the second look, when nothing is known of the pace of the writers.
const FIRST: Duration = Duration::from_millis(100);

/// Measured from look to look.
#[derive(Debug, Default)]
pub(super) struct Growth {
    last: Option<(u64, Instant)>,
    /// Bytes a second; `None` before the second look.
    pace: Option<u64>,
}

impl Growth {
    /// So many bytes of the WAL are in use now.
    pub(super) fn next(&mut self, bytes: u64, now: Instant) {
        let Some((before, then)) = self.last.replace((bytes, now)) else { return };
        // One that was reset holds what came since.
        let grown = if bytes < before { bytes } else { bytes - before };
        let micros = now.duration_since(then).as_micros().max(1);
        let pace = u128::from(grown).saturating_mul(1_000_000) / micros;
        let pace = u64::try_from(pace).unwrap_or(u64::MAX);
        // A pause between two bursts does not mean that there will be no third.
        self.pace = Some(pace.max(self.pace.unwrap_or(0) / 2));
    }

    /// How long it takes until the WAL has `limit` bytes, if it goes on like this.
    pub(super) fn pause(&self, limit: u64) -> Duration {
        let (Some((bytes, _)), Some(pace)) = (self.last, self.pace) else { return FIRST };
        let missing = limit.saturating_sub(bytes).saturating_mul(1000);
        Duration::from_millis(missing.checked_div(pace).unwrap_or(u64::MAX)).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FIRST, Growth, LEAST};

    #[test]
    fn a_wal_that_grows_is_looked_at_before_it_is_full() {
        let began = Instant::now();
        let seconds = Duration::from_secs;
        // Bytes in use second by second, and when a limit of 100 will be reached.
        let cases: &[(&[u64], Duration)] = &[
            (&[], FIRST),
            (&[50], FIRST),
            (&[0, 10], seconds(9)),
            (&[50, 60], seconds(4)),
            (&[0, 100], LEAST),
            (&[0, 300], LEAST),
            // It was reset: what is in it came since.
            (&[90, 50], seconds(1)),
            // Slower than before, it may become as fast again.
            (&[0, 40, 40], seconds(3)),
        ];
        for (bytes, expected) in cases {
            let mut growth = Growth::default();
            for (at, bytes) in (0..).zip(*bytes) {
                growth.next(*bytes, began + seconds(at));
            }
            assert_eq!(growth.pause(100), *expected, "{bytes:?}");
        }
        let mut idle = Growth::default();
        (0..100).for_each(|at| idle.next(7, began + seconds(at)));
        assert!(idle.pause(100) > seconds(1_000_000));
    }
}
