//! Threads that end with what began them.

use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

/// The result of a thread; its panic goes on in this one.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
