//! A database that other processes write to in a storm.

use rusqlite::Connection;

use super::{Place, run, value};

/// As in `bank.sql`.
pub(crate) const ACCOUNTS: i64 = 300;
pub(crate) const BALANCE: i64 = 1_000;

/// How many times as long as usual a storm lasts.
pub(crate) fn soak() -> f64 {
    std::env::var("LIFEBOAT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1.0)
}

/// A bank, for `storm.py`.
pub(crate) fn bank(mode: &str) -> Place {
    let place = Place::in_memory();
    let connection = place.open();
    run(&connection, &format!("PRAGMA journal_mode={mode}"));
    run(&connection, include_str!("bank.sql"));
    place
}

/// A reader of SQLite's, with what tells one state of the bank from another.
pub(crate) struct Reader(pub(crate) Connection);

impl Reader {
    pub(crate) fn new(place: &Place) -> Self {
        let connection = place.open();
        run(&connection, "PRAGMA busy_timeout=10000");
        Self(connection)
    }

    /// Begins a transaction; the state it sees, which every commit changes.
    pub(crate) fn begin(&self) -> (i64, i64) {
        run(&self.0, "BEGIN");
        (value(&self.0, "SELECT ticks FROM clock"), value(&self.0, "PRAGMA schema_version"))
    }

    pub(crate) fn end(&self) {
        run(&self.0, "ROLLBACK");
    }
}
