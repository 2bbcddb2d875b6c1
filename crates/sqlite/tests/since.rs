//! What changed since a moment: always exactly what a scan finds, and found without one where the
//! WAL or the file proves it. The application is another process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Follower, Place, Tool, Way, require_tool, run};
use lifeboat_sqlite::{Doubt, Since, pin, since};
use proptest::prelude::*;

const SETUP: &str = "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=off;
    CREATE TABLE t(a INTEGER PRIMARY KEY, x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<60)
    INSERT INTO t SELECT i, randomblob(3000) FROM n";

const CHANGE: &str = "UPDATE t SET x = randomblob(3000) WHERE a = 1 + abs(random()) % 60";

/// An application at work on a WAL database, and a first capture of it.
fn at_work() -> (Place, Tool, Follower) {
    let place = Place::in_memory();
    let mut application = Tool::application(&place.database);
    application.run(SETUP);
    let follower = Follower::begin(&place.database);
    (place, application, follower)
}

/// Each test needs an application.
fn skipped() -> bool {
    !require_tool("python3")
}

#[test]
fn commits_are_read_from_the_wal_and_nothing_is_nothing() {
    if skipped() {
        return;
    }
    let (place, mut application, mut follower) = at_work();
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    for _ in 0..5 {
        application.run(CHANGE);
        let Way::Wal(looked_at, changed) = follower.capture(&place.database) else { panic!() };
        assert!((1..4).contains(&looked_at) && changed <= looked_at, "{looked_at} {changed}");
        assert_eq!(follower.capture(&place.database), Way::Nothing);
    }
    // Written, and written back.
    application.run("UPDATE t SET x = 1 WHERE a = 7");
    follower.capture(&place.database);
    application.run("UPDATE t SET x = 2 WHERE a = 7; UPDATE t SET x = 1 WHERE a = 7");
    let Way::Wal(looked_at, changed) = follower.capture(&place.database) else { panic!() };
    assert!(looked_at > 0 && changed == 0, "{looked_at} {changed}");
    // A transaction that went out of memory into the WAL and was rolled back.
    application.run("PRAGMA cache_size=5; BEGIN; UPDATE t SET x = zeroblob(3000); ROLLBACK");
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    application.run(CHANGE);
    assert!(matches!(follower.capture(&place.database), Way::Wal(1..4, _)));
}

#[test]
fn every_kind_of_checkpoint_between_two_captures() {
    if skipped() {
        return;
    }
    let restarted = Way::Scan(Doubt::Restarted);
    let empty = Way::Scan(Doubt::NoFrames);
    for (mode, then, after_a_commit) in [
        ("PASSIVE", &Way::Nothing, &restarted),
        ("FULL", &Way::Nothing, &restarted),
        ("RESTART", &Way::Nothing, &restarted),
        ("TRUNCATE", &empty, &empty),
    ] {
        let checkpoint = format!("PRAGMA wal_checkpoint({mode})");
        let (place, mut application, mut follower) = at_work();
        assert!(application.run(&checkpoint).starts_with("0 "));
        assert_eq!(follower.capture(&place.database), *then, "{mode}");
        application.run(CHANGE);
        assert_eq!(follower.capture(&place.database), *after_a_commit, "{mode}, then a commit");
        application.run(CHANGE);
        assert!(matches!(follower.capture(&place.database), Way::Wal(..)), "{mode}, then two");

        // A commit before the checkpoint, and more after it.
        application.run(CHANGE);
        application.run(&checkpoint);
        application.run(CHANGE);
        let way = follower.capture(&place.database);
        assert!(matches!(way, Way::Scan(_)), "{mode}, in between: {way:?}");
    }
}

/// A log that is longer than any of the next ones, so that what follows a generation is there to see.
const LONG_LOG: &str = "UPDATE t SET x = randomblob(3000); PRAGMA wal_checkpoint(RESTART)";

#[test]
fn commits_after_a_restart_are_read_from_the_wal() {
    if skipped() {
        return;
    }
    for mode in ["PASSIVE", "FULL", "RESTART"] {
        for complete_then in [false, true] {
            let checkpoint = format!("PRAGMA wal_checkpoint({mode})");
            let (place, mut application, mut follower) = at_work();
            application.run(LONG_LOG);
            for _ in 0..3 {
                for _ in 0..4 {
                    application.run("UPDATE t SET x = randomblob(3000) WHERE a < 9");
                }
                if complete_then {
                    application.run(&checkpoint);
                }
                follower.capture(&place.database);
                application.run(&checkpoint);
                application.run(CHANGE);
                application.run(CHANGE);
                let way = follower.capture(&place.database);
                assert!(matches!(way, Way::Wal(1..8, 1..8)), "{mode}: {way:?}");
                let way = follower.capture(&place.database);
                assert_eq!(way, Way::Nothing);
            }
        }
    }
}

#[test]
fn a_restart_proves_nothing_where_the_log_had_gone_on() {
    if skipped() {
        return;
    }
    let restart = "PRAGMA wal_checkpoint(RESTART)";
    let rolled_back = "PRAGMA cache_size=3; BEGIN; UPDATE t SET x = zeroblob(3000); ROLLBACK";
    let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
    let long = "UPDATE t SET x = randomblob(3000)";
    let cases: [&[&str]; 6] = [
        &[CHANGE, restart, CHANGE],
        &[restart, CHANGE, restart, CHANGE],
        &[rolled_back, restart, CHANGE],
        &[restart, long],
        &[restart, long, restart, CHANGE],
        &[truncate, CHANGE],
    ];
    for steps in cases {
        let (place, mut application, mut follower) = at_work();
        application.run(LONG_LOG);
        for _ in 0..8 {
            application.run(CHANGE);
        }
        follower.capture(&place.database);
        for step in steps {
            application.run(step);
        }
        let way = follower.capture(&place.database);
        assert_eq!(way, Way::Scan(Doubt::Restarted), "{steps:?}");
    }
}

/// Both give the sum of commits that an unbroken history would give.
#[test]
fn what_counting_commits_would_take_for_a_proof() {
    if skipped() {
        return;
    }
    let one_page = "UPDATE t SET x = randomblob(3000) WHERE a = 1";
    for cut in [false, true] {
        let (place, mut application, mut follower) = at_work();
        application.run(LONG_LOG);
        for _ in 0..8 {
            application.run(one_page);
        }
        application.kill();
        let mut application = Tool::application(&place.database);
        application.run("PRAGMA wal_autocheckpoint=0");
        application.run(one_page);
        follower.capture(&place.database);
        let then = follower.moment.unwrap().wal.unwrap();
        // The index goes with its last user, and begins at 0 for the next one.
        application.kill();
        let mut application = Tool::application(&place.database);
        application.run("PRAGMA wal_autocheckpoint=0");
        for row in 0..then.commits {
            application.run(&format!("UPDATE t SET x = randomblob(3000) WHERE a = {}", 20 + row));
        }
        if cut {
            let bytes = 32 + u64::from(then.position.frames) * (24 + 4096);
            application.run(&format!("PRAGMA journal_size_limit={bytes}"));
        }
        application.run("PRAGMA wal_checkpoint(RESTART)");
        application.run(one_page);
        assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Restarted), "{cut}");
        let now = follower.moment.unwrap().wal.unwrap();
        assert_eq!(now.commits, then.commits + 1, "the sum");
        if cut {
            let length = std::fs::metadata(place.sidecar("-wal")).unwrap().len();
            assert_eq!(length, 32 + u64::from(then.position.frames) * (24 + 4096));
        }
    }
}

/// A reader keeps a checkpoint from going all the way, so that the WAL goes on after it.
#[test]
fn a_checkpoint_that_stops_halfway_explains_what_was_written() {
    if skipped() {
        return;
    }
    let (place, mut application, mut follower) = at_work();
    for _ in 0..5 {
        application.run(CHANGE);
        let mut reader = Tool::application(&place.database);
        reader.run("BEGIN; SELECT count(*) FROM t");
        application.run(CHANGE);
        let before = std::fs::metadata(&place.database).unwrap();
        application.run("PRAGMA wal_checkpoint(PASSIVE)");
        let after = std::fs::metadata(&place.database).unwrap();
        assert_ne!(before.modified().unwrap(), after.modified().unwrap());
        let way = follower.capture(&place.database);
        assert!(matches!(way, Way::Wal(1..8, 1..8)), "{way:?}");
        application.run(CHANGE);
        assert!(matches!(follower.capture(&place.database), Way::Wal(1..4, 1..4)));
    }
}

#[test]
fn sizes_that_change_within_one_interval() {
    if skipped() {
        return;
    }
    for steps in [
        // Shrinks and grows again.
        "DELETE FROM t WHERE a > 20; VACUUM; INSERT INTO t(x) SELECT randomblob(3000) FROM t",
        "DELETE FROM t; VACUUM; INSERT INTO t(x) VALUES (randomblob(200000))",
        // Pages that are new and on the free list at once: SQLite need not log what is in them.
        "BEGIN; CREATE TABLE u AS SELECT a, x FROM t; DROP TABLE u; COMMIT",
        "BEGIN; INSERT INTO t(x) SELECT x FROM t; DELETE FROM t WHERE a > 60; COMMIT",
        "DELETE FROM t WHERE a > 5; VACUUM; BEGIN; CREATE TABLE u AS SELECT a, x, x AS y FROM t;
         DROP TABLE u; COMMIT",
        "PRAGMA auto_vacuum=full; VACUUM; DELETE FROM t WHERE a % 2; INSERT INTO t(x) VALUES (randomblob(90000))",
        "VACUUM",
        "VACUUM; VACUUM; DELETE FROM t WHERE a % 3 = 0; VACUUM",
    ] {
        let (place, mut application, mut follower) = at_work();
        for round in 0..3 {
            application.run(steps);
            let way = follower.capture(&place.database);
            assert!(matches!(way, Way::Wal(..)), "{steps}, {round}: {way:?}");
            // What is in the file beyond the former end must not show through.
            application.run("INSERT INTO t(x) SELECT randomblob(3000) FROM t LIMIT 50");
            assert!(matches!(follower.capture(&place.database), Way::Wal(..)), "{steps}");
        }
    }
}

/// As if the file had been left alone for two seconds before the last capture.
fn settle(follower: &mut Follower) {
    follower.moment.as_mut().unwrap().settled = true;
}

#[test]
fn closed_reopened_and_switched() {
    if skipped() {
        return;
    }
    let (place, mut application, mut follower) = at_work();
    assert!(application.finish());
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::NoFrames));
    // The times of the file are too young to tell.
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Unsettled));
    settle(&mut follower);
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    settle(&mut follower);
    application = Tool::application(&place.database);
    application.run("SELECT count(*) FROM t");
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    settle(&mut follower);
    application.run(CHANGE);
    assert!(application.finish());
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Written));
    settle(&mut follower);
    application = Tool::application(&place.database);
    application.run(CHANGE);
    application.run(CHANGE);
    assert!(matches!(follower.capture(&place.database), Way::Wal(1..8, 1..8)));
    application.run("PRAGMA wal_checkpoint");
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    // The log begins anew, and nothing of the former one is left to prove where that ended.
    settle(&mut follower);
    application.run(CHANGE);
    assert!(matches!(follower.capture(&place.database), Way::Wal(1..8, 1..8)));
    application.run("PRAGMA wal_checkpoint");
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    // All frames are in the file, and nothing is left to do when it is closed.
    settle(&mut follower);
    assert!(application.finish());
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    application = Tool::application(&place.database);
    application.run("PRAGMA journal_mode=delete");
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::JournalMode));
    application.run("PRAGMA journal_mode=wal");
    application.run(CHANGE);
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::JournalMode));
    application.run("PRAGMA journal_mode=delete; PRAGMA journal_mode=wal");
    application.run(CHANGE);
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Restarted));
}

/// Cuts the WAL after a frame, as a power failure may, and lets the application begin again.
fn lose_power(place: &Place, application: &mut Tool, frames: u32) -> Tool {
    application.kill();
    let _ = std::fs::remove_file(place.sidecar("-shm"));
    let wal = std::fs::OpenOptions::new().write(true).open(place.sidecar("-wal")).unwrap();
    wal.set_len(32 + u64::from(frames) * (24 + 4096)).unwrap();
    Tool::application(&place.database)
}

#[test]
fn a_tail_that_was_lost_and_written_again() {
    if skipped() {
        return;
    }
    for again in 0..6 {
        let (place, mut application, mut follower) = at_work();
        let kept = follower.moment.unwrap().wal.unwrap().position;
        for _ in 0..3 {
            application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
        }
        follower.capture(&place.database);
        let lost = follower.moment.unwrap().wal.unwrap().position;
        assert_eq!(lost.salts, kept.salts);
        let mut application = lose_power(&place, &mut application, kept.frames);
        application.run("SELECT count(*) FROM t");
        for _ in 0..again {
            application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
        }
        let way = follower.capture(&place.database);
        let now = follower.moment.unwrap().wal.unwrap().position;
        assert_eq!(now.salts, lost.salts);
        assert_eq!(way, Way::Scan(Doubt::Rewritten), "{again}: {lost:?}, {now:?}");
    }
}

/// Without power failure: the application is killed, everything it wrote is there.
#[test]
fn a_killed_application_is_followed_while_the_file_stays_as_it_is() {
    if skipped() {
        return;
    }
    let (place, mut application, mut follower) = at_work();
    application.run(CHANGE);
    application.kill();
    assert!(matches!(follower.capture(&place.database), Way::Wal(..)));
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    let mut application = Tool::application(&place.database);
    application.run(CHANGE);
    assert!(matches!(follower.capture(&place.database), Way::Wal(..)));
    // It was away, and then wrote into the file: that proves nothing about the time it was away.
    application.kill();
    let mut application = Tool::application(&place.database);
    application.run(CHANGE);
    application.run("PRAGMA wal_checkpoint(PASSIVE)");
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Reopened));
    assert_eq!(follower.capture(&place.database), Way::Nothing);
}

/// An older file is copied over the database while the WAL of the newer one lies beside it.
#[test]
fn a_file_that_was_overwritten_beside_its_wal() {
    if skipped() {
        return;
    }
    type Next = &'static [&'static str];
    let cases: [(Next, Doubt); 4] = [
        (&[], Doubt::Written),
        (&["SELECT 1"], Doubt::Written),
        (&[CHANGE], Doubt::Written),
        (&[CHANGE, "PRAGMA wal_checkpoint(PASSIVE)"], Doubt::Reopened),
    ];
    for (next, doubt) in cases {
        for captured_closed in [false, true] {
            let (place, mut application, mut follower) = at_work();
            application.run("PRAGMA wal_checkpoint(TRUNCATE)");
            let mut other = std::fs::read(&place.database).unwrap();
            for page in other.chunks_mut(4096).skip(20) {
                page[4000..].fill(7);
            }
            application.run("UPDATE t SET x = randomblob(3000) WHERE a = 1");
            if captured_closed {
                application.kill();
            }
            follower.capture(&place.database);
            application.kill();
            std::fs::write(&place.database, &other).unwrap();
            let mut application = Tool::application(&place.database);
            for sql in next {
                application.run(sql);
            }
            let way = follower.capture(&place.database);
            assert_eq!(way, Way::Scan(doubt), "{next:?} {captured_closed}");
        }
    }
}

#[test]
fn a_file_that_was_put_in_its_place() {
    if skipped() {
        return;
    }
    let (place, mut application, mut follower) = at_work();
    application.run("PRAGMA wal_checkpoint(PASSIVE)");
    follower.capture(&place.database);
    // The same bytes under another inode, with the former WAL beside them.
    std::fs::copy(&place.database, place.path("copy.db")).unwrap();
    std::fs::rename(place.path("copy.db"), &place.database).unwrap();
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Replaced));
}

#[test]
fn a_rollback_journal_database_is_read_again_once_it_was_written_to() {
    let (place, writer) = Place::with("CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let mut follower = Follower::begin(&place.database);
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Unsettled));
    settle(&mut follower);
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    settle(&mut follower);
    run(&writer, "INSERT INTO t VALUES (2)");
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Written));
    settle(&mut follower);
    run(&writer, "BEGIN; INSERT INTO t VALUES (3); ROLLBACK");
    assert_eq!(follower.capture(&place.database), Way::Nothing);
    settle(&mut follower);
    // Past SQLite: the counter is the same.
    let mut bytes = std::fs::read(&place.database).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&place.database, bytes).unwrap();
    assert_eq!(follower.capture(&place.database), Way::Scan(Doubt::Written));
}

#[test]
fn a_private_copy_has_no_history() {
    if skipped() {
        return;
    }
    let place = Place::in_memory();
    run(&place.open(), "CREATE TABLE t(x); INSERT INTO t SELECT zeroblob(90000)");
    let moment = *pin(&place.database, &place.scratch()).unwrap().moment().unwrap();
    let mut application = Tool::application(&place.database);
    application.run("PRAGMA cache_size=2; BEGIN; UPDATE t SET x = randomblob(90000)");
    application.kill();
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    assert!(pinned.is_copy() && pinned.moment().is_none());
    let since = since(&pinned, &moment).unwrap();
    assert!(matches!(since, Since::Anything { doubt: Doubt::PrivateCopy, .. }), "{since:?}");
}

/// One thing that an application may do.
fn step() -> impl Strategy<Value = String> {
    let change = (0_u32..60, 1_u32..9000)
        .prop_map(|(row, bytes)| format!("UPDATE t SET x = randomblob({bytes}) WHERE a = {row}"));
    let insert =
        (1_u32..30_000).prop_map(|bytes| format!("INSERT INTO t(x) VALUES (randomblob({bytes}))"));
    let delete = (2_u32..9).prop_map(|part| format!("DELETE FROM t WHERE a % {part} = 0"));
    let checkpoint =
        prop::sample::select(vec!["PASSIVE", "PASSIVE", "FULL", "RESTART", "TRUNCATE"])
            .prop_map(|mode| format!("PRAGMA wal_checkpoint({mode})"));
    let other = prop::sample::select(vec![
        "VACUUM",
        "PRAGMA incremental_vacuum(3)",
        "BEGIN; CREATE TABLE u AS SELECT x FROM t; DROP TABLE u; COMMIT",
        "BEGIN; DELETE FROM t; ROLLBACK",
        "CREATE TABLE IF NOT EXISTS v(y); INSERT INTO v SELECT a FROM t",
        "DROP TABLE IF EXISTS v",
    ])
    .prop_map(str::to_owned);
    // An empty step stands for a capture.
    prop_oneof![
        6 => change,
        3 => insert,
        1 => delete,
        2 => checkpoint,
        2 => other,
        8 => Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was done in between, each capture is what a scan finds. Readers that stay for a while
    /// make checkpoints stop halfway.
    #[test]
    fn any_history_gives_what_a_scan_finds(
        steps in prop::collection::vec(step(), 20..80),
        readers in prop::collection::vec(any::<bool>(), 80),
        mode in prop::sample::select(vec!["none", "incremental", "full"]),
    ) {
        let (place, writer) = Place::with(&format!("PRAGMA auto_vacuum={mode}; {SETUP}"));
        run(&writer, "PRAGMA busy_timeout=0");
        let reader = place.open();
        let mut follower = Follower::begin(&place.database);
        for (step, reads) in steps.iter().zip(readers) {
            if !reader.is_autocommit() {
                run(&reader, "ROLLBACK");
            } else if reads {
                run(&reader, "BEGIN; SELECT count(*) FROM t");
            }
            if step.is_empty() {
                follower.capture(&place.database);
            } else {
                run(&writer, step);
            }
        }
        follower.capture(&place.database);
    }
}
