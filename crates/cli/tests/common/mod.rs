//! What several test files need: a machine of its own for every test, and databases on it.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod database;
mod home;
mod tools;

pub(crate) use database::{Database, content};
pub(crate) use home::{Home, Ran, files_below};
pub(crate) use tools::{Tool, has_tool, is_root, require_tool, skip};
