//! What several test files need.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bank;
mod follower;
mod lineage;
mod stored;
mod tools;
mod tracked;

pub(crate) use bank::{ACCOUNTS, BALANCE, Reader, bank, soak};
pub(crate) use follower::{Follower, Way};
pub(crate) use lineage::{Lineage, base};
pub(crate) use stored::Stored;
pub(crate) use tools::{Tool, require_tool};
pub(crate) use tracked::{Tracked, Went};

use std::path::{Path, PathBuf};

use lifeboat_ltx::{DatabaseChecksum, PageSize, page_checksum};
use lifeboat_sqlite::Image;
use rusqlite::Connection;
use rusqlite::fallible_iterator::FallibleIterator;

/// A directory with a path for a database in it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap())
    }

    /// In memory where there is such a place: for tests that write much.
    pub(crate) fn in_memory() -> Self {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self::in_directory(directory.unwrap())
    }

    fn in_directory(directory: tempfile::TempDir) -> Self {
        let database = directory.path().join("app.db");
        Self { directory, database }
    }

    /// A database made by these statements, and the connection that made it.
    pub(crate) fn with(sql: &str) -> (Self, Connection) {
        let place = Self::new();
        let connection = place.open();
        run(&connection, sql);
        (place, connection)
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(&self.database).unwrap()
    }

    /// A path beside the database.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        let scratch = self.path("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        scratch
    }

    pub(crate) fn sidecar(&self, suffix: &str) -> PathBuf {
        self.path(&format!("app.db{suffix}"))
    }

    /// The names in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "scratch")
            .collect();
        names.sort();
        names
    }
}

/// Runs statements, of which a PRAGMA may answer with rows.
pub(crate) fn run(connection: &Connection, sql: &str) {
    let mut batch = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = FallibleIterator::next(&mut batch).unwrap() {
        let mut rows = statement.query([]).unwrap();
        while rows.next().unwrap().is_some() {}
    }
}

/// One value.
pub(crate) fn value<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The pages as SQLite's own page table shows them in the present transaction.
pub(crate) fn page_table(connection: &Connection) -> Vec<u8> {
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut bytes = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        bytes.extend_from_slice(row.get_ref(0).unwrap().as_blob().unwrap());
    }
    bytes
}

/// The pages as a new connection sees them.
pub(crate) fn oracle(path: &Path) -> Vec<u8> {
    page_table(&Connection::open(path).unwrap())
}

/// All pages of an image.
pub(crate) fn bytes(image: &Image<'_>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.size()).unwrap()];
    if !bytes.is_empty() {
        image.read(1, &mut bytes).unwrap();
    }
    bytes
}

/// Fails with the numbers of the differing pages.
#[track_caller]
pub(crate) fn assert_same(actual: &[u8], expected: &[u8], page_size: usize, what: &str) {
    let pages = |bytes: &[u8]| bytes.len() / page_size;
    assert_eq!(pages(actual), pages(expected), "pages, {what}");
    let differing: Vec<_> = (1..)
        .zip(actual.chunks(page_size).zip(expected.chunks(page_size)))
        .filter_map(|(pgno, (actual, expected))| (actual != expected).then_some::<u32>(pgno))
        .collect();
    assert!(differing.is_empty(), "{what}: pages {differing:?} differ");
}

/// The database checksum of a whole image, from nothing.
pub(crate) fn naive_checksum(bytes: &[u8], page_size: PageSize) -> lifeboat_ltx::Checksum {
    let mut checksum = DatabaseChecksum::new();
    for (pgno, page) in (1..).zip(bytes.chunks(page_size.bytes())) {
        if pgno != page_size.lock_page() {
            checksum.toggle(page_checksum(pgno, page));
        }
    }
    checksum.value()
}
