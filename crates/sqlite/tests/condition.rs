//! How a database stands, and what looking at it leaves behind: nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Place, run};
use lifeboat_sqlite::{Access, Error, SqliteVersion, condition, read_beginning};

const TABLE: &str =
    "CREATE TABLE t(x); INSERT INTO t SELECT randomblob(900) FROM pragma_function_list;";

#[test]
fn the_header_is_that_of_the_newest_page() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        run(&writer, "PRAGMA wal_checkpoint(truncate); DELETE FROM t");
        let names = place.names();
        let found = condition(&place.database).unwrap().unwrap();
        let free: u32 = common::value(&writer, "PRAGMA freelist_count");
        let pages: u32 = common::value(&writer, "PRAGMA page_count");
        assert!(free > 10);
        assert_eq!((found.header.free_pages, found.page_count), (free, pages), "{mode}");
        assert_eq!((found.header.wal, found.access), (mode == "wal", Access::InPlace));
        let version = u32::try_from(rusqlite::version_number()).unwrap();
        assert_eq!(found.header.sqlite_version, SqliteVersion(version));
        assert_eq!(place.names(), names, "{mode}");
        drop(writer);
        let names = place.names();
        assert_eq!(condition(&place.database).unwrap().unwrap().page_count, pages);
        assert_eq!(place.names(), names, "{mode}, closed");
    }
}

#[test]
fn what_is_none_or_cannot_be_read() {
    let place = Place::new();
    let missing = condition(&place.database);
    assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");
    std::fs::write(&place.database, "").unwrap();
    assert_eq!(condition(&place.database).unwrap(), None);
    std::fs::write(&place.database, [7; 5000]).unwrap();
    let other = condition(&place.database);
    assert!(matches!(other, Err(Error::NotADatabase { .. })), "{other:?}");
    let mut bytes = [0; 3];
    assert_eq!(read_beginning(&place.database, &mut bytes).unwrap(), 3);
    assert_eq!(bytes, [7; 3]);
    assert_eq!(read_beginning(place.directory.path(), &mut bytes).unwrap(), 0);

    let (place, writer) = Place::with(TABLE);
    run(&writer, "PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE; DELETE FROM t; COMMIT");
    let locked = condition(&place.database);
    assert!(matches!(locked, Err(Error::Locked { .. })), "{locked:?}");
}

#[test]
fn a_page_that_is_missing_is_damage() {
    let (place, writer) = Place::with(TABLE);
    drop(writer);
    let bytes = std::fs::read(&place.database).unwrap();
    std::fs::write(&place.database, &bytes[..bytes.len() - 4096]).unwrap();
    let cut = condition(&place.database);
    assert!(matches!(cut, Err(Error::Corrupt { .. })), "{cut:?}");
}

/// A journal whose writer is gone: its header counts as many records as its size gives.
#[test]
fn a_hot_journal_is_not_rolled_back() {
    let (place, writer) = Place::with(&format!("PRAGMA cache_size=5; {TABLE}"));
    run(&writer, "BEGIN; UPDATE t SET x = randomblob(950)");
    let files = ["", "-journal"].map(|suffix| std::fs::read(place.sidecar(suffix)).unwrap());
    let copy = Place::new();
    for (suffix, content) in ["", "-journal"].iter().zip(&files) {
        std::fs::write(copy.sidecar(suffix), content).unwrap();
    }
    assert_eq!(condition(&copy.database).unwrap().unwrap().access, Access::HotJournal);
    for (suffix, content) in ["", "-journal"].iter().zip(&files) {
        assert!(std::fs::read(copy.sidecar(suffix)).unwrap() == *content, "{suffix} changed");
    }
}

#[test]
fn a_wal_database_in_a_directory_that_may_only_be_read() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    drop(writer);
    let permit = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.directory.path(), permissions).unwrap();
    };
    permit(0o555);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                // On Linux this concerns the calling thread alone.
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            }
            let found = condition(&place.database).unwrap().unwrap();
            assert_eq!(found.access, Access::ReadOnlyDirectory);
            assert!(found.header.wal);
        });
    });
    permit(0o755);
}
