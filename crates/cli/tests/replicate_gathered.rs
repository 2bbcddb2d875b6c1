//! G2, G7: captures that were stored as one file, by a replication that was killed before it could write
//! that down, are known to be there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Home, Replication};
use rusqlite::Connection;
use serde_json::Value;

#[test]
fn what_was_stored_as_one_file_is_not_stored_again() {
    let home = Home::new();
    home.write("lifeboat.toml", "[repository.one]\nurl = \"one\"\ninterval = \"500ms\"\n");
    home.ok(&["init"]);
    let connection = Connection::open(home.path("app.db")).unwrap();
    connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
    connection.execute_batch("CREATE TABLE t (n)").unwrap();
    let insert = |number: i64| connection.execute("INSERT INTO t VALUES (?)", [number]).unwrap();

    home.ok(&["replicate", "app.db", "--once"]);
    let mut replication = Replication::start(&home);
    let mut last = Value::Null;
    for number in 0..8 {
        insert(number);
        replication.wait_for("it is captured", |event| {
            last = event["txid"].clone();
            is(event, "captured")
        });
    }
    let stored = |event: &Value| is(event, "protected") && event["txid"] == last;
    replication.wait_for("they are stored", stored);
    replication.kill();

    let mut replication = Replication::start(&home);
    insert(9);
    replication.wait_for("it goes on", |event| is(event, "captured"));
    replication.wait_for("that is stored", |event| is(event, "protected"));
    let told = replication.stop();
    assert!(!told.iter().any(|event| is(event, "lacking")), "{told:#?}");
    let files: Vec<Value> = told.into_iter().filter(|event| is(event, "protected")).collect();
    assert_eq!(files.len(), 1, "{files:#?}");
    home.ok(&["check", "--read-data"]);
}

fn is(event: &Value, what: &str) -> bool {
    event["message_type"] == what
}
