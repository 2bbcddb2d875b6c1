//! Databases of every page size and shape.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Lineage, Place, assert_same, base, naive_checksum, oracle, run};
use lifeboat_ltx::{Checksum, PageCoding, PageSize};
use lifeboat_sqlite::{JournalMode, pin, read_header};

fn follow(what: &str, setup: &str, steps: &[&str]) {
    let (place, writer) = Place::with(setup);
    let page_size = read_header(&place.database).unwrap().unwrap().page_size as usize;
    let mut lineage = Lineage::begin(&place.database);
    for step in steps {
        run(&writer, step);
        lineage.capture(&place.database);
        let expected = oracle(&place.database);
        let what = format!("{what}, {step}");
        assert_same(&lineage.restore(), &expected, page_size, &what);
        let page_size = PageSize::new(u32::try_from(page_size).unwrap()).unwrap();
        assert_eq!(lineage.checksum, naive_checksum(&expected, page_size), "{what}");
    }
}

const STEPS: [&str; 7] = [
    "INSERT INTO t SELECT randomblob(700) FROM t",
    "DELETE FROM t WHERE rowid % 2",
    "PRAGMA incremental_vacuum(20)",
    "VACUUM",
    "INSERT INTO t SELECT randomblob(300) FROM t",
    "DELETE FROM t",
    "VACUUM; INSERT INTO t VALUES (zeroblob(200000))",
];

#[test]
fn every_page_size() {
    for exponent in 9..=16 {
        for mode in ["wal", "delete"] {
            let size = 1 << exponent;
            let setup = format!(
                "PRAGMA page_size={size}; PRAGMA journal_mode={mode}; PRAGMA synchronous=off;
                 CREATE TABLE t(x); INSERT INTO t SELECT randomblob(900) FROM pragma_function_list LIMIT 90"
            );
            follow(&format!("{size} {mode}"), &setup, &STEPS);
        }
    }
}

#[test]
fn every_auto_vacuum() {
    for vacuum in ["none", "full", "incremental"] {
        for mode in ["wal", "delete"] {
            let setup = format!(
                "PRAGMA auto_vacuum={vacuum}; PRAGMA journal_mode={mode}; PRAGMA synchronous=off;
                 CREATE TABLE t(x); INSERT INTO t SELECT randomblob(900) FROM pragma_function_list LIMIT 90"
            );
            follow(&format!("{vacuum} {mode}"), &setup, &STEPS);
        }
    }
}

#[test]
fn a_database_without_pages() {
    for name in ["app.db", "made.db"] {
        let place = Place::new();
        let path = place.path(name);
        // An empty file, and one that an application opened and did not write to.
        std::fs::write(&path, "").unwrap();
        let pinned = pin(&path, &place.scratch()).unwrap();
        let image = pinned.image().unwrap();
        assert_eq!((image.page_count(), image.size()), (0, 0));
        assert_eq!(image.page_size(), PageSize::DEFAULT);
        assert_eq!(pinned.journal_mode(), JournalMode::Rollback);
        assert!(pinned.schema().unwrap().tables.is_empty());
        let (_, checksum) = base(&image, &place.path("pages"));
        assert_eq!(checksum, Checksum::EMPTY);
        drop(pinned);
        let mut lineage = Lineage::begin(&path);
        assert_eq!(lineage.capture(&path), 0);
        assert!(lineage.restore().is_empty());
        run(&rusqlite::Connection::open(&path).unwrap(), "CREATE TABLE t(x)");
        assert_eq!(lineage.capture(&path), 2);
        assert_eq!(lineage.restore(), oracle(&path));
    }
}

/// The file holds one page until the first checkpoint; everything else stands in the WAL.
#[test]
fn a_database_that_was_never_checkpointed() {
    let (place, writer) = Place::with(
        "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);
         INSERT INTO t SELECT randomblob(9000) FROM pragma_function_list LIMIT 50",
    );
    assert_eq!(place.database.metadata().unwrap().len(), 4096);
    let mut lineage = Lineage::begin(&place.database);
    assert_eq!(lineage.restore(), oracle(&place.database));
    run(&writer, "DELETE FROM t WHERE rowid > 25; VACUUM");
    lineage.capture(&place.database);
    assert_eq!(lineage.restore(), oracle(&place.database));
}

/// The page that holds the byte at 1 GiB has no content and is in no LTX file.
#[test]
fn a_database_larger_than_one_gibibyte() {
    let place = Place::in_memory();
    let writer = place.open();
    // A row fills 16 MiB. 65 of them cross the lock page, 63 do not.
    run(
        &writer,
        "PRAGMA page_size=65536; PRAGMA journal_mode=off; PRAGMA synchronous=off;
         PRAGMA auto_vacuum=full; CREATE TABLE t(id INTEGER PRIMARY KEY, x)",
    );
    let fill = |from: u32, to: u32| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i+1 FROM n WHERE i<{to})
             INSERT INTO t SELECT i, zeroblob(16777216) FROM n"
        )
    };
    run(&writer, &fill(1, 65));
    let page_size = PageSize::new(65_536).unwrap();
    let lock = page_size.lock_page();
    assert_eq!(lock, 16_385);

    let mut lineage = Sparse::begin(&place);
    assert!(lineage.page_count > lock);
    lineage.check(&place);
    run(&writer, "DELETE FROM t WHERE id > 60");
    lineage.capture(&place);
    assert!(lineage.page_count < lock);
    lineage.check(&place);
    run(&writer, &fill(61, 66));
    lineage.capture(&place);
    assert!(lineage.page_count > lock);
    lineage.check(&place);
}

/// The scan of a database too large for the memory of a test, checked by its checksum alone.
struct Sparse {
    page_count: u32,
    checksum: Checksum,
}

impl Sparse {
    fn begin(place: &Place) -> Self {
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let image = pinned.image().unwrap();
        let key = lifeboat_sqlite::HashKey::new([7; 192]);
        let path = place.path("pages");
        let array =
            lifeboat_sqlite::PageArrayWriter::create(&path, image.page_size(), key).unwrap();
        let range = lifeboat_ltx::TxidRange::base(lifeboat_ltx::Txid::FIRST);
        let header = lifeboat_ltx::Header::new(image.page_size(), image.page_count(), range);
        let out = std::io::sink();
        let encoded = lifeboat_sqlite::encode_base(
            &image,
            &header,
            PageCoding::Literal,
            out,
            array,
            2,
            &|_| (),
        )
        .unwrap();
        let lock = u32::from(image.page_count() >= image.page_size().lock_page());
        assert_eq!(encoded.pages, image.page_count() - lock);
        Self { page_count: image.page_count(), checksum: encoded.checksum }
    }

    fn capture(&mut self, place: &Place) {
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let image = pinned.image().unwrap();
        let array = lifeboat_sqlite::PageArray::open(&place.path("pages")).unwrap();
        let path = place.path("changes");
        let before = self.checksum;
        let changes = lifeboat_sqlite::scan(&image, &array, before, &path, 2, &|_| ()).unwrap();
        assert!(!changes.pages.contains(image.page_size().lock_page()));
        lifeboat_sqlite::apply_changes(&path, &array).unwrap();
        assert_eq!(array.page_count().unwrap(), image.page_count());
        *self = Self { page_count: image.page_count(), checksum: changes.checksum };
    }

    /// The checksum and the page array are those of a capture from nothing.
    fn check(&self, place: &Place) {
        let array = std::fs::read(place.path("pages")).unwrap();
        assert_eq!(Self::begin(place).checksum, self.checksum);
        assert!(std::fs::read(place.path("pages")).unwrap() == array, "the page arrays differ");
    }
}
