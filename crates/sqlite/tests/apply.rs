//! LTX files applied to a standby, while others read it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Lineage, Place, naive_checksum, oracle, run, value};
use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Decoder, Encoder, Header, PageSize, Txid, TxidRange, page_checksum,
};
use lifeboat_sqlite::{Error, Held, Stage, Standby};
use rusqlite::Connection;

/// A database, its captures, and a standby of it.
struct Pair {
    place: Place,
    source: Connection,
    lineage: Lineage,
    standby: Standby,
    /// How many files were applied.
    applied: usize,
}

impl Pair {
    fn new(sql: &str) -> Self {
        let (place, source) = Place::with(sql);
        let lineage = Lineage::begin(&place.database);
        let held = place_standby(&place, &lineage.files);
        let standby = Standby::open(&place.path("standby.db"), held).unwrap();
        Self { place, source, lineage, standby, applied: 1 }
    }

    fn path(&self) -> PathBuf {
        self.place.path("standby.db")
    }

    fn capture(&mut self, sql: &str) {
        run(&self.source, sql);
        self.lineage.capture(&self.place.database);
    }

    fn try_apply(&mut self, file: &[u8]) -> lifeboat_sqlite::Result<u32> {
        let decoder = Decoder::new(file).unwrap();
        self.standby.apply(decoder, &mut |_| ()).map(|applied| applied.pages)
    }

    fn apply(&mut self) {
        while let Some(file) = self.lineage.files.get(self.applied).cloned() {
            self.try_apply(&file).unwrap();
            self.applied += 1;
        }
    }

    /// Captures, applies, and compares with the database.
    #[track_caller]
    fn follow(&mut self, sql: &str) {
        self.capture(sql);
        self.apply();
        self.assert_same(sql);
    }

    #[track_caller]
    fn assert_same(&mut self, what: &str) {
        assert_eq!(self.standby.held().checksum, self.lineage.checksum, "{what}");
        assert_eq!(self.standby.held().txid, self.lineage.txid, "{what}");
        self.standby.doubt();
        assert!(self.standby.verify().unwrap(), "{what}");
        let (found, expected) = (oracle(&self.path()), oracle(&self.place.database));
        assert!(masked(found) == masked(expected), "{what}");
        let reader = Connection::open(self.path()).unwrap();
        assert_eq!(value::<String>(&reader, "PRAGMA integrity_check"), "ok", "{what}");
        assert_eq!(value::<String>(&reader, "PRAGMA journal_mode"), "wal", "{what}");
    }

    fn reopen(&mut self) {
        self.standby = Standby::open(&self.path(), self.standby.held()).unwrap();
    }

    fn stage(&self) -> Stage {
        stage(&self.place, &self.lineage.files)
    }
}

fn stage(place: &Place, files: &[Vec<u8>]) -> Stage {
    let mut stage = Stage::create(&place.path("staged")).unwrap();
    for file in files {
        stage.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
    }
    stage
}

fn place_standby(place: &Place, files: &[Vec<u8>]) -> Held {
    let stage = stage(place, files);
    let held = stage.become_standby().unwrap();
    std::fs::rename(stage.keep(), place.path("standby.db")).unwrap();
    held
}

/// Without the bytes that SQLite writes by itself.
fn masked(mut pages: Vec<u8>) -> Vec<u8> {
    for own in [18..20, 24..32, 40..44, 92..100] {
        pages[own].fill(0);
    }
    pages
}

const TABLE: &str = "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO t SELECT i, randomblob(900) FROM n;";

/// What applications do to a file.
const LIFE: [&str; 8] = [
    "UPDATE t SET b = randomblob(800) WHERE a % 50 = 0",
    "INSERT INTO t SELECT a + 1000, randomblob(5000) FROM t",
    "CREATE INDEX i ON t(b)",
    "DELETE FROM t WHERE a % 3 > 0",
    "VACUUM",
    "DROP INDEX i; ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x'",
    "DELETE FROM t WHERE a > 10; VACUUM",
    "PRAGMA user_version = 7; INSERT INTO t(b) VALUES (randomblob(100000))",
];

#[test]
fn every_state_is_reached() {
    for setup in [
        "PRAGMA journal_mode = wal",
        "PRAGMA journal_mode = delete",
        "PRAGMA page_size = 512",
        "PRAGMA page_size = 65536",
        "PRAGMA auto_vacuum = full",
        "PRAGMA auto_vacuum = incremental",
        "PRAGMA auto_vacuum = full; PRAGMA page_size = 1024; PRAGMA journal_mode = wal",
    ] {
        let mut pair = Pair::new(&format!("{setup}; {TABLE}"));
        pair.assert_same(setup);
        for sql in LIFE {
            pair.follow(sql);
        }
        pair.reopen();
        assert!(pair.standby.verify().unwrap(), "{setup}");
        pair.follow("PRAGMA incremental_vacuum; DELETE FROM t");
    }
}

#[test]
fn the_source_may_change_its_journal_mode_and_keep_free_pages() {
    let mut pair = Pair::new(&format!("PRAGMA auto_vacuum = full; {TABLE}"));
    for sql in [
        "PRAGMA journal_mode = wal; UPDATE t SET b = 'x' WHERE a = 1",
        // A commit of ours must not move the pages that become free here.
        "PRAGMA auto_vacuum = incremental; DELETE FROM t WHERE a > 20",
        "PRAGMA auto_vacuum = full",
        "PRAGMA journal_mode = delete; UPDATE t SET b = 'y' WHERE a = 1",
    ] {
        pair.follow(sql);
    }
}

/// A page size of 64 KiB, so that the page at 1 GiB is number 16,385; the file is a hole.
#[test]
fn a_standby_grows_over_the_lock_page_and_shrinks_back() {
    let place = Place::in_memory();
    run(&place.open(), "PRAGMA page_size = 65536; PRAGMA user_version = 1");
    let page_size = PageSize::new(65536).unwrap();
    let first = oracle(&place.database);
    let zeros = vec![0; page_size.bytes()];
    let file = std::fs::File::options().write(true).open(&place.database).unwrap();
    file.set_len(16_380 * 65_536).unwrap();
    let mut header = first.clone();
    header[28..32].copy_from_slice(&16_380_u32.to_be_bytes());
    std::os::unix::fs::FileExt::write_all_at(&file, &header, 0).unwrap();
    drop(file);

    let mut checksum = DatabaseChecksum::new();
    checksum.toggle(page_checksum(1, &header));
    (2..=16_380).for_each(|pgno| checksum.toggle(page_checksum(pgno, &zeros)));
    // The stamp of any database with this page 1.
    let small = Place::in_memory();
    let range = TxidRange::single(Txid::FIRST);
    let base = encode(&Header::new(page_size, 1, range), &[(1, header.clone())]);
    let held = place_standby(&small, &[base]);
    let held = Held { checksum: checksum.value(), ..held };
    let mut standby = Standby::open(&place.database, held).unwrap();
    assert!(standby.verify().unwrap());

    let txid = |number| TxidRange::single(Txid::new(number).unwrap());
    let mut grown = Header::new(page_size, 16_387, txid(2));
    grown.checksum_before = Some(checksum.value());
    let page = |fill: u8| vec![fill; page_size.bytes()];
    let mut pages = Vec::new();
    for pgno in (16_381_u32..=16_387).filter(|pgno| *pgno != 16_385) {
        pages.push((pgno, page(pgno.to_be_bytes()[3])));
        checksum.toggle(page_checksum(pgno, &page(pgno.to_be_bytes()[3])));
    }
    grown.checksum_after = Some(checksum.value());
    let file = encode(&grown, &pages);
    standby.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
    assert_eq!(value::<u32>(&place.open(), "PRAGMA page_count"), 16_387);
    standby.doubt();
    assert!(standby.verify().unwrap());

    let mut shrunk = Header::new(page_size, 16_384, txid(3));
    for (pgno, page) in &pages[4..] {
        checksum.toggle(page_checksum(*pgno, page));
    }
    shrunk.checksum_after = Some(checksum.value());
    let file = encode(&shrunk, &[]);
    standby.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
    assert_eq!(value::<u32>(&place.open(), "PRAGMA page_count"), 16_384);
    standby.doubt();
    assert!(standby.verify().unwrap());
}

fn encode(header: &Header, pages: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), header).unwrap();
    for (pgno, page) in pages {
        encoder.write_page(*pgno, page).unwrap();
    }
    encoder.finish().unwrap().0
}

#[test]
fn a_file_that_fails_changes_nothing() {
    let mut pair = Pair::new(TABLE);
    pair.capture("UPDATE t SET b = randomblob(700) WHERE a < 100");
    let good = pair.lineage.files[1].clone();
    let before = oracle(&pair.path());
    for at in (100..good.len()).step_by(good.len() / 40).chain([good.len() - 1]) {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        assert!(matches!(pair.try_apply(&damaged), Err(Error::Ltx { .. })), "byte {at}");
        assert!(matches!(pair.try_apply(&good[..at]), Err(Error::Ltx { .. })), "{at} bytes");
    }
    pair.capture("DELETE FROM t");
    let later = pair.lineage.files[2].clone();
    assert!(matches!(pair.try_apply(&later), Err(Error::Discontinuous { .. })));
    assert!(oracle(&pair.path()) == before);
    pair.apply();
    pair.assert_same("after all of them");
}

#[test]
fn what_the_file_states_is_verified() {
    let mut pair = Pair::new(TABLE);
    let page = oracle(&pair.place.database)[..4096].to_vec();
    let count = u32::try_from(oracle(&pair.place.database).len() / 4096).unwrap();
    let range = TxidRange::single(Txid::new(2).unwrap());
    let mut header = Header::new(PageSize::new(4096).unwrap(), count, range);
    for (before, after) in [(None, Some(Checksum::new(5))), (Some(Checksum::new(5)), None)] {
        (header.checksum_before, header.checksum_after) = (before, after);
        let file = encode(&header, &[(1, page.clone())]);
        assert!(matches!(pair.try_apply(&file), Err(Error::Discontinuous { .. })));
    }
    // A file that grows the database without all the pages that it adds.
    let grown = Header::new(header.page_size, count + 2, range);
    let file = encode(&grown, &[(count + 2, page.clone())]);
    assert!(matches!(pair.try_apply(&file), Err(Error::Discontinuous { .. })));
    let empty = Header::new(header.page_size, 0, range);
    assert!(matches!(pair.try_apply(&encode(&empty, &[])), Err(Error::Discontinuous { .. })));
    pair.assert_same("after all of them");
}

/// As after a process that was killed between the commit and writing down that it was made.
#[test]
fn a_file_may_be_applied_again() {
    let mut pair = Pair::new(TABLE);
    for sql in LIFE {
        let before = pair.standby.held();
        pair.capture(sql);
        let file = pair.lineage.files.last().unwrap().clone();
        pair.apply();
        pair.standby = Standby::open(&pair.path(), before).unwrap();
        pair.try_apply(&file).unwrap();
        pair.assert_same(sql);
    }
}

#[test]
fn a_foreign_write_is_noticed_and_overwritten() {
    let mut pair = Pair::new(TABLE);
    let foreign = Connection::open(pair.path()).unwrap();
    assert!(pair.standby.verify().unwrap());
    pair.follow("UPDATE t SET b = 'x' WHERE a = 3");
    foreign.execute_batch("UPDATE t SET b = 'mine' WHERE a = 150").unwrap();
    assert!(!pair.standby.verify().unwrap());
    pair.capture("UPDATE t SET b = 'x' WHERE a = 7");
    let file = pair.lineage.files[2].clone();
    assert!(matches!(pair.try_apply(&file), Err(Error::Discontinuous { .. })));
    let stage = pair.stage();
    let applied = pair.standby.overwrite(&stage, &mut |_| ()).unwrap();
    assert!(applied.pages < 10, "{applied:?}");
    drop(stage);
    pair.assert_same("overwritten");
    // A write that the next file covers is undone by it.
    foreign.execute_batch("UPDATE t SET b = 'mine' WHERE a = 150").unwrap();
    pair.applied = 3;
    pair.follow("UPDATE t SET b = randomblob(900)");
}

/// A schema that is not known by its number any more must not be used with the new pages.
#[test]
fn readers_notice_another_schema_under_the_same_number() {
    let schema = |table: &str| format!("CREATE TABLE {table}(a); INSERT INTO {table} VALUES (1)");
    let mut pair = Pair::new(&format!("{}; {}", schema("x"), schema("y")));
    let reader = Connection::open(pair.path()).unwrap();
    assert_eq!(value::<i64>(&reader, "SELECT count(*) FROM x"), 1);
    let other = Pair::new(&format!("{}; {}", schema("y"), schema("z")));
    let stage = other.stage();
    pair.standby.overwrite(&stage, &mut |_| ()).unwrap();
    assert_eq!(value::<i64>(&reader, "SELECT count(*) FROM y"), 1);
    assert_eq!(value::<i64>(&reader, "SELECT count(*) FROM z"), 1);
    assert!(reader.prepare("SELECT count(*) FROM x").is_err());
    assert_eq!(pair.standby.held().generation, 1);
    pair.standby.doubt();
    assert!(pair.standby.verify().unwrap());
}

/// Ends what other threads do, also when this one fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_captured_states_only() {
    let mut pair = Pair::new(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO t SELECT i, 0, randomblob(500) FROM n",
    );
    let (path, over) = (pair.path(), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let reader = Connection::open(&path).unwrap();
                    let mut checks = 0;
                    while !over.load(Ordering::Relaxed) {
                        let kinds = "SELECT count(DISTINCT b) FROM t";
                        assert_eq!(value::<i64>(&reader, kinds), 1);
                        assert_eq!(value::<String>(&reader, "PRAGMA quick_check"), "ok");
                        checks += 1;
                    }
                    checks
                })
            })
            .collect();
        let ends = Ends(&over);
        for number in 1..60 {
            let extra = if number % 7 == 0 { "; VACUUM" } else { "" };
            pair.capture(&format!("UPDATE t SET b = {number}, c = randomblob(900){extra}"));
            pair.apply();
            pair.standby.checkpoint().unwrap();
        }
        drop(ends);
        let checks: Vec<u32> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert!(checks.iter().all(|checks| *checks > 5), "{checks:?}");
    });
    pair.assert_same("in the end");
}

/// A transaction larger than the page cache goes to the WAL, which is emptied afterwards.
#[test]
fn the_wal_does_not_grow_without_bound() {
    let mut pair = Pair::new(TABLE);
    let wal = pair.place.path("standby.db-wal");
    let reader = Connection::open(pair.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    for _ in 0..4 {
        pair.follow("UPDATE t SET b = randomblob(60000)");
        pair.standby.checkpoint().unwrap();
    }
    assert!(wal.metadata().unwrap().len() > 20 << 20);
    reader.execute_batch("COMMIT").unwrap();
    pair.standby.checkpoint().unwrap();
    assert_eq!(wal.metadata().unwrap().len(), 0);
    assert!(pair.standby.verify().unwrap());
}

#[test]
fn a_stage_of_other_pages_is_refused() {
    let mut pair = Pair::new(TABLE);
    let other = Pair::new(&format!("PRAGMA page_size = 1024; {TABLE}"));
    let refused = pair.standby.overwrite(&other.stage(), &mut |_| ());
    assert!(matches!(refused, Err(Error::Discontinuous { .. })), "{refused:?}");
    assert!(pair.standby.is_in_place());
    std::fs::rename(pair.path(), pair.place.path("elsewhere")).unwrap();
    assert!(!pair.standby.is_in_place());
    let sum = naive_checksum(&oracle(&pair.place.database), PageSize::new(4096).unwrap());
    assert_eq!(pair.standby.held().checksum, sum);
}
