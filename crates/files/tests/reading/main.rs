//! Walking trees and reading what is in them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod changes;
mod common;
mod content;
mod deep;
mod excludes;
mod metadata;
mod oracle;
mod owners;
mod patterns;
mod trees;
mod unreadable;
