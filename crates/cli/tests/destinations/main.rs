//! What the product promises, wherever its repositories are: the program itself, against real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod append_only;
mod at_once;
mod bad_days;
#[path = "../common/mod.rs"]
mod common;
mod drive;
mod fleet;
mod leases;
mod places;
mod requests;
mod round_trip;
mod secrets;
