//! The tests of this crate: one program, so that what they share is compiled once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod check;
mod common;
mod compact;
mod copying;
mod damage;
mod deferred;
mod faults;
mod forget;
mod keys;
mod leases;
mod lifecycle;
mod litestream;
mod names;
mod oracles;
mod planning;
mod replicas;
mod retention;
mod retention_faults;
mod retention_model;
mod retention_names;
mod retention_year;
mod secrets;
mod taking_leases;
mod undelete;
