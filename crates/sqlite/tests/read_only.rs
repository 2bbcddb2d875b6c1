//! Databases in places that may only be read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Place, Tool, assert_same, bytes, require_tool, run};
use lifeboat_sqlite::{Advance, Error, HandOver, JournalMode, Patience, Step, Tracker, pin};

/// Runs in a thread of its own as a user who owns nothing, where this process may do so.
fn as_nobody(work: impl FnOnce() + Send) {
    let root = rustix::process::geteuid().is_root();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            if root {
                // On Linux both concern the calling thread alone.
                rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(65_534)).unwrap();
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            }
            work();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes everything readable and nothing writable, and leads others to it.
fn lock_away(place: &Place) {
    for name in place.names() {
        permit(&place.path(&name), 0o444);
    }
    permit(place.directory.path(), 0o555);
}

/// A place whose scratch directory anyone may use.
fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    permit(scratch.path(), 0o777);
    scratch
}

const TABLE: &str =
    "CREATE TABLE t(x); INSERT INTO t SELECT randomblob(900) FROM pragma_function_list";

#[track_caller]
fn reads(place: &Place, scratch: &Path, copied: bool, expected: &[u8]) {
    let names = place.names();
    as_nobody(|| {
        let pinned = pin(&place.database, scratch).unwrap();
        assert_eq!(pinned.is_copy(), copied);
        assert!(bytes(&pinned.image().unwrap()) == expected);
        assert_eq!(pinned.schema().unwrap().tables[0].name, "t");
    });
    assert_eq!(place.names(), names);
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn a_rollback_database() {
    let (place, writer) = Place::with(TABLE);
    drop(writer);
    lock_away(&place);
    reads(&place, scratch().path(), false, &common::oracle(&place.database));
    permit(place.directory.path(), 0o755);
}

/// SQLite would make a WAL and an index for it; nobody has the database open, so it is copied.
#[test]
fn a_wal_database_that_was_closed() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    writer.close().unwrap();
    let expected = std::fs::read(&place.database).unwrap();
    lock_away(&place);
    reads(&place, scratch().path(), true, &expected);
    permit(place.directory.path(), 0o755);
}

#[test]
fn a_wal_database_of_an_application_at_work() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    for step in [
        "SELECT 1",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "INSERT INTO t VALUES (1)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        run(&writer, step);
        let expected = common::page_table(&writer);
        lock_away(&place);
        // In a process of its own SQLite would map the index read-only; in this one it shares the
        // writer's.
        reads(&place, scratch().path(), false, &expected);
        permit(place.directory.path(), 0o755);
        for name in place.names() {
            permit(&place.path(&name), 0o644);
        }
    }
}

/// The application was killed; WAL and index are there, and nobody is attached.
#[test]
fn a_wal_database_with_a_log_that_was_left() {
    if !require_tool("python3") {
        return;
    }
    for (shm, copied) in [(true, false), (false, true)] {
        let place = Place::new();
        let mut application = Tool::application(&place.database);
        application.run(&format!(
            "PRAGMA journal_mode=wal; {}",
            TABLE.replace("pragma_function_list", "(VALUES (1), (2), (3))")
        ));
        let expected = common::oracle(&place.database);
        application.kill();
        if !shm {
            std::fs::remove_file(place.sidecar("-shm")).unwrap();
        }
        let wal = std::fs::read(place.sidecar("-wal")).unwrap();
        assert!(wal.len() > 8192);
        lock_away(&place);
        reads(&place, scratch().path(), copied, &expected);
        assert!(std::fs::read(place.sidecar("-wal")).unwrap() == wal);
        permit(place.directory.path(), 0o755);
    }
}

/// The index is mapped read-only while another process goes on writing.
#[test]
fn an_application_in_another_process() {
    if !require_tool("python3") {
        return;
    }
    let place = Place::new();
    let mut application = Tool::application(&place.database);
    application
        .run("PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(5000))");
    for step in [
        "SELECT 1",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "INSERT INTO t VALUES (zeroblob(9000))",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DELETE FROM t",
    ] {
        application.run(step);
        let expected = common::oracle(&place.database);
        lock_away(&place);
        reads(&place, scratch().path(), false, &expected);
        permit(place.directory.path(), 0o755);
    }
}

/// Followed by a user who may map the index read-only, and not hand the WAL over.
#[test]
fn an_application_that_is_followed() {
    if !require_tool("python3") {
        return;
    }
    let place = Place::new();
    let mut application = Tool::application(&place.database);
    application.run(
        "PRAGMA journal_mode=wal; PRAGMA busy_timeout=0; CREATE TABLE t(a INTEGER PRIMARY KEY, x);
         INSERT INTO t(x) SELECT randomblob(3000) FROM (VALUES (1), (2), (3), (4), (5))",
    );
    lock_away(&place);
    permit(place.directory.path(), 0o755);
    as_nobody(|| {
        let scratch = scratch();
        let pinned = pin(&place.database, scratch.path()).unwrap();
        let mut image = bytes(&pinned.image().unwrap());
        let mut tracker = Tracker::start(pinned).unwrap().unwrap();
        for step in [
            "UPDATE t SET x = randomblob(3000) WHERE a = 2",
            "PRAGMA wal_checkpoint(PASSIVE)",
            "UPDATE t SET x = randomblob(3000) WHERE a = 3",
            "DELETE FROM t WHERE a = 4",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "INSERT INTO t(x) VALUES (randomblob(9000))",
        ] {
            application.run(step);
            if let Advance::Step(step) = tracker.advance().unwrap() {
                let (now, pages) = (step.image().unwrap(), step.pages());
                image.resize(usize::try_from(now.size()).unwrap(), 0);
                for pgno in pages.iter() {
                    let at = (pgno as usize - 1) * 4096;
                    image[at..at + 4096].copy_from_slice(&now.page(pgno).unwrap());
                }
                assert_same(&image, &bytes(&now), 4096, "the pages of the step");
                drop(now);
                step.keep();
            }
        }
        let nothing_left = |_: Step<'_>| -> Result<(), Error> { panic!("a step") };
        let handed_over = tracker.hand_over(&Patience::default(), nothing_left).unwrap();
        assert_eq!(handed_over, HandOver::ReadOnly);
        assert_same(
            &image,
            &bytes(&pin(&place.database, scratch.path()).unwrap().image().unwrap()),
            4096,
            "the end",
        );
    });
}

/// Nobody is attached to the index that a killed application left, and it may not be locked.
#[test]
fn a_log_that_was_left_is_not_followed() {
    if !require_tool("python3") {
        return;
    }
    let place = Place::new();
    let mut application = Tool::application(&place.database);
    application.run("PRAGMA journal_mode=wal; CREATE TABLE t(x)");
    application.kill();
    lock_away(&place);
    as_nobody(|| {
        let scratch = scratch();
        let pinned = pin(&place.database, scratch.path()).unwrap();
        assert!(!pinned.is_copy());
        assert!(Tracker::start(pinned).unwrap().is_none());
    });
    permit(place.directory.path(), 0o755);
}

/// What a reader makes beside a closed database belongs to the reader.
#[test]
fn a_database_of_another_user_is_followed_only_while_that_one_has_it_open() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    permit(place.directory.path(), 0o777);
    permit(&place.database, 0o666);
    let is_followed = || {
        let mut followed = false;
        as_nobody(|| {
            let scratch = scratch();
            let pinned = pin(&place.database, scratch.path()).unwrap();
            followed = Tracker::start(pinned).unwrap().is_some();
        });
        followed
    };
    assert!(is_followed());
    drop(writer);
    assert!(!is_followed());
    assert_eq!(place.names(), ["app.db"]);
}

#[test]
fn what_may_not_be_read_is_an_error_that_says_so() {
    let (place, writer) = Place::with(TABLE);
    drop(writer);
    permit(place.directory.path(), 0o755);
    permit(&place.database, 0o200);
    as_nobody(|| {
        let error = pin(&place.database, Path::new("/nonexistent")).unwrap_err();
        let Error::File { source, operation, .. } = error else { panic!("{error:?}") };
        assert_eq!(operation, "read");
        assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_scratch_directory_that_cannot_be_written_to_is_named() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    writer.close().unwrap();
    lock_away(&place);
    as_nobody(|| {
        let error = pin(&place.database, place.directory.path()).unwrap_err();
        assert!(matches!(error, Error::File { operation: "create", .. }), "{error:?}");
    });
    permit(place.directory.path(), 0o755);
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    assert_eq!(pinned.journal_mode(), JournalMode::Wal);
}
