//! Reading leaves the application's files, its locks and its log as they were.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use common::{Lineage, Place, Tool, bytes, require_tool, run, value};
use lifeboat_sqlite::{Error, JournalMode, integrity_check, pin, read_header};

/// Content and modification time of the database and the files beside it.
fn state(place: &Place, suffixes: &[&str]) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let read = |suffix: &&str| {
        let path = place.sidecar(suffix);
        let content = std::fs::read(&path).ok()?;
        Some(((*suffix).to_owned(), (content, path.metadata().unwrap().modified().unwrap())))
    };
    suffixes.iter().filter_map(read).collect()
}

/// Pins, reads everything in every way, lets go, and captures twice.
fn use_it(place: &Place) {
    let scratch = place.scratch();
    let pin = pin(&place.database, &scratch).unwrap();
    bytes(&pin.image().unwrap());
    pin.schema().unwrap();
    drop(pin);
    let mut lineage = Lineage::begin(&place.database);
    lineage.capture(&place.database);
    assert!(read_header(&place.database).unwrap().is_some());
}

const TABLE: &str = "CREATE TABLE t(x); INSERT INTO t VALUES (randomblob(9000)), (zeroblob(100));";

#[test]
fn an_application_at_work_keeps_its_files() {
    if !require_tool("python3") {
        return;
    }
    for mode in ["wal", "delete", "truncate", "persist"] {
        let place = Place::new();
        let mut application = Tool::application(&place.database);
        application.run(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        let before = state(&place, &["", "-wal", "-journal"]);
        let names = place.names();
        use_it(&place);
        assert_eq!(state(&place, &["", "-wal", "-journal"]), before, "{mode}");
        assert_eq!(place.names(), names, "{mode}");
        assert_eq!(application.run("PRAGMA journal_mode"), mode);
        assert_eq!(application.run("SELECT group_concat(name) FROM sqlite_schema"), "t");
        application.run("INSERT INTO t VALUES (1)");
        assert_eq!(application.run("SELECT count(*) FROM t"), "3", "{mode}");
    }
}

#[test]
fn the_log_of_a_killed_application_stays_in_place() {
    if !require_tool("python3") {
        return;
    }
    for shm in [true, false] {
        let place = Place::new();
        let mut application = Tool::application(&place.database);
        application.run(&format!("PRAGMA journal_mode=wal; {TABLE}"));
        application.kill();
        if !shm {
            std::fs::remove_file(place.sidecar("-shm")).unwrap();
        }
        let before = state(&place, &["", "-wal"]);
        assert!(before["-wal"].0.len() > 8192);
        let names = place.names();
        use_it(&place);
        assert_eq!(state(&place, &["", "-wal"]), before);
        assert_eq!(place.names(), names);
        assert_eq!(value::<i64>(&place.open(), "SELECT count(*) FROM t"), 2);
    }
}

#[test]
fn nothing_is_left_beside_a_database_that_was_closed() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        writer.close().unwrap();
        let before = state(&place, &[""]);
        assert_eq!(place.names(), ["app.db"]);
        use_it(&place);
        assert_eq!(place.names(), ["app.db"], "{mode}");
        assert_eq!(state(&place, &[""]), before, "{mode}");
    }
}

#[test]
fn what_was_made_for_reading_stays_when_the_application_comes() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    writer.close().unwrap();
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    let writer = place.open();
    run(&writer, "INSERT INTO t VALUES (3)");
    drop(pinned);
    assert_eq!(place.names(), ["app.db", "app.db-shm", "app.db-wal"]);
    run(&writer, "INSERT INTO t VALUES (4)");
    assert_eq!(value::<i64>(&place.open(), "SELECT count(*) FROM t"), 4);
}

/// The locks that this process holds on a file, as `first byte-last byte`.
fn locks(path: &Path) -> Vec<String> {
    let inode = path.metadata().unwrap().ino().to_string();
    let own = std::process::id().to_string();
    let table = std::fs::read_to_string("/proc/locks").unwrap();
    let held = table.lines().filter_map(|line| {
        // 1: POSIX  ADVISORY  READ 4242 fd:01:8917 1073741826 1073742335
        let words: Vec<_> = line.split_whitespace().collect();
        let file = words.get(5)?.rsplit(':').next()?;
        (words[4] == own && file == inode)
            .then(|| format!("{} {}-{}", words[3], words[6], words[7]))
    });
    let mut held: Vec<_> = held.collect();
    held.sort();
    held
}

const SHARED: &str = "READ 1073741826-1073742335";

#[test]
fn locks_are_held_as_long_as_the_pin_and_no_longer() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        // The index stays when its last user has gone.
        let shm = |place: &Place| (mode == "wal").then(|| place.sidecar("-shm"));
        let marks = shm(&place).map(|shm| std::fs::copy(&shm, place.path("copy")).unwrap());
        drop(writer);
        assert!(locks(&place.database).is_empty());
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let index = shm(&place).map(|shm| locks(&shm)).unwrap_or_default();
        assert_eq!(locks(&place.database), [SHARED], "{mode}");
        assert_eq!(index.len(), if marks.is_some() { 2 } else { 0 }, "{mode}: {index:?}");

        // Another look at the file from this process must not drop them.
        read_header(&place.database).unwrap();
        let second = pin(&place.database, &place.scratch()).unwrap();
        bytes(&second.image().unwrap());
        drop(second);
        assert!(integrity_check(&place.path("missing")).is_err());
        assert_eq!(locks(&place.database), [SHARED], "{mode}");
        assert_eq!(shm(&place).map(|shm| locks(&shm)).unwrap_or_default(), index, "{mode}");

        drop(pinned);
        assert!(locks(&place.database).is_empty(), "{mode}");
    }
}

#[test]
fn a_pin_holds_writers_back_in_rollback_mode_only() {
    for (mode, blocks) in [("wal", false), ("delete", true)] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        run(&writer, "PRAGMA busy_timeout=0");
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        assert_eq!(pinned.blocks_writers(), blocks);
        assert_eq!(pinned.journal_mode() == JournalMode::Rollback, blocks);
        assert_eq!(writer.execute("INSERT INTO t VALUES (1)", []).is_err(), blocks, "{mode}");
        drop(pinned);
        writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
    }
}

#[test]
fn an_exclusively_locked_database_is_reported_as_locked() {
    if !require_tool("python3") {
        return;
    }
    let places: Vec<_> = ["wal", "delete"]
        .into_iter()
        .map(|mode| {
            let place = Place::new();
            let mut application = Tool::application(&place.database);
            let exclusive = "PRAGMA locking_mode=exclusive";
            application.run(&format!("{exclusive}; PRAGMA journal_mode={mode}; {TABLE}"));
            (place, application)
        })
        .collect();
    // Both wait for their ten seconds at once.
    std::thread::scope(|scope| {
        for (place, _application) in &places {
            scope.spawn(|| {
                let names = place.names();
                let error = pin(&place.database, &place.scratch()).unwrap_err();
                assert!(matches!(error, Error::Locked { .. }), "{error:?}");
                assert_eq!(place.names(), names);
            });
        }
    });
}
