//! A writer was killed in the middle of a transaction that is already half in the file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, Tool, assert_same, bytes, oracle, page_table, require_tool};
use lifeboat_sqlite::{JournalMode, integrity_check, pin};

const WRITER: &str = r#"
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma journal_mode=" + sys.argv[2])
db.execute("begin")
db.execute("create table t(id integer primary key, x)")
db.executemany("insert into t(x) values(randomblob(2000))", [()] * 500)
db.execute("commit")
print("ready", flush=True)
input()
db.execute("pragma cache_size=5")
db.execute("pragma cache_spill=1")
db.execute("begin")
db.execute("update t set x = randomblob(2500)")
db.executemany("insert into t(x) values(randomblob(2000))", [()] * 500)
print("spilled", flush=True)
time.sleep(60)
"#;

/// A database with a hot journal, and its state before the transaction.
fn hot(mode: &str) -> (Place, Vec<u8>) {
    let place = Place::new();
    let mut writer = Tool::python(WRITER, &[place.database.to_str().unwrap(), mode]);
    assert_eq!(writer.line(), "ready");
    let expected = oracle(&place.database);
    writer.send("");
    assert_eq!(writer.line(), "spilled");
    writer.kill();
    assert_ne!(std::fs::read(&place.database).unwrap(), expected, "nothing was spilled");
    (place, expected)
}

#[test]
fn the_state_before_the_transaction_is_pinned_and_the_files_stay() {
    if !require_tool("python3") {
        return;
    }
    for mode in ["delete", "truncate", "persist"] {
        let (place, expected) = hot(mode);
        let files = || ["", "-journal"].map(|suffix| std::fs::read(place.sidecar(suffix)).unwrap());
        let before = files();
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        assert!(pinned.is_copy() && !pinned.blocks_writers());
        assert_eq!(pinned.journal_mode(), JournalMode::Rollback);
        let image = bytes(&pinned.image().unwrap());
        assert_eq!(image.len(), expected.len());
        let path = place.path("image.db");
        std::fs::write(&path, &image).unwrap();
        integrity_check(&path).unwrap();
        assert_same(&image[4096..], &expected[4096..], 4096, mode);
        assert_eq!(pinned.schema().unwrap().tables[0].name, "t");
        assert_eq!(std::fs::read_dir(place.scratch()).unwrap().count(), 1);
        drop(pinned);
        assert_eq!(std::fs::read_dir(place.scratch()).unwrap().count(), 0);
        assert!(files() == before, "{mode}: the application's files changed");
        // What the application's own SQLite makes of them.
        assert_same(&page_table(&place.open()), &image, 4096, mode);
    }
}

#[test]
fn two_copies_of_one_database_do_not_meet() {
    if !require_tool("python3") {
        return;
    }
    let (place, _) = hot("delete");
    let first = pin(&place.database, &place.scratch()).unwrap();
    let second = pin(&place.database, &place.scratch()).unwrap();
    let image = bytes(&second.image().unwrap());
    drop(second);
    assert_same(&bytes(&first.image().unwrap()), &image, 4096, "after the other was dropped");
}
