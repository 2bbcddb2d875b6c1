//! Images, scans and stages of databases that are being written to.

use std::path::Path;

use lifeboat_ltx::{Checksum, Decoder, Header, Txid, TxidRange};
use lifeboat_sqlite::*;
use rusqlite::Connection;

/// The image as SQLite's own page table shows it, read in a transaction of its own.
fn oracle(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let pages = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    pages.map(Result::unwrap).collect::<Vec<_>>().concat()
}

fn bytes(image: &Image<'_>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.size()).unwrap()];
    image.read(1, &mut bytes).unwrap();
    bytes
}

fn header(image: &Image<'_>, range: TxidRange) -> Header {
    Header::new(image.page_size(), image.page_count(), range)
}

struct Lineage {
    directory: tempfile::TempDir,
    files: Vec<Vec<u8>>,
    txid: Txid,
    checksum: Checksum,
}

impl Lineage {
    fn begin(database: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pin = pin(database, directory.path()).unwrap();
        let image = pin.image().unwrap();
        let array = directory.path().join("pages");
        let writer =
            PageArrayWriter::create(&array, image.page_size(), HashKey::new([7; 192])).unwrap();
        let header = header(&image, TxidRange::base(Txid::FIRST));
        let encoded = encode_base(&image, &header, Vec::new(), writer, 2, &|_| ()).unwrap();
        drop(pin);
        Self { directory, files: vec![encoded.out], txid: Txid::FIRST, checksum: encoded.checksum }
    }

    /// Captures what changed; how many pages that were.
    fn capture(&mut self, database: &Path) -> u32 {
        let pin = pin(database, self.directory.path()).unwrap();
        let image = pin.image().unwrap();
        let array = PageArray::open(&self.directory.path().join("pages")).unwrap();
        let delta = self.directory.path().join("changes");
        let changes = scan(&image, &array, self.checksum, &delta, 2, &|_| ()).unwrap();
        if !changes.none() {
            self.txid = self.txid.next().unwrap();
            let mut header = header(&image, TxidRange::single(self.txid));
            header.checksum_before = Some(self.checksum);
            header.checksum_after = Some(changes.checksum);
            let encoded = encode_changes(
                &image, &header, &changes.pages, changes.checksum, Vec::new(), &|_| (),
            ).unwrap();
            self.files.push(encoded.out);
            self.checksum = changes.checksum;
        }
        for table in pin.schema().unwrap().tables {
            let counted = count_rows(&image, &array, &changes.pages, table.root).unwrap();
            let sql = format!("SELECT count(*) FROM \"{}\"", table.name);
            let connection = Connection::open(database).unwrap();
            let expected: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(counted, u64::try_from(expected).ok(), "rows of {}", table.name);
        }
        drop(pin);
        apply_changes(&delta, &array).unwrap();
        apply_changes(&delta, &array).unwrap();
        changes.pages.len()
    }

    fn restore(&self) -> Vec<u8> {
        let path = self.directory.path().join("staged");
        let mut stage = Stage::create(&path).unwrap();
        for file in &self.files {
            stage.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
        }
        assert_eq!(stage.checksum(), self.checksum);
        stage.sync(0o644).unwrap();
        integrity_check(&path).unwrap();
        std::fs::read(&path).unwrap()
    }
}

fn round_trips(mode: &str) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("app.db");
    let writer = Connection::open(&database).unwrap();
    writer.execute_batch(&format!(
        "PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT);
         CREATE INDEX t_body ON t(body); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
         INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;
         INSERT INTO w SELECT hex(randomblob(20)), id FROM t;"
    )).unwrap();
    let mut lineage = Lineage::begin(&database);
    assert_eq!(lineage.restore(), oracle(&database), "base, {mode}");
    let steps = [
        "UPDATE t SET body = 'x' WHERE id % 5000 = 0",
        "DELETE FROM t WHERE id > 8000",
        "SELECT 1",
        "VACUUM",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "INSERT INTO t(body) SELECT hex(randomblob(900)) FROM t",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DROP TABLE w; VACUUM",
        "CREATE TABLE v AS SELECT * FROM t; UPDATE t SET body = 1 WHERE id = 1",
    ];
    for step in steps {
        // A checkpoint answers with a row, which execute_batch takes for an error in old releases.
        let _ = writer.execute_batch(step);
        let changed = lineage.capture(&database);
        assert_eq!(lineage.restore(), oracle(&database), "{step}, {mode}");
        assert_eq!(changed == 0, step.contains("SELECT 1") || step.contains("PRAGMA"), "{step}: {changed}");
    }
}

#[test]
fn wal_database_round_trips() {
    round_trips("wal");
}

#[test]
fn rollback_journal_database_round_trips() {
    round_trips("delete");
}

#[test]
fn image_equals_the_page_table_of_its_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("app.db");
    let writer = Connection::open(&database).unwrap();
    writer.execute_batch("PRAGMA journal_mode=wal; CREATE TABLE t(x)").unwrap();
    for round in 0..30 {
        writer.execute("INSERT INTO t VALUES (randomblob(9000))", []).unwrap();
        let pin = pin(&database, directory.path()).unwrap();
        let expected = oracle(&database);
        writer.execute("UPDATE t SET x = randomblob(5000)", []).unwrap();
        if round % 3 == 0 {
            let _ = writer.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
        }
        let image = pin.image().unwrap();
        let actual = bytes(&image);
        let differing: Vec<_> = (1..).zip(actual.chunks(4096).zip(expected.chunks(4096))).filter(|(_, (a, b))| a != b).map(|(p, _): (u32, _)| p).collect();
        assert!(actual == expected, "round {round}: {} {} {differing:?} {:?}", actual.len(), expected.len(), image);
    }
}
