//! How long to wait after failures in a row.

use std::time::Duration;

/// `first` after none, twice as long with each failure, but at most `longest`.
pub(crate) fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::backoff;

    #[test]
    fn failures_make_pauses_longer() {
        for (first, longest, failures, expected) in [
            (1, 60, 0, 1),
            (1, 60, 1, 2),
            (1, 60, 5, 32),
            (1, 60, 6, 60),
            (1, 60, u32::MAX, 60),
            (300, 300, 3, 300),
            (0, 60, 9, 0),
        ] {
            let seconds = Duration::from_secs;
            let found = backoff(seconds(first), seconds(longest), failures);
            assert_eq!(found, seconds(expected), "{first} {failures}");
        }
    }
}
