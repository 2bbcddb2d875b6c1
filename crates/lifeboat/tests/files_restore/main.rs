//! Files put back, and read, from what backups of them hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod chosen;
mod damage;
mod in_place;
mod look;
mod machine;
mod random;
mod reading;
mod round_trip;
mod single;
