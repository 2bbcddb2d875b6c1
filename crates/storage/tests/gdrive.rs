//! Google Drive, against an emulator that refuses what Drive refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "gdrive/authorization.rs"]
mod authorization;
#[path = "gdrive/conformance.rs"]
mod conformance;
#[path = "gdrive/faults.rs"]
mod faults;
#[path = "gdrive/tokens.rs"]
mod tokens;
#[path = "gdrive/uploads.rs"]
mod uploads;

use lifeboat_servers::{drive as emulator, http as server};
