//! The one writer of a database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Connection, ErrorCode};

use super::History;
use crate::common::{Dice, content};

/// How long it waits for a lock, and how long where a reader may keep it for good.
const PATIENCE: Duration = Duration::from_secs(20);
const IMPATIENCE: Duration = Duration::from_millis(20);

/// An application; tables `t(a INTEGER PRIMARY KEY, b)` and some that come and go.
pub(crate) struct Application {
    path: PathBuf,
    connection: Option<Connection>,
    pub(crate) history: History,
}

impl Application {
    /// Makes its database.
    pub(crate) fn new(path: &Path, dice: &mut Dice) -> Self {
        let path = path.to_owned();
        let mut application = Self { path, connection: None, history: History::default() };
        application.make(dice);
        application
    }

    /// Makes the database where there is none.
    pub(crate) fn make(&mut self, dice: &mut Dice) {
        self.record();
        let vacuum = dice.choose(&["none", "full", "incremental"]);
        self.run(&format!("PRAGMA page_size = {}", dice.choose(&["1024", "4096"])));
        self.run(&format!("PRAGMA auto_vacuum = {vacuum}"));
        self.run(&format!("PRAGMA journal_mode = {}", dice.choose(&["wal", "wal", "delete"])));
        self.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
        self.insert(30);
    }

    fn connection(&mut self) -> &Connection {
        let path = &self.path;
        self.connection.get_or_insert_with(|| {
            let connection = Connection::open(path).unwrap();
            connection.busy_timeout(PATIENCE).unwrap();
            connection
        })
    }

    /// What it is now, as SQLite's page table shows it to others: the writer's own cache has pages
    /// that were freed as they were before, which are never written.
    pub(crate) fn image(&mut self) -> Vec<u8> {
        // As long as it is open, whoever else closes leaves the WAL as it is.
        self.connection();
        content(&self.path)
    }

    /// For whoever looks at a failure.
    pub(crate) fn state(&mut self) -> String {
        let pragma = |name: &str| format!("SELECT * FROM pragma_{name}");
        let sql = ["journal_mode", "page_size", "page_count"].map(pragma).join(" UNION ALL ");
        let mut statement = self.connection().prepare(&sql).unwrap();
        let values =
            statement.query_map([], |row| row.get_ref(0).map(|value| format!("{value:?}")));
        values.unwrap().map(Result::unwrap).collect::<Vec<_>>().join(" ")
    }

    fn record(&mut self) {
        let image = self.image();
        self.history.add(&image);
    }

    /// Runs statements, all but the last of which commit nothing; a PRAGMA may answer with rows.
    fn run(&mut self, sql: &str) {
        if let Err(error) = execute(self.connection(), sql) {
            panic!("{sql}: {error}");
        }
        self.record();
    }

    /// Runs a statement that whoever reads may keep from being done.
    fn try_to(&mut self, sql: &str) {
        self.connection().busy_timeout(IMPATIENCE).unwrap();
        let done = execute(self.connection(), sql);
        self.connection().busy_timeout(PATIENCE).unwrap();
        let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked].map(Some);
        let done = done.map_err(|error| error.sqlite_error_code());
        assert!(done.is_ok_and(|()| true) || done.is_err_and(|code| busy.contains(&code)), "{sql}");
        self.record();
    }

    pub(crate) fn insert(&mut self, rows: usize) {
        self.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows})
             INSERT INTO t(b) SELECT randomblob(abs(random()) % 4000) FROM n"
        ));
    }

    pub(crate) fn update(&mut self, dice: &mut Dice) {
        let of = 1 + dice.below(20);
        self.run(&format!("UPDATE t SET b = randomblob(length(b) + 1) WHERE a % {of} = 0"));
    }

    pub(crate) fn delete(&mut self, dice: &mut Dice) {
        let tenths = 1 + dice.below(9);
        self.run(&format!("DELETE FROM t WHERE abs(random()) % 10 < {tenths}"));
    }

    pub(crate) fn vacuum(&mut self, dice: &mut Dice) {
        self.run(dice.choose(&[
            "VACUUM",
            "PRAGMA incremental_vacuum",
            "PRAGMA incremental_vacuum(3)",
        ]));
    }

    /// Pages go into the WAL or the file that are then taken back.
    pub(crate) fn change_its_mind(&mut self) {
        self.run(
            "PRAGMA cache_size = 10; BEGIN; UPDATE t SET b = randomblob(5000);
             SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; ROLLBACK",
        );
    }

    pub(crate) fn reshape(&mut self, dice: &mut Dice) {
        let name = dice.below(4);
        self.run(&match dice.below(4) {
            0 => format!("CREATE TABLE IF NOT EXISTS u{name} AS SELECT * FROM t LIMIT 40"),
            1 => format!("DROP TABLE IF EXISTS u{name}"),
            2 => format!("CREATE INDEX IF NOT EXISTS i{name} ON t(length(b))"),
            _ => format!("DROP INDEX IF EXISTS i{name}"),
        });
    }

    pub(crate) fn checkpoint(&mut self, dice: &mut Dice) {
        let mode = dice.choose(&["PASSIVE", "FULL", "RESTART", "TRUNCATE"]);
        self.try_to(&format!("PRAGMA wal_checkpoint({mode})"));
        self.insert(1);
    }

    /// Needs that nobody reads; without that it stays as it was.
    pub(crate) fn change_journal(&mut self, dice: &mut Dice) {
        let mode = dice.choose(&["wal", "wal", "wal", "delete", "truncate", "persist"]);
        self.try_to(&format!("PRAGMA journal_mode = {mode}"));
    }

    /// Pages of another size, if it has a rollback journal.
    pub(crate) fn change_page_size(&mut self, dice: &mut Dice) {
        self.try_to("PRAGMA journal_mode = delete");
        self.run(&format!("PRAGMA page_size = {}; VACUUM", dice.choose(&["512", "4096", "8192"])));
        if dice.chance(70) {
            self.try_to("PRAGMA journal_mode = wal");
        }
    }

    /// Ends, or crashes: then what is in the WAL stays there.
    pub(crate) fn close(&mut self, crash: bool) {
        if let Some(connection) = self.connection.take() {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, crash).unwrap();
        }
    }

    /// Another file takes the place of the database; with no other, there is none any more.
    pub(crate) fn exchange(&mut self, other: Option<&Path>) {
        self.close(true);
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            let _ = std::fs::remove_file(path);
        }
        if let Some(other) = other {
            std::fs::rename(other, &self.path).unwrap();
            self.record();
        }
    }

    /// Power is lost before all of the WAL is on the disk.
    pub(crate) fn lose_power(&mut self, dice: &mut Dice) {
        self.close(true);
        let path = self.path.with_extension("db-wal");
        if let Ok(wal) = std::fs::OpenOptions::new().write(true).open(path) {
            let length = wal.metadata().unwrap().len();
            wal.set_len(length * dice.below(5) as u64 / 4).unwrap();
        }
        let _ = std::fs::remove_file(self.path.with_extension("db-shm"));
        self.record();
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut batch = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = FallibleIterator::next(&mut batch)? {
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
