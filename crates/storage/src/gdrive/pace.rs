//! Keeps requests below the rate at which Drive begins to refuse them.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lets a burst pass, then so many a second.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<NonZeroU32>,
    /// When all requests so far are paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        Self { per_second, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until another request may be sent.
    pub(super) fn pass(&self) {
        let Some(per_second) = self.per_second else { return };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = admit(&mut paid, Instant::now(), per_second);
        drop(paid);
        thread::sleep(wait);
    }
}

/// How long a request has to wait that comes now: what is owed above the burst of a second.
fn admit(paid: &mut Instant, now: Instant, per_second: NonZeroU32) -> Duration {
    let price = Duration::from_secs(1) / per_second.get();
    *paid = (*paid).max(now) + price;
    (*paid - now).saturating_sub(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_waits() {
        let start = Instant::now();
        let mut paid = start;
        let per_second = NonZeroU32::new(4).unwrap();
        let waits: Vec<u128> =
            (0..7).map(|_| admit(&mut paid, start, per_second).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500, 750]);
        let later = start + Duration::from_secs(10);
        assert_eq!(admit(&mut paid, later, per_second), Duration::ZERO);
    }
}
