//! Putting a database together from LTX files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Lineage, Place, oracle, run};
use lifeboat_ltx::{Checksum, ChecksumPlace, Decoder, Encoder, Header, PageSize, Txid, TxidRange};
use lifeboat_sqlite::{Error, HashKey, PageArray, PageArrayStage, Stage};

fn txid(number: u64) -> Txid {
    Txid::new(number).unwrap()
}

/// A file of pages that each hold one byte.
fn file(header: &Header, pages: &[(u32, u8)]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), header).unwrap();
    for (pgno, fill) in pages {
        encoder.write_page(*pgno, &vec![*fill; header.page_size.bytes()]).unwrap();
    }
    encoder.finish().unwrap().0
}

fn header(min: u64, max: u64, commit: u32) -> Header {
    let range = TxidRange::new(txid(min), txid(max)).unwrap();
    Header::new(PageSize::new(512).unwrap(), commit, range)
}

struct Staging {
    place: Place,
    stage: Stage,
}

impl Staging {
    fn new() -> Self {
        let place = Place::in_memory();
        let stage = Stage::create(&place.path("staged")).unwrap();
        Self { place, stage }
    }

    fn with_base() -> Self {
        let mut staging = Self::new();
        staging.apply(&file(&header(1, 3, 4), &[(1, 1), (2, 2), (3, 3), (4, 4)])).unwrap();
        staging
    }

    fn apply(&mut self, file: &[u8]) -> lifeboat_sqlite::Result<u32> {
        self.stage.apply(Decoder::new(file).unwrap(), &mut |_| ()).map(|applied| applied.pages)
    }

    #[track_caller]
    fn refused(&mut self, file: &[u8], detail: &str) {
        match self.apply(file) {
            Err(Error::Discontinuous { detail: found }) => {
                assert!(found.contains(detail), "{found}");
            }
            other => panic!("{other:?}"),
        }
    }

    fn fills(&self) -> Vec<u8> {
        let bytes = std::fs::read(self.place.path("staged")).unwrap();
        bytes.chunks(512).map(|page| page[0]).collect()
    }
}

#[test]
fn a_base_and_deltas_give_every_state() {
    let mut staging = Staging::with_base();
    assert_eq!(staging.apply(&file(&header(4, 4, 4), &[(2, 9)])).unwrap(), 1);
    assert_eq!(staging.fills(), [1, 9, 3, 4]);
    staging.apply(&file(&header(5, 9, 2), &[(1, 8)])).unwrap();
    assert_eq!(staging.fills(), [8, 9]);
    staging.apply(&file(&header(10, 10, 5), &[(3, 7), (4, 6), (5, 5)])).unwrap();
    assert_eq!(staging.fills(), [8, 9, 7, 6, 5]);
    // A compacted file may reach back over what was applied already.
    staging.apply(&file(&header(9, 12, 3), &[(2, 1), (3, 1)])).unwrap();
    assert_eq!(staging.fills(), [8, 1, 1]);
    // So may a base.
    staging.apply(&file(&header(1, 20, 2), &[(1, 3), (2, 4)])).unwrap();
    assert_eq!(staging.fills(), [3, 4]);
    staging.apply(&file(&header(21, 21, 0), &[])).unwrap();
    assert_eq!(staging.stage.checksum(), Checksum::EMPTY);
    assert_eq!(staging.stage.size(), 0);
    let path = staging.stage.path().to_owned();
    assert!(path.exists());
    drop(staging.stage);
    assert!(!path.exists());
}

/// Pages are written together up to a mebibyte, 2048 of these pages: with every kind of gap around that.
#[test]
fn long_runs_and_gaps_end_up_where_they_belong() {
    const PAGES: u32 = 5000;
    let all =
        |fill: u8| (1..=PAGES).map(move |pgno| (pgno, fill.wrapping_add(pgno.to_le_bytes()[0])));
    let runs: [&[std::ops::RangeInclusive<u32>]; 6] = [
        &[1..=2047],
        &[2..=2049],
        &[1..=2048, 2050..=4097],
        &[1..=2049, 2051..=2051, 2053..=5000],
        &[5000..=5000],
        &[7..=7, 9..=4105, 4107..=4999],
    ];
    for runs in runs {
        let mut staging = Staging::new();
        staging.apply(&file(&header(1, 1, PAGES), &all(0).collect::<Vec<_>>())).unwrap();
        let changed = |pgno: &u32| runs.iter().any(|run| run.contains(pgno));
        let delta: Vec<_> = all(100).filter(|(pgno, _)| changed(pgno)).collect();
        let mut told = 0;
        let delta_file = file(&header(2, 2, PAGES), &delta);
        let decoder = Decoder::new(delta_file.as_slice()).unwrap();
        staging.stage.apply(decoder, &mut |bytes| told += bytes).unwrap();
        assert_eq!(told, delta.len() as u64 * 512);
        let found = std::fs::read(staging.place.path("staged")).unwrap();
        for ((pgno, fill), page) in all(0).zip(found.chunks(512)) {
            let fill = if changed(&pgno) { fill.wrapping_add(100) } else { fill };
            assert!(page.iter().all(|byte| *byte == fill), "page {pgno} of {runs:?}");
        }
        assert_eq!(found.len(), PAGES as usize * 512);
    }
}

#[test]
fn every_state_of_a_lineage_is_restored() {
    let (place, writer) = Place::with("PRAGMA journal_mode=wal; CREATE TABLE t(x)");
    let mut lineage = Lineage::begin(&place.database);
    let mut states = vec![oracle(&place.database)];
    for step in [
        "INSERT INTO t VALUES (zeroblob(50000))",
        "DELETE FROM t; VACUUM",
        "INSERT INTO t VALUES (1)",
    ] {
        run(&writer, step);
        lineage.capture(&place.database);
        states.push(oracle(&place.database));
    }
    while let Some(expected) = states.pop() {
        let path = place.path("staged");
        let mut stage = Stage::create(&path).unwrap();
        for file in &lineage.files {
            stage.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
        }
        stage.sync(0o640).unwrap();
        assert!(std::fs::read(&path).unwrap() == expected);
        lineage.files.pop();
    }
}

#[test]
fn what_does_not_continue_is_refused_and_leaves_the_stage_usable() {
    Staging::new().refused(&file(&header(2, 2, 1), &[(1, 1)]), "expected a base");
    let mut staging = Staging::with_base();
    staging.refused(&file(&header(5, 5, 4), &[(1, 1)]), "expected what follows 0000000000000003");
    staging.refused(&file(&header(2, 3, 4), &[(1, 1)]), "expected what follows");
    staging.refused(&file(&header(1, 2, 1), &[(1, 1)]), "expected what follows");
    let mut other = header(4, 4, 4);
    other.page_size = PageSize::new(1024).unwrap();
    staging.refused(&file(&other, &[(1, 1)]), "expected pages of 512 bytes, found 1024");
    let mut other = header(4, 4, 4);
    other.checksum_before = Some(Checksum::new(5));
    staging.refused(&file(&other, &[(1, 1)]), "follows a database with checksum 8000000000000005");
    staging.apply(&file(&header(4, 4, 4), &[(1, 6)])).unwrap();
    assert_eq!(staging.fills(), [6, 2, 3, 4]);
}

#[test]
fn a_file_that_fails_while_it_is_applied_ends_the_stage() {
    let good = file(&header(4, 4, 4), &[(1, 6)]);
    let mut staging = Staging::with_base();
    staging
        .refused(&file(&header(4, 4, 9), &[(6, 1)]), "grows the database by 5 pages but brings 1");
    staging.refused(&good, "comes after a file that failed");

    let mut staging = Staging::with_base();
    let mut other = header(4, 4, 4);
    other.checksum_after = Some(Checksum::new(5));
    staging.refused(&file(&other, &[(1, 1)]), "should have checksum 8000000000000005");
    staging.refused(&good, "comes after a file that failed");

    let mut staging = Staging::with_base();
    let error = staging.apply(&good[..good.len() - 1]).unwrap_err();
    assert!(matches!(error, Error::Ltx { operation: "apply", .. }), "{error:?}");
    staging.refused(&good, "comes after a file that failed");

    // It can begin anew, with nothing of what it held.
    staging.stage.restart().unwrap();
    assert_eq!((staging.stage.size(), staging.stage.page_bytes()), (0, 0));
    assert_eq!(staging.stage.checksum(), Checksum::EMPTY);
    staging.refused(&good, "expected a base");
    staging.apply(&file(&header(1, 3, 2), &[(1, 8), (2, 7)])).unwrap();
    assert_eq!(staging.fills(), [8, 7]);
    staging.apply(&file(&header(4, 4, 2), &[(1, 6)])).unwrap();
    assert_eq!(staging.fills(), [6, 7]);
}

/// Where a file states the checksum in its trailer only.
#[test]
fn checksums_in_the_fields_of_the_format_are_verified() {
    for (stated, fits) in [(None, true), (Some(Checksum::new(5)), false)] {
        let mut staging = Staging::with_base();
        let mut expected = Staging::with_base();
        expected.apply(&file(&header(4, 4, 4), &[(1, 6)])).unwrap();
        let mut header = header(4, 4, 4);
        header.checksum_place = ChecksumPlace::Fields;
        header.checksum_before = Some(staging.stage.checksum());
        header.checksum_after = Some(stated.unwrap_or(expected.stage.checksum()));
        let file = file(&header, &[(1, 6)]);
        assert_eq!(staging.apply(&file).is_ok(), fits);
    }
}

#[test]
fn the_lock_page_is_a_hole() {
    let page_size = PageSize::new(65_536).unwrap();
    let lock = page_size.lock_page();
    let base = Header::new(page_size, 1, TxidRange::base(Txid::FIRST));
    let mut staging = Staging::new();
    staging.apply(&file(&base, &[(1, 1)])).unwrap();
    let grown = Header::new(page_size, lock + 1, TxidRange::single(txid(2)));
    let all: Vec<_> = (2..=lock + 1).filter(|pgno| *pgno != lock).map(|pgno| (pgno, 0)).collect();
    staging.apply(&file(&grown, &all)).unwrap();
    assert_eq!(staging.stage.size(), u64::from(lock + 1) * 65_536);
    let before = staging.stage.checksum();
    let mut shrunk = Header::new(page_size, 1, TxidRange::single(txid(3)));
    shrunk.checksum_before = Some(before);
    staging.apply(&file(&shrunk, &[])).unwrap();
    let mut again = Staging::new();
    again.apply(&file(&base, &[(1, 1)])).unwrap();
    assert_eq!(staging.stage.checksum(), again.stage.checksum());
}

#[test]
fn a_stage_is_private_new_and_gone_when_dropped() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.path("staged");
    let stage = Stage::create(&path).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(Stage::create(&path), Err(Error::File { operation: "create", .. })));
    stage.reserve(1 << 20).unwrap();
    let error = stage.reserve(1 << 60).unwrap_err();
    assert!(matches!(error, Error::File { operation: "make room for", .. }), "{error:?}");
    stage.sync(0o4755).unwrap();
    assert_eq!(mode(&path), 0o755);
    assert_eq!(stage.keep(), path);
    assert!(path.exists());
    drop(Stage::create(&place.path("other")).unwrap());
    assert_eq!(place.names(), ["staged"]);
}

/// A page array made from the files of a lineage is the one that capturing the database left, but
/// for its key.
#[test]
fn a_page_array_from_files_is_the_one_of_the_captures() {
    let (place, writer) = Place::with(
        "PRAGMA page_size=512; CREATE TABLE t(a INTEGER PRIMARY KEY, x);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<900)
         INSERT INTO t SELECT i, randomblob(400) FROM n",
    );
    let mut lineage = Lineage::begin(&place.database);
    for sql in [
        "UPDATE t SET x = 1 WHERE a % 100 = 0",
        "DELETE FROM t WHERE a > 300; VACUUM",
        "INSERT INTO t(x) SELECT randomblob(400) FROM t",
        "VACUUM",
    ] {
        run(&writer, sql);
        lineage.capture(&place.database);
        let path = place.path("rebuilt");
        // The key that the captures of these tests use.
        let mut stage = PageArrayStage::create(&path, HashKey::new([7; 192])).unwrap();
        for file in &lineage.files {
            stage.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
        }
        assert_eq!((stage.checksum(), stage.txid()), (lineage.checksum, Some(lineage.txid)));
        assert!(PageArray::open(&path).is_err(), "it is none before it is finished");
        stage.finish().unwrap();
        let captured = std::fs::read(lineage.directory.path().join("pages")).unwrap();
        assert!(std::fs::read(&path).unwrap() == captured, "{sql}");
    }
}

#[test]
fn a_page_array_is_not_made_of_files_that_do_not_fit() {
    let place = Place::in_memory();
    let begin = || PageArrayStage::create(&place.path("pages"), HashKey::new([1; 192])).unwrap();
    let apply = |stage: &mut PageArrayStage, file: &[u8]| {
        stage.apply(Decoder::new(file).unwrap(), &mut |_| ()).map(|_| ())
    };
    let base = file(&header(1, 3, 2), &[(1, 1), (2, 2)]);
    assert!(matches!(begin().finish(), Err(Error::Discontinuous { .. })));
    assert!(apply(&mut begin(), &file(&header(2, 2, 2), &[(1, 1)])).is_err(), "no base");
    for (wrong, what) in [
        (file(&header(5, 5, 2), &[(1, 1)]), "a gap"),
        (file(&header(4, 4, 4), &[(4, 1)]), "a page is missing"),
    ] {
        let mut stage = begin();
        apply(&mut stage, &base).unwrap();
        assert!(apply(&mut stage, &wrong).is_err(), "{what}");
    }
    let mut stage = begin();
    apply(&mut stage, &base).unwrap();
    let mut damaged = file(&header(4, 4, 2), &[(1, 9)]);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(matches!(apply(&mut stage, &damaged), Err(Error::Ltx { .. })));
    assert!(apply(&mut stage, &file(&header(4, 4, 2), &[(1, 9)])).is_err(), "it is torn");
    assert!(stage.finish().is_err());
}
