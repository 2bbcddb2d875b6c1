//! A bound of what is between reading and storing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of memory that are shared by all that is on its way.
pub(crate) struct Budget {
    limit: usize,
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    closed: bool,
}

/// The right to so many bytes, given back when dropped.
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), given_back: Condvar::new() }
    }

    /// Waits until there is room for `bytes`; what is larger than all of it is alone. `None` once closed.
    pub(crate) fn take(&self, bytes: usize) -> Option<Permit<'_>> {
        let bytes = bytes.min(self.limit);
        let mut state = self.state();
        while !state.closed && state.taken + bytes > self.limit {
            state = self.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        state.taken += bytes;
        Some(Permit { budget: self, bytes })
    }

    /// Nobody waits any more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.given_back.notify_all();
    }

    /// Each change is one assignment, so a panic elsewhere cannot have left half of one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.state().taken -= self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new(10);
        let (taken, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for bytes in [1, 3, 5, 7, 10, 25] {
                let (budget, taken, most) = (&budget, &taken, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = budget.take(bytes).unwrap();
                        let now = taken.fetch_add(permit.bytes, Ordering::SeqCst) + permit.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        taken.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(budget.state().taken, 0);
    }

    #[test]
    fn closing_wakes_who_waits() {
        let budget = Budget::new(10);
        let all = budget.take(10);
        thread::scope(|scope| {
            let waits = scope.spawn(|| budget.take(1).is_none());
            budget.close();
            assert!(waits.join().unwrap());
        });
        drop(all);
        assert!(budget.take(1).is_none());
    }
}
