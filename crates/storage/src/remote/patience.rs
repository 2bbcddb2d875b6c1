//! How long what fails is tried again.

use std::thread;
use std::time::{Duration, Instant};

use super::{Attempt, Failure};

/// How long what fails is tried again: with pauses that begin short and double, each drawn from the upper half
/// of its length so that many hosts do not come back at once, until all together would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The time after which no other attempt is begun.
    pub total: Duration,
}

impl Default for Patience {
    /// Half a second, then up to half a minute, for two minutes.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            total: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// No second attempt.
    pub const NONE: Self =
        Self { first: Duration::ZERO, longest: Duration::ZERO, total: Duration::ZERO };

    /// Tries until it comes through, is refused, or this ends.
    pub(crate) fn retry<T>(&self, mut attempt: impl FnMut() -> Attempt<T>) -> Attempt<T> {
        let began = Instant::now();
        let mut failures = 0;
        loop {
            let failure = match attempt() {
                Err(failure) if failure.cause.may_pass() => failure,
                other => return other,
            };
            let Some(pause) = self.pause(failures, began.elapsed(), &failure) else {
                return Err(failure);
            };
            thread::sleep(pause);
            failures += 1;
        }
    }

    /// The pause after so many failures before this one; `None` if there is no time left for it.
    fn pause(&self, failures: u32, elapsed: Duration, failure: &Failure) -> Option<Duration> {
        let doubled = self.first.saturating_mul(1 << failures.min(16)).min(self.longest);
        let half = doubled / 2;
        let drawn = half + half.mul_f64(random_share());
        let pause = failure.retry_after.map_or(drawn, |wanted| wanted.max(drawn));
        (elapsed.saturating_add(pause) < self.total).then_some(pause)
    }
}

/// From 0 to 1. Without randomness, the middle does.
fn random_share() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_or(0.5, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Cause;

    #[test]
    fn pauses_grow_and_end() {
        let seconds = Duration::from_secs;
        let patience = Patience { first: seconds(2), longest: seconds(20), total: seconds(100) };
        let plain = Failure::new(Cause::Unavailable, "");
        let told = |wanted| Failure {
            retry_after: Some(seconds(wanted)),
            ..Failure::new(Cause::Throttled, "")
        };
        for (failures, elapsed, failure, bounds) in [
            (0, 0, &plain, Some((1, 2))),
            (1, 3, &plain, Some((2, 4))),
            (3, 20, &plain, Some((8, 16))),
            (4, 40, &plain, Some((10, 20))),
            (u32::MAX, 40, &plain, Some((10, 20))),
            (9, 99, &plain, None),
            (0, 0, &told(30), Some((30, 30))),
            (0, 0, &told(1), Some((1, 2))),
            (0, 0, &told(100), None),
        ] {
            let pause = patience.pause(failures, seconds(elapsed), failure);
            match (pause, bounds) {
                (None, None) => {}
                (Some(pause), Some((least, most))) => {
                    assert!((seconds(least)..=seconds(most)).contains(&pause), "{pause:?}");
                }
                other => panic!("{failures} {elapsed}: {other:?}"),
            }
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let patience =
            Patience { first: Duration::ZERO, longest: Duration::ZERO, total: Duration::MAX };
        let mut attempts = 0;
        let done = patience.retry(|| {
            attempts += 1;
            if attempts < 4 { Err(Failure::new(Cause::Interrupted, "")) } else { Ok(attempts) }
        });
        assert!(matches!(done, Ok(4)));
        let mut attempts = 0;
        let refused: Attempt<()> = patience.retry(|| {
            attempts += 1;
            Err(Failure::new(Cause::Denied, "no"))
        });
        assert!(refused.is_err_and(|failure| failure.cause == Cause::Denied));
        assert_eq!(attempts, 1);
        let mut attempts = 0;
        let once: Attempt<()> = Patience::NONE.retry(|| {
            attempts += 1;
            Err(Failure::new(Cause::Unavailable, ""))
        });
        assert!(once.is_err() && attempts == 1);
    }
}
