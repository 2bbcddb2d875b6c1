//! Bases and deltas of a database that changes between captures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Lineage, Place, oracle, run};

fn round_trips(mode: &str) {
    let (place, writer) = Place::with(&format!(
        "PRAGMA journal_mode={mode}; PRAGMA synchronous=off;
         CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT);
         CREATE INDEX t_body ON t(body); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<6000)
         INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;
         INSERT INTO w SELECT hex(randomblob(20)), id FROM t;"
    ));
    let database = &place.database;
    let mut lineage = Lineage::begin(database);
    assert!(lineage.restore() == oracle(database), "base, {mode}");
    let steps = [
        "UPDATE t SET body = 'x' WHERE id % 1500 = 0",
        "DELETE FROM t WHERE id > 3000",
        "SELECT 1",
        "VACUUM",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "INSERT INTO t(body) SELECT hex(randomblob(900)) FROM t",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DROP TABLE w; VACUUM",
        "CREATE TABLE v AS SELECT * FROM t; UPDATE t SET body = 1 WHERE id = 1",
    ];
    for step in steps {
        run(&writer, step);
        let changed = lineage.capture(database);
        assert!(lineage.restore() == oracle(database), "{step}, {mode}");
        let idle = step.contains("SELECT 1") || step.contains("PRAGMA");
        assert_eq!(changed == 0, idle, "{step}: {changed}");
    }
}

#[test]
fn wal_database_round_trips() {
    round_trips("wal");
}

#[test]
fn rollback_journal_database_round_trips() {
    round_trips("delete");
}
