//! Servers of stores, for tests: as others wrote them where they can be had, else as their owners document them.
//!
//! Nothing here is part of what users run.

#![allow(missing_docs, reason = "the names say it to those who write tests")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "says which test was skipped")]

pub mod drive;
pub mod front;
pub mod http;
pub mod proxy;
pub mod s3;
pub mod sshd;
