//! Databases of an application.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// A database with one table `t(a INTEGER PRIMARY KEY, b BLOB)`, about a page for each row.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
}

impl Database {
    /// Makes one with pages of 4096 bytes.
    pub(crate) fn create(path: &Path, journal_mode: &str, rows: u32) -> Self {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let database = Self { path: path.to_owned() };
        let connection = database.open();
        let mode: String = connection
            .query_row(&format!("PRAGMA journal_mode = {journal_mode}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode, journal_mode);
        connection.execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)").unwrap();
        insert(&connection, rows);
        database
    }

    pub(crate) fn open(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection
    }

    pub(crate) fn add(&self, rows: u32) {
        insert(&self.open(), rows);
    }

    /// Gives a row other content of the same length.
    pub(crate) fn change(&self, row: u32) {
        self.execute(&format!("UPDATE t SET b = randomblob(3000) WHERE a = {row}"));
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    pub(crate) fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// What the file is once its WAL is in it.
    ///
    /// The tests compare restored files with it byte by byte.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        content(&self.path)
    }
}

fn insert(connection: &Connection, rows: u32) {
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
             INSERT INTO t(b) SELECT randomblob(3000) FROM n",
            [rows],
        )
        .unwrap();
}

/// The pages of a database as SQLite's own page table shows them.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut bytes = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        bytes.extend_from_slice(row.get_ref(0).unwrap().as_blob().unwrap());
    }
    bytes
}
