//! How long to wait between two looks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::backoff;

/// However often it failed, the repository is tried again after this long.
const LONGEST: Duration = Duration::from_secs(60);
/// How soon a request to stop is noticed.
const TICK: Duration = Duration::from_millis(50);

/// The pause after so many failures in a row: twice as long with each.
pub(super) fn pause(interval: Duration, failures: u32) -> Duration {
    backoff(interval, interval.max(LONGEST), failures)
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
