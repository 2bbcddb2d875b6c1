//! Repositories against the program that defines them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive_faults;
mod archive_runs;
mod archive_sources;
mod archiving;
mod check;
mod common;
mod copying;
mod copying_far;
mod copying_pieces;
mod documents;
mod fixture;
mod foundations;
mod locks;
mod prune;
mod reading;
mod script;
mod usage;
