//! What each fuzz target does with its input. A panic, a failed assertion, too much memory or too
//! much time is a finding.

#![forbid(unsafe_code)]

mod container;
mod file;
mod ltx;
mod manifest;
mod names;
mod place;
mod restic;

pub use container::container;
pub use file::{Decoded, build, decode, small_file};
pub use ltx::ltx;
pub use manifest::manifest;
pub use names::names;
pub use place::Place;
pub use restic::restic;
