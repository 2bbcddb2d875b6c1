//! How the threads of an archiving end together.
//!
//! Who fails leaves the error here, closes the budget and drops its ends of the channels: the others find
//! them closed and end too, with [`Stop::Elsewhere`]. The first error is the one that is told.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::budget::Budget;
use crate::{Error, Result};

/// Why a thread ends before its work is done.
pub(super) enum Stop {
    /// It failed.
    Failed(Error),
    /// Another one failed.
    Elsewhere,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The first error of several threads.
pub(super) struct Outcome<'a> {
    first: Mutex<Option<Error>>,
    budget: &'a Budget,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self { first: Mutex::new(None), budget }
    }

    /// Does a thread's work. `None` if that was not all done.
    pub(super) fn of<T>(&self, work: impl FnOnce() -> Result<T, Stop>) -> Option<T> {
        let failed = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(Stop::Failed(error))) => Some(error),
            Ok(Err(Stop::Elsewhere)) => None,
            Err(panic) => Some(Error::Panicked { message: message(&*panic) }),
        };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(error)) = (&*first, failed) {
            *first = Some(error);
        }
        self.budget.close();
        None
    }

    /// What all threads together made, `None` if one of them failed.
    pub(super) fn conclude<T>(self, made: Option<T>) -> Result<T> {
        match self.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => {
                made.ok_or_else(|| Error::Panicked { message: "all ended, and none failed".into() })
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
