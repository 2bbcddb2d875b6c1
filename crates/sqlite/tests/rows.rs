//! Rows counted from b-trees equal what SQLite counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Lineage, Place, Stored, run, value};
use lifeboat_sqlite::{Bitmap, count_rows, pin};

/// Each capture of a lineage compares every table of the schema.
#[test]
fn tables_of_every_kind() {
    for page_size in [512, 4096] {
        let (place, writer) = Place::with(&format!(
            "PRAGMA page_size={page_size}; PRAGMA journal_mode=wal; PRAGMA synchronous=off;
             CREATE TABLE empty(x); CREATE TABLE empty_too(k PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE one(x); INSERT INTO one VALUES (zeroblob(100000));
             CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, x);
             CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
             CREATE TABLE wide(k TEXT, v TEXT, PRIMARY KEY(k, v)) WITHOUT ROWID;
             CREATE TABLE \"a \"\"b\"(x); INSERT INTO \"a \"\"b\" VALUES (1);
             CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE words USING fts5(body);
             CREATE VIRTUAL TABLE box USING rtree(id, a, b);"
        ));
        let mut lineage = Lineage::begin(&place.database);
        let steps = [
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<9000)
             INSERT INTO counted(x) SELECT hex(randomblob(i % 50)) FROM n",
            "INSERT INTO keyed SELECT hex(randomblob(30)), id FROM counted;
             INSERT INTO wide SELECT hex(randomblob(200)), id FROM counted WHERE id < 900",
            "INSERT INTO words SELECT 'word' || id || ' ' || x FROM counted WHERE id < 2000;
             INSERT INTO box SELECT id, id, id + 1 FROM counted WHERE id < 2000",
            "DELETE FROM counted WHERE id % 7; DELETE FROM keyed WHERE v % 3; DELETE FROM one",
            "VACUUM",
            "DELETE FROM wide; DROP TABLE keyed; INSERT INTO empty VALUES (1)",
        ];
        for step in steps {
            run(&writer, step);
            lineage.capture(&place.database);
        }
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let names: Vec<_> = pinned.schema().unwrap().tables.into_iter().map(|t| t.name).collect();
        for name in ["sqlite_sequence", "words_data", "words_content", "box_node", "a \"b"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(!names.iter().any(|name| name == "v" || name == "words" || name == "box"));
    }
}

#[test]
fn a_deep_tree() {
    let (place, writer) = Place::with(
        "PRAGMA page_size=512; PRAGMA journal_mode=off; PRAGMA synchronous=off;
         CREATE TABLE t(k TEXT PRIMARY KEY) WITHOUT ROWID",
    );
    let mut lineage = Lineage::begin(&place.database);
    run(
        &writer,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<4000)
         INSERT INTO t SELECT hex(randomblob(45)) || i FROM n",
    );
    let depth: i64 = value(&writer, "SELECT max(length(path)) FROM dbstat WHERE name = 't'");
    // `/000/000/…/`: four bytes for each level.
    assert!(depth >= 4 * 5, "{depth}");
    lineage.capture(&place.database);
}

#[test]
fn pages_that_form_no_tree_are_not_counted_and_end() {
    // Pages of an interior table page whose cells all point to their own page.
    let mut stored = Stored::new(512, &[0; 40]);
    let none = Bitmap::new(40);
    let count = |stored: &Stored, root| {
        let pinned = stored.pin();
        count_rows(&pinned.image().unwrap(), &stored.array(), &none, root).unwrap()
    };
    assert_eq!(count(&stored, 2), None, "no b-tree page");
    assert_eq!(count(&stored, 0), None);
    assert_eq!(count(&stored, 41), None);
    assert_eq!(count(&stored, u32::MAX), None);

    let page = &mut stored.bytes[512..1024];
    page[0] = 5;
    page[3..5].copy_from_slice(&100_u16.to_be_bytes());
    page[8..12].copy_from_slice(&2_u32.to_be_bytes());
    for cell in 0..100 {
        page[12 + 2 * cell..][..2].copy_from_slice(&400_u16.to_be_bytes());
    }
    page[400..404].copy_from_slice(&2_u32.to_be_bytes());
    let stored = rewritten(stored);
    assert_eq!(count(&stored, 2), None, "a circle");

    // A page of an index below a table, and a cell beyond the page.
    let mut stored = stored;
    let page = &mut stored.bytes[512..1024];
    page[3..5].copy_from_slice(&0_u16.to_be_bytes());
    page[8..12].copy_from_slice(&3_u32.to_be_bytes());
    stored.bytes[1024] = 10;
    let mut stored = rewritten(stored);
    assert_eq!(count(&stored, 2), None, "an index below a table");
    stored.bytes[1024] = 13;
    stored.bytes[1024 + 4] = 9;
    let mut stored = rewritten(stored);
    assert_eq!(count(&stored, 2), Some(9));
    let page = &mut stored.bytes[512..1024];
    page[3..5].copy_from_slice(&u16::MAX.to_be_bytes());
    let stored = rewritten(stored);
    assert_eq!(count(&stored, 2), None, "cells beyond the page");
}

fn rewritten(stored: Stored) -> Stored {
    std::fs::write(&stored.place.database, &stored.bytes).unwrap();
    stored.fresh_array();
    std::fs::rename(stored.place.path("fresh"), stored.pages()).unwrap();
    stored
}
