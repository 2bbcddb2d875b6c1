//! Google Drive, against an emulator that refuses what Drive refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "gdrive/authorization.rs"]
mod authorization;
#[path = "gdrive/conformance.rs"]
mod conformance;
#[path = "gdrive/emulator.rs"]
mod emulator;
#[path = "gdrive/faults.rs"]
mod faults;
#[path = "gdrive/query.rs"]
mod query;
#[path = "support/server.rs"]
mod server;
#[path = "gdrive/tokens.rs"]
mod tokens;
#[path = "gdrive/uploads.rs"]
mod uploads;
