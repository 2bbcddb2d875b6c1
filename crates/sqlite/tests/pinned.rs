//! Checkpoints and commits between pinning and reading: each image is the state that was pinned.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, assert_same, bytes, oracle, run};
use lifeboat_sqlite::{JournalMode, pin};

const TABLE: &str = "PRAGMA journal_mode=wal; PRAGMA synchronous=off; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50)
    INSERT INTO t SELECT randomblob(3000) FROM n;";

/// A backfill up to a reader's mark skips pages that have a newer frame behind it, and then says
/// that all frames before the mark are in the file. Reading the file alone was a bug once.
#[test]
fn a_backfill_up_to_the_mark_skips_pages() {
    let (place, writer) = Place::with(TABLE);
    let pin = pin(&place.database, &place.scratch()).unwrap();
    let expected = oracle(&place.database);
    run(&writer, "UPDATE t SET x = randomblob(3000)");
    run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
    let image = pin.image().unwrap();
    assert_same(&bytes(&image), &expected, 4096, "after a passive checkpoint");
    run(&writer, "DELETE FROM t; PRAGMA wal_checkpoint(PASSIVE)");
    assert_same(&bytes(&image), &expected, 4096, "after a second one");
    assert_eq!(pin.journal_mode(), JournalMode::Wal);
    assert!(!pin.blocks_writers() && !pin.is_copy());
}

#[test]
fn every_order_of_commit_and_checkpoint_leaves_the_pinned_state() {
    let (place, writer) = Place::with(TABLE);
    run(&writer, "PRAGMA busy_timeout=0");
    let change = "UPDATE t SET x = randomblob(2500) WHERE rowid % 3 = abs(random()) % 3";
    let steps = [
        change,
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(RESTART)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DELETE FROM t WHERE rowid > 40",
    ];
    // Every pair before the pin, every pair after it.
    for case in 0..625 {
        let step = |digit: u32| steps[case / 5usize.pow(digit) % 5];
        run(&writer, step(0));
        run(&writer, step(1));
        let pin = pin(&place.database, &place.scratch()).unwrap();
        let expected = oracle(&place.database);
        run(&writer, step(2));
        let before = bytes(&pin.image().unwrap());
        run(&writer, step(3));
        let what = format!("{}; {} | {}; {}", step(0), step(1), step(2), step(3));
        assert_same(&before, &expected, 4096, &what);
        assert_same(&bytes(&pin.image().unwrap()), &expected, 4096, &what);
        drop(pin);
        run(&writer, "INSERT INTO t SELECT randomblob(900) FROM t LIMIT 3");
    }
}

#[test]
fn the_position_names_the_end_of_the_image_in_the_wal() {
    let (place, writer) = Place::with(TABLE);
    let scratch = place.scratch();
    let position = || pin(&place.database, &scratch).unwrap().image().unwrap().position();
    let first = position().unwrap();
    let wal = std::fs::read(place.sidecar("-wal")).unwrap();
    assert_eq!(wal.len(), 32 + first.frames as usize * (24 + 4096));
    assert_eq!(wal[16..24], first.salts);
    assert_eq!(wal[wal.len() - 4096 - 8..][..8], first.checksum.map(u32::to_be_bytes).concat());
    run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
    assert_eq!(position(), Some(first), "a checkpoint does not move it");
    run(&writer, "INSERT INTO t VALUES (1)");
    assert_ne!(position().unwrap().salts, first.salts, "a reset does");
    run(&writer, "PRAGMA journal_mode=delete");
    assert_eq!(position(), None);
}

#[test]
fn several_pins_stand_side_by_side() {
    let (place, writer) = Place::with(TABLE);
    let scratch = place.scratch();
    let pinned: Vec<_> = (0..8)
        .map(|number| {
            run(&writer, &format!("INSERT INTO t VALUES (randomblob({number} * 1000))"));
            if number == 4 {
                run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
            }
            (pin(&place.database, &scratch).unwrap(), oracle(&place.database))
        })
        .collect();
    run(&writer, "UPDATE t SET x = 1");
    for (number, (pin, expected)) in pinned.iter().enumerate() {
        let image = pin.image().unwrap();
        assert_same(&bytes(&image), expected, 4096, &format!("pin {number}"));
    }
}
