//! What several test files need: a machine of its own for every test, and databases on it.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod database;
mod dice;
mod home;
mod points;
mod replication;
mod restic;
mod scrub;
mod tools;

pub(crate) use database::{Database, content};
pub(crate) use dice::Dice;
pub(crate) use home::{Home, Ran, files_below};
pub(crate) use points::{context, for_each_point};
pub(crate) use replication::Replication;
pub(crate) use restic::{restic, restic_at, try_restic};
pub(crate) use scrub::scrub;
pub(crate) use tools::{Tool, is_root, require_tool, skip};

/// A home with a database of which there is one backup.
pub(crate) fn backed_up() -> (Home, Database) {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    home.ok(&["backup", "app.db"]);
    (home, database)
}
