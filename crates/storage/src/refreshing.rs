//! What expires, and is fetched again before it does.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::remote::Attempt;

/// As long before its end something is fetched anew.
const MARGIN: Duration = Duration::from_secs(300);

/// Something with its end.
#[derive(Clone)]
pub(crate) struct Fresh<T> {
    pub(crate) value: T,
    /// `None`: it does not end.
    pub(crate) expires: Option<SystemTime>,
}

type Source<T> = dyn Fn() -> Attempt<Fresh<T>> + Send + Sync;

/// Credentials or a token, fetched when they are first asked for and again before they expire.
pub(crate) struct Refreshing<T> {
    source: Box<Source<T>>,
    current: Mutex<Option<Fresh<T>>>,
}

impl<T> fmt::Debug for Refreshing<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Refreshing")
    }
}

impl<T: Clone> Refreshing<T> {
    pub(crate) fn new(source: impl Fn() -> Attempt<Fresh<T>> + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source), current: Mutex::new(None) }
    }

    /// What is always the same.
    pub(crate) fn fixed(value: T) -> Self
    where
        T: Send + Sync + 'static,
    {
        Self::new(move || Ok(Fresh { value: value.clone(), expires: None }))
    }

    /// The current one. If it cannot be renewed before its end, it serves until then.
    pub(crate) fn get(&self) -> Attempt<T> {
        let now = SystemTime::now();
        // Those who ask meanwhile wait for what is being fetched: one request is enough.
        let mut current = self.current();
        let has = |margin| {
            let lasts = |fresh: &&Fresh<T>| fresh.expires.is_none_or(|end| now + margin < end);
            current.as_ref().filter(lasts).map(|fresh| fresh.value.clone())
        };
        if let Some(value) = has(MARGIN) {
            return Ok(value);
        }
        match ((self.source)(), has(Duration::ZERO)) {
            (Ok(fresh), _) => Ok(current.insert(fresh).value.clone()),
            (Err(_), Some(value)) => Ok(value),
            (Err(failure), None) => Err(failure),
        }
    }

    /// Whether the current one ends, so that another may do where this one was refused.
    pub(crate) fn ends(&self) -> bool {
        self.current().as_ref().is_some_and(|fresh| fresh.expires.is_some())
    }

    /// Forgets the current one.
    pub(crate) fn forget(&self) {
        *self.current() = None;
    }

    fn current(&self) -> MutexGuard<'_, Option<Fresh<T>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{Cause, Failure};

    /// The values that three calls yield where the source's lives are of these lengths; it fails after them.
    fn three(lives: &'static [Option<u64>]) -> Vec<Option<u32>> {
        let calls = AtomicU32::new(0);
        let refreshing = Refreshing::new(move || {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let Some(life) = lives.get(call as usize) else {
                return Err(Failure::new(Cause::Unreachable, "gone"));
            };
            let expires = life.map(|life| SystemTime::now() + Duration::from_secs(life));
            Ok(Fresh { value: call, expires })
        });
        (0..3).map(|_| refreshing.get().ok()).collect()
    }

    #[test]
    fn what_ends_soon_is_fetched_again() {
        assert_eq!(three(&[None]), [Some(0), Some(0), Some(0)]);
        assert_eq!(three(&[Some(3600)]), [Some(0), Some(0), Some(0)]);
        assert_eq!(three(&[Some(200), Some(3600)]), [Some(0), Some(1), Some(1)]);
        assert_eq!(three(&[Some(200)]), [Some(0), Some(0), Some(0)]);
        assert_eq!(three(&[Some(0)]), [Some(0), None, None]);
    }

    #[test]
    fn what_was_forgotten_is_fetched_again() {
        let calls = AtomicU32::new(0);
        let end = SystemTime::now() + Duration::from_secs(3600);
        let refreshing = Refreshing::new(move || {
            Ok(Fresh { value: calls.fetch_add(1, Ordering::Relaxed), expires: Some(end) })
        });
        assert_eq!(refreshing.get().ok(), Some(0));
        assert!(refreshing.ends());
        refreshing.forget();
        assert_eq!(refreshing.get().ok(), Some(1));
        assert!(!Refreshing::fixed(1).ends());
    }
}
