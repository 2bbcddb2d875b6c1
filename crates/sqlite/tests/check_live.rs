//! SQLite's own check of a database that an application has open.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, run};
use lifeboat_sqlite::{Error, LiveCheck, check_live};

const TABLES: &str = "CREATE TABLE parent(id INTEGER PRIMARY KEY);
    CREATE TABLE child(x, parent REFERENCES parent(id));
    CREATE INDEX i ON child(x);
    INSERT INTO parent VALUES (1);
    INSERT INTO child SELECT hex(randomblob(50)), 1 FROM pragma_function_list;";

/// In WAL mode the newest state is in the log alone, and is what is checked.
#[test]
fn a_whole_database_is_checked_where_writers_do_not_wait() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLES}"));
        let names = place.names();
        let scratch = place.scratch();
        let check = check_live(&place.database, &scratch).unwrap();
        let pages: u64 = common::value::<i64>(&writer, "PRAGMA page_count").unsigned_abs();
        let copied_bytes = if mode == "wal" { 0 } else { pages * 4096 };
        assert_eq!(check, LiveCheck { copied_bytes, ..LiveCheck::default() }, "{mode}");
        assert_eq!(place.names(), names, "{mode}");
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "{mode}");
        run(&writer, "INSERT INTO child VALUES ('still written to', 1)");
    }
}

#[test]
fn rows_that_refer_to_nothing_are_counted_by_table() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLES}"));
        run(&writer, "PRAGMA foreign_keys=off; INSERT INTO child VALUES ('a', 7), ('b', 8)");
        let check = check_live(&place.database, &place.scratch()).unwrap();
        let expected = [(("child".to_owned(), "parent".to_owned()), 2)];
        assert_eq!(check.dangling.into_iter().collect::<Vec<_>>(), expected, "{mode}");
        assert_eq!(check.unchecked, None);
    }
}

#[test]
fn references_that_cannot_be_checked_are_no_damage() {
    let (place, _writer) = Place::with(
        "PRAGMA foreign_keys=off; CREATE TABLE parent(id); CREATE TABLE child(parent REFERENCES parent(id));
         INSERT INTO child VALUES (1);",
    );
    let check = check_live(&place.database, &place.scratch()).unwrap();
    assert!(check.unchecked.unwrap().contains("foreign key mismatch"));
}

#[test]
fn damage_is_found_in_place_and_in_a_copy() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLES}"));
        run(
            &writer,
            "PRAGMA writable_schema=on;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON child(parent)' WHERE name = 'i'",
        );
        let error = check_live(&place.database, &place.scratch()).unwrap_err();
        let Error::Integrity { path, findings } = error else { panic!("{mode}: {error:?}") };
        assert_eq!(path, place.database);
        assert!(!findings.is_empty() && findings.len() <= 20, "{mode}");
        assert_eq!(std::fs::read_dir(place.scratch()).unwrap().count(), 0);
    }
}
