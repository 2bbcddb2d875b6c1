//! Following a WAL database: every step leads to the image, and whatever cannot be followed is said.
//! The application is another process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::{Place, Tool, Tracked, Went, assert_same, oracle, require_tool, run, value};
use lifeboat_sqlite::{
    Advance, Doubt, Error, HandOver, Patience, Since, Step, Tracker, pin, since,
};

const SETUP: &str = "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=off;
    CREATE TABLE t(a INTEGER PRIMARY KEY, x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<60)
    INSERT INTO t SELECT i, randomblob(3000) FROM n";

const CHANGE: &str = "UPDATE t SET x = randomblob(3000) WHERE a = 1 + abs(random()) % 60";

/// An application at work on a WAL database that is followed.
fn at_work() -> (Place, Tool, Tracked) {
    let place = Place::in_memory();
    let mut application = Tool::application(&place.database);
    application.run(&format!("PRAGMA busy_timeout=0; {SETUP}"));
    let tracked = Tracked::begin(&place.database);
    (place, application, tracked)
}

fn skipped() -> bool {
    !require_tool("python3")
}

/// The locks that this process holds on a file.
fn locks(path: &Path) -> Vec<String> {
    let inode = path.metadata().unwrap().ino().to_string();
    let own = std::process::id().to_string();
    let table = std::fs::read_to_string("/proc/locks").unwrap();
    let held = table.lines().filter(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words[4] == own && words[5].rsplit(':').next() == Some(&inode)
    });
    held.map(str::to_owned).collect()
}

/// Files that this process has open whose names begin so.
fn open_files(database: &Path) -> usize {
    let prefix = database.to_str().unwrap();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with(prefix)).count()
}

#[test]
fn a_tracker_can_go_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Tracker>();
}

#[test]
fn each_step_has_the_pages_of_the_commits_in_between() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    assert_eq!(tracked.advance(), Went::Nowhere);
    for commits in [1, 1, 3] {
        for _ in 0..commits {
            application.run(CHANGE);
        }
        let went = tracked.advance();
        assert!(matches!(went, Went::On(1..8, 1..8)), "{went:?}");
        assert_same(&tracked.captured.bytes, &oracle(&place.database), 4096, "now");
        assert_eq!(tracked.advance(), Went::Nowhere);
    }
    let wal = std::fs::metadata(place.sidecar("-wal")).unwrap().len();
    assert_eq!(tracked.tracker().wal_bytes(), wal);
    // Written, and written back; and rolled back after it had gone into the WAL.
    application.run("UPDATE t SET x = 1 WHERE a = 7");
    tracked.advance();
    application.run("UPDATE t SET x = 2 WHERE a = 7; UPDATE t SET x = 1 WHERE a = 7");
    assert!(matches!(tracked.advance(), Went::On(1.., 0)));
    application.run("PRAGMA cache_size=5; BEGIN; UPDATE t SET x = zeroblob(3000); ROLLBACK");
    assert_eq!(tracked.advance(), Went::Nowhere);
    application.run(CHANGE);
    assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
}

#[test]
fn a_step_that_is_not_kept_is_part_of_the_next_one() {
    if skipped() {
        return;
    }
    let (_place, mut application, mut tracked) = at_work();
    for _ in 0..3 {
        application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
        let before = *tracked.tracker().moment();
        let Advance::Step(step) = tracked.tracker().advance().unwrap() else { panic!() };
        drop(step);
        assert_eq!(*tracked.tracker().moment(), before);
        // The application cannot get rid of what was not kept.
        assert!(application.run("PRAGMA wal_checkpoint(TRUNCATE)").starts_with("1 "));
        application.run("UPDATE t SET x = randomblob(3000) WHERE a = 60");
        let Went::On(looked_at, changed) = tracked.advance() else { panic!() };
        assert!(looked_at >= 2 && changed >= 2, "{looked_at} {changed}");
    }
}

#[test]
fn sizes_that_change_within_one_step() {
    if skipped() {
        return;
    }
    for steps in [
        "VACUUM",
        "DELETE FROM t WHERE a > 20; VACUUM; INSERT INTO t(x) SELECT randomblob(3000) FROM t",
        "DELETE FROM t; VACUUM; INSERT INTO t(x) VALUES (randomblob(200000))",
        "BEGIN; CREATE TABLE u AS SELECT a, x FROM t; DROP TABLE u; COMMIT",
        "PRAGMA auto_vacuum=full; VACUUM; DELETE FROM t WHERE a % 2; INSERT INTO t(x) VALUES (randomblob(90000))",
        "DELETE FROM t WHERE a > 30; VACUUM; PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t(x) VALUES (randomblob(200000))",
    ] {
        let (_place, mut application, mut tracked) = at_work();
        for _ in 0..3 {
            application.run(steps);
            assert!(matches!(tracked.advance(), Went::On(..)), "{steps}");
            application.run("PRAGMA wal_checkpoint(PASSIVE)");
            assert_eq!(tracked.advance(), Went::Nowhere, "{steps}");
            application.run("INSERT INTO t(x) SELECT randomblob(3000) FROM t LIMIT 50");
            assert!(matches!(tracked.advance(), Went::On(..)), "{steps}");
        }
    }
}

#[test]
fn every_checkpoint_ends_once_the_tracker_has_moved_on() {
    if skipped() {
        return;
    }
    for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
        let checkpoint = format!("PRAGMA wal_checkpoint({mode})");
        let (place, mut application, mut tracked) = at_work();
        for round in 0..4 {
            application.run(CHANGE);
            assert!(matches!(tracked.advance(), Went::On(..)), "{mode}");
            // The mark lets all frames into the file, but does not let the WAL go yet.
            let first = application.run(&checkpoint);
            let waits = mode == "RESTART" || mode == "TRUNCATE";
            assert!(first.starts_with(if waits { "1 " } else { "0 " }), "{mode}: {first}");
            assert_eq!(tracked.advance(), Went::Nowhere);
            assert!(application.run(&checkpoint).starts_with("0 "), "{mode}");
            let wal = std::fs::metadata(place.sidecar("-wal")).unwrap().len();
            assert_eq!(wal == 0, mode == "TRUNCATE");
            if round % 2 == 0 {
                assert_eq!(tracked.advance(), Went::Nowhere);
            }
        }
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
        assert_same(&tracked.captured.bytes, &oracle(&place.database), 4096, mode);
        assert!(tracked.captured.restarts >= 4, "{mode}: {}", tracked.captured.restarts);
    }
}

/// Under lock 0 only one generation can be lost sight of, and it has no frames.
#[test]
fn several_empty_generations_between_two_steps() {
    if skipped() {
        return;
    }
    let (_place, mut application, mut tracked) = at_work();
    application.run("PRAGMA wal_checkpoint(PASSIVE)");
    tracked.advance();
    for _ in 0..3 {
        assert!(application.run("PRAGMA wal_checkpoint(TRUNCATE)").starts_with("0 "));
    }
    application.run(CHANGE);
    // Nothing goes into the file under lock 0.
    assert!(application.run("PRAGMA wal_checkpoint(TRUNCATE)").starts_with("1 "));
    application.run(CHANGE);
    assert!(matches!(tracked.advance(), Went::On(..)));
}

#[test]
fn a_database_without_a_frame_is_followed_into_its_first_wal() {
    if skipped() {
        return;
    }
    let place = Place::in_memory();
    let mut application = Tool::application(&place.database);
    application.run(SETUP);
    assert!(application.finish());
    for reopened_first in [false, true] {
        let mut application = Tool::application(&place.database);
        if reopened_first {
            application.run("SELECT count(*) FROM t");
        }
        let mut tracked = Tracked::begin(&place.database);
        assert_eq!(tracked.tracker().wal_bytes(), 0);
        assert_eq!(tracked.advance(), Went::Nowhere);
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
        drop(tracked);
        assert!(application.finish());
        assert_eq!(place.names(), ["app.db"]);
    }
}

#[test]
fn nothing_is_held_after_release() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    application.run(CHANGE);
    tracked.advance();
    assert!(!locks(&place.database).is_empty() && !locks(&place.sidecar("-shm")).is_empty());
    assert!(application.run("PRAGMA wal_checkpoint").starts_with("0 "));
    tracked.advance();
    let moment = tracked.tracker.take().unwrap().release();
    assert!(locks(&place.database).is_empty() && locks(&place.sidecar("-shm")).is_empty());
    assert_eq!(open_files(&place.database), 0);
    // Until something comes, the moment proves that nothing did; and the application is free.
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    assert!(matches!(since(&pinned, &moment).unwrap(), Since::Nothing));
    drop(pinned);
    assert_eq!(application.run("PRAGMA journal_mode=delete"), "delete");
}

#[test]
fn what_cannot_be_followed_is_not_begun() {
    let (place, writer) = Place::with("CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let start = || Tracker::start(pin(&place.database, &place.scratch()).unwrap()).unwrap();
    assert!(start().is_none(), "a rollback journal");
    run(&writer, "PRAGMA journal_mode=wal; INSERT INTO t VALUES (2)");
    assert!(start().is_some());
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    std::fs::rename(&place.database, place.path("elsewhere")).unwrap();
    assert!(Tracker::start(pinned).unwrap().is_none(), "a file that is gone");
}

#[test]
fn files_that_others_removed_or_replaced() {
    if skipped() {
        return;
    }
    type Harm = fn(&Place);
    let cases: [(&str, Harm, Doubt); 8] = [
        ("deleted", |at| std::fs::remove_file(&at.database).unwrap(), Doubt::Replaced),
        (
            "renamed over",
            |at| {
                std::fs::copy(&at.database, at.path("copy")).unwrap();
                std::fs::rename(at.path("copy"), &at.database).unwrap();
            },
            Doubt::Replaced,
        ),
        (
            "deleted and made again",
            |at| {
                std::fs::rename(&at.database, at.path("former")).unwrap();
                run(&at.open(), "CREATE TABLE other(x)");
            },
            Doubt::Replaced,
        ),
        ("no WAL", |at| std::fs::remove_file(at.sidecar("-wal")).unwrap(), Doubt::WalReplaced),
        ("no index", |at| std::fs::remove_file(at.sidecar("-shm")).unwrap(), Doubt::WalReplaced),
        (
            "another WAL renamed over",
            |at| {
                std::fs::copy(at.sidecar("-wal"), at.path("copy")).unwrap();
                std::fs::rename(at.path("copy"), at.sidecar("-wal")).unwrap();
            },
            Doubt::WalReplaced,
        ),
        (
            "another WAL copied over",
            |at| {
                let (other, writer) = Place::with(SETUP);
                let wal = std::fs::read(other.sidecar("-wal")).unwrap();
                std::fs::write(at.sidecar("-wal"), wal).unwrap();
                drop(writer);
            },
            Doubt::Rewritten,
        ),
        ("emptied WAL", |at| std::fs::write(at.sidecar("-wal"), "").unwrap(), Doubt::Rewritten),
    ];
    for (what, harm, doubt) in cases {
        for with_a_spare in [false, true] {
            let (place, mut application, mut tracked) = at_work();
            if with_a_spare {
                application.run(CHANGE);
                tracked.advance();
                application.run(CHANGE);
                tracked.advance();
            }
            harm(&place);
            assert_eq!(tracked.advance(), Went::Astray(doubt), "{what}");
            assert_eq!(tracked.advance(), Went::Astray(doubt), "{what}, again");
            assert_eq!(open_files(&place.database), 0, "{what}: something is still held");
        }
    }
}

/// The index is removed while the tracker holds it, and the application begins another one, under
/// which no lock of the tracker keeps the WAL.
#[test]
fn a_new_index_is_followed_after_the_track_was_lost() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    application.run(CHANGE);
    tracked.advance();
    application.kill();
    std::fs::remove_file(place.sidecar("-shm")).unwrap();
    let mut application = Tool::application(&place.database);
    application.run("PRAGMA wal_checkpoint(TRUNCATE)");
    application.run(CHANGE);
    assert_eq!(tracked.advance(), Went::Astray(Doubt::WalReplaced));
    tracked.begin_again(&place.database);
    application.run(CHANGE);
    assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
    assert_same(&tracked.captured.bytes, &oracle(&place.database), 4096, "after another start");
}

#[test]
fn a_writer_that_is_killed_in_a_transaction_leaves_what_was_committed() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    for _ in 0..4 {
        application.run(CHANGE);
        application.run("PRAGMA cache_size=3; BEGIN; UPDATE t SET x = randomblob(3000)");
        application.kill();
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
        application = Tool::application(&place.database);
        assert_eq!(tracked.advance(), Went::Nowhere);
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
        assert_same(&tracked.captured.bytes, &oracle(&place.database), 4096, "after the kill");
    }
}

/// The last one to close removes the WAL, but while the tracker is there it is not the last.
#[test]
fn an_application_that_closes_and_comes_back_is_followed() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    for round in 0..4 {
        application.run(CHANGE);
        if round % 2 == 0 {
            tracked.advance();
        }
        assert!(application.finish());
        let went = tracked.advance();
        assert!(!matches!(went, Went::Astray(_)), "{went:?}");
        application = Tool::application(&place.database);
        application.run("PRAGMA wal_autocheckpoint=0");
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(..)));
    }
    // Released in between, it does.
    drop(tracked.tracker.take());
    assert!(application.finish());
    assert_eq!(place.names().iter().filter(|name| name.starts_with("app.db")).count(), 1);
    let _application = Tool::application(&place.database);
    tracked.begin_again(&place.database);
    assert_eq!(tracked.advance(), Went::Nowhere);
}

/// The power fails with the tracker away: the tail of the WAL is lost, and other commits take its
/// place under the same salts.
#[test]
fn a_tail_that_was_lost_and_written_again_is_not_gone_on_from() {
    if skipped() {
        return;
    }
    for again in 0..5 {
        let (place, mut application, mut tracked) = at_work();
        let kept = tracked.tracker().wal_frames();
        for _ in 0..3 {
            application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
        }
        tracked.advance();
        let moment = tracked.tracker.take().unwrap().release();
        application.kill();
        std::fs::remove_file(place.sidecar("-shm")).unwrap();
        let wal = std::fs::OpenOptions::new().write(true).open(place.sidecar("-wal")).unwrap();
        wal.set_len(32 + u64::from(kept) * (24 + 4096)).unwrap();
        let mut application = Tool::application(&place.database);
        for _ in 0..again {
            application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
        }
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let doubt = match since(&pinned, &moment).unwrap() {
            Since::Anything { doubt, .. } => doubt,
            other => panic!("{other:?}"),
        };
        assert_eq!(doubt, Doubt::Rewritten, "{again}");
        drop(pinned);
        tracked.begin_again(&place.database);
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
    }
}

/// The same under a tracker that stays: a real power failure would have taken it along.
#[test]
fn a_tail_that_vanishes_beneath_the_tracker() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    application.run(CHANGE);
    tracked.advance();
    let wal = std::fs::OpenOptions::new().write(true).open(place.sidecar("-wal")).unwrap();
    wal.set_len(wal.metadata().unwrap().len() - 2 * (24 + 4096)).unwrap();
    assert_eq!(tracked.advance(), Went::Astray(Doubt::Rewritten));
}

#[test]
fn a_hand_over_lets_the_next_writer_reset_the_wal() {
    if skipped() {
        return;
    }
    let (place, mut application, mut tracked) = at_work();
    let salts = |tracked: &mut Tracked| tracked.tracker().moment().wal.unwrap().position.salts;
    for captured in [true, false] {
        application.run(CHANGE);
        if captured {
            tracked.advance();
        }
        let before = salts(&mut tracked);
        assert_eq!(tracked.hand_over(&Patience::default()), HandOver::Done);
        // SQLite keeps the descriptor that could write, because to close it would drop our locks, and
        // takes the same one again.
        assert_eq!(
            open_files(&place.database),
            6,
            "3 of the database, 2 of the WAL, 1 of its index"
        );
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..4, 1..4)));
        assert_ne!(salts(&mut tracked), before);
        assert!(tracked.tracker().wal_frames() < 8);
    }
    assert_eq!(application.run("PRAGMA integrity_check"), "ok");
    assert_same(&tracked.captured.bytes, &oracle(&place.database), 4096, "after the hand-over");
}

#[test]
fn a_hand_over_that_cannot_be_says_why() {
    if skipped() {
        return;
    }
    let patience =
        Patience { write_lock: std::time::Duration::from_millis(5), ..Patience::default() };
    let (place, mut application, mut tracked) = at_work();
    let mut reader = Tool::application(&place.database);
    reader.run("BEGIN; SELECT count(*) FROM t");
    application.run(CHANGE);
    assert_eq!(tracked.hand_over(&patience), HandOver::Blocked);
    application.run("BEGIN IMMEDIATE");
    assert_eq!(tracked.hand_over(&patience), HandOver::Busy);
    application.run(CHANGE);
    application.run("COMMIT");
    reader.run("ROLLBACK");
    assert_eq!(tracked.hand_over(&patience), HandOver::Done);
    assert_eq!(value::<i64>(&place.open(), "SELECT count(*) FROM t"), 60);
}

#[test]
fn a_capture_that_fails_ends_a_hand_over_and_its_locks() {
    if skipped() {
        return;
    }
    let (_place, mut application, mut tracked) = at_work();
    for failing in 1..3 {
        let mut calls = 0;
        application.run(CHANGE);
        let before = *tracked.tracker().moment();
        let Tracked { tracker, captured, .. } = &mut tracked;
        let capture = |step: Step<'_>| {
            calls += 1;
            if calls == failing {
                return Err(full_disk());
            }
            captured.capture(step);
            // What the next call is about.
            application.run(CHANGE);
            Ok(())
        };
        let error = tracker.as_mut().unwrap().hand_over(&Patience::default(), capture).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        assert_eq!(tracked.tracker().moment() == &before, failing == 1);
        application.run(CHANGE);
        assert!(matches!(tracked.advance(), Went::On(1..12, 1..12)));
    }
}

fn full_disk() -> Error {
    let source = std::io::ErrorKind::StorageFull.into();
    Error::File { operation: "write", path: "spool".into(), source }
}
