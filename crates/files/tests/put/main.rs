//! Putting trees back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aside;
mod dry_run;
mod extras;
mod faults;
mod hostile;
mod in_progress;
mod links;
mod mounted;
mod overwrite;
mod owners;
mod round_trip;
mod small_disk;
mod sparse;
mod special;
mod tree;
mod unprivileged;
