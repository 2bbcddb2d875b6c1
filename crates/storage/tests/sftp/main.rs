//! The storage on a server, against OpenSSH's, and against servers that are cut off or lie.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "says which test was skipped")]

mod altered;
mod connecting;
#[path = "../directory/mod.rs"]
mod directory;
mod disk;
mod ending;
mod faults;
mod gate;
mod hostile;
mod lost;
mod objects;
mod subsystem;

use lifeboat_servers::sshd as server;
