//! How long to wait between two looks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// However often it failed, the repository is tried again after this long.
const LONGEST: Duration = Duration::from_secs(60);
/// How soon a request to stop is noticed.
const TICK: Duration = Duration::from_millis(50);

/// The pause after so many failures in a row: twice as long with each.
pub(super) fn pause(interval: Duration, failures: u32) -> Duration {
    let longest = interval.max(LONGEST);
    interval.saturating_mul(1 << failures.min(16)).min(longest)
}

/// Waits; less if `stop` is set.
pub(super) fn wait(pause: Duration, stop: &AtomicBool) {
    let end = Instant::now() + pause;
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(TICK));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn failures_make_pauses_longer() {
        for (interval, failures, expected) in [
            (1, 0, 1),
            (1, 1, 2),
            (1, 5, 32),
            (1, 6, 60),
            (1, u32::MAX, 60),
            (300, 3, 300),
            (0, 9, 0),
        ] {
            let found = pause(Duration::from_secs(interval), failures);
            assert_eq!(found, Duration::from_secs(expected), "{interval} {failures}");
        }
    }
}
