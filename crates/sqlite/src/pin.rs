//! A read transaction on a database, or on a private copy where a journal has to be replayed.

use std::path::{Path, PathBuf};

use lifeboat_ltx::PageSize;
use rusqlite::{Connection, ErrorCode, ffi};

use crate::ffi::code_error as ffi_code;
use crate::open::open_read_only;
use crate::wal_index::{self, Decision, WalState};
use crate::{Error, Image, Result, Schema};

/// How often a transaction is begun before the writers are called too fast. A commit has to fall
/// into the few microseconds between two reads each time.
const ATTEMPTS: u32 = 1_000;

/// How a database makes its transactions atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalMode {
    /// Write-ahead log: readers and writers do not disturb each other.
    Wal,
    /// Rollback journal of any kind: a reader keeps writers from committing.
    Rollback,
}

impl std::fmt::Display for JournalMode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Wal => "wal",
            Self::Rollback => "rollback",
        })
    }
}

/// A pinned state of a database. Dropping it lets the application's writers and checkpoints go on.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    connection: Connection,
    page_size: PageSize,
    page_count: u32,
    journal_mode: JournalMode,
    wal: Option<WalState>,
    copy: Option<crate::copy::Copy>,
}

/// Pins the present state of the database at `path`.
///
/// A rollback journal that a killed writer left behind is not rolled back in place, which would be
/// writing to the application's database: database and journal are copied into `scratch` and the
/// copy is rolled back and pinned.
pub fn pin(path: &Path, scratch: &Path) -> Result<Pin> {
    if !path.exists() {
        return Err(Error::Missing { path: path.to_owned() });
    }
    match pin_in_place(path) {
        Err(Error::Sqlite { source, .. }) if needs_rollback(&source) => {
            let copy = crate::copy::Copy::rolled_back(path, scratch)?;
            let mut pin = pin_in_place(copy.path())?;
            pin.path = path.to_owned();
            pin.copy = Some(copy);
            Ok(pin)
        }
        other => other,
    }
}

fn needs_rollback(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _)
        if error.code == ErrorCode::ReadOnly
            && matches!(error.extended_code,
                ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY))
}

fn pin_in_place(path: &Path) -> Result<Pin> {
    let connection = open_read_only(path)?;
    let failed = |source| Error::sqlite("read", path, source);
    for _ in 0..ATTEMPTS {
        connection.execute_batch("BEGIN").map_err(failed)?;
        // BEGIN takes no lock by itself: the first read does, and decides which state is seen.
        let page_count: u32 = pragma(&connection, "page_count").map_err(failed)?;
        let wal = match wal_index::decide(&connection) {
            Ok(Decision::NoWal) => None,
            Ok(Decision::Settled(state)) => Some(state),
            Ok(Decision::BeginAnew) => {
                connection.execute_batch("ROLLBACK").map_err(failed)?;
                continue;
            }
            Err(code) => return Err(failed(ffi_code(code))),
        };
        let page_size: u32 = pragma(&connection, "page_size").map_err(failed)?;
        let mode: String = pragma(&connection, "journal_mode").map_err(failed)?;
        let page_size = PageSize::new(page_size).ok_or_else(|| Error::Corrupt {
            path: path.to_owned(),
            detail: format!("its page size is {page_size}"),
        })?;
        let journal_mode =
            if mode.eq_ignore_ascii_case("wal") { JournalMode::Wal } else { JournalMode::Rollback };
        let path = path.to_owned();
        return Ok(Pin { path, connection, page_size, page_count, journal_mode, wal, copy: None });
    }
    Err(failed(ffi_code(ffi::SQLITE_BUSY)))
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

impl Pin {
    /// The pages of the pinned state.
    pub fn image(&self) -> Result<Image<'_>> {
        let (connection, wal) = (&self.connection, self.wal.as_ref());
        Image::of_transaction(&self.path, connection, self.page_size, self.page_count, wal)
    }

    /// How the database journals.
    pub fn journal_mode(&self) -> JournalMode {
        self.journal_mode
    }

    /// Whether the pin holds back the application's writers: then read fast and let go.
    pub fn blocks_writers(&self) -> bool {
        self.journal_mode == JournalMode::Rollback && self.copy.is_none()
    }

    /// Whether a journal left by a killed writer had to be replayed in a copy.
    pub fn rolled_back_a_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// The tables of the pinned state.
    pub fn schema(&self) -> Result<Schema> {
        Schema::read(&self.connection)
            .map_err(|source| Error::sqlite("read the schema of", &self.path, source))
    }
}
