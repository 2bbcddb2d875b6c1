//! A read transaction on a database, or on a private copy where it cannot be read in place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lifeboat_ltx::PageSize;
use rusqlite::{Connection, ffi};

use crate::copy::{Copy, Obstacle};
use crate::geometry::Geometry;
use crate::locate::{is_there, locate, sidecar};
use crate::moment::{FileStamp, Moment};
use crate::open::{BUSY, open_read_only};
use crate::tail::Tail;
use crate::traces::Traces;
use crate::wal_index::{self, WalState};
use crate::{Error, Image, Result, Schema};

/// How often an obstacle may come and go: an application that starts or stops just now.
const ATTEMPTS: u32 = 10;

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
// The order of the fields is the order of dropping: the connection goes before what it leaves.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    /// The file behind the path.
    real: PathBuf,
    connection: Connection,
    page_size: PageSize,
    page_count: u32,
    journal_mode: JournalMode,
    wal: Option<WalState>,
    /// `None` where nothing that comes later can be held against it.
    moment: Option<Moment>,
    traces: Traces,
    copy: Option<Copy>,
}

/// Pins the present state of the database at `path`; a link is followed.
///
/// A rollback journal that a killed writer left behind is not rolled back in place, which would be
/// writing to the application's database: database and journal are copied into `scratch` and the
/// copy is rolled back and pinned. A WAL database in a directory that cannot be written to, without
/// the files that even a reader needs there, is copied and pinned likewise.
pub fn pin(path: &Path, scratch: &Path) -> Result<Pin> {
    let real = locate(path)?;
    for _ in 0..ATTEMPTS {
        let error = match pin_in_place(&real, path, BUSY) {
            Err(error) => error,
            pinned => return pinned,
        };
        let Some(obstacle) = obstacle(&error, &real) else { return Err(error) };
        if let Some(copy) = Copy::around(obstacle, &real, scratch)? {
            let mut pin = pin_in_place(copy.path(), path, BUSY)?;
            pin.copy = Some(copy);
            pin.moment = None;
            return Ok(pin);
        }
    }
    Err(sqlite_error(path, ffi::SQLITE_BUSY))
}

/// What a copy would help against.
pub(crate) fn obstacle(error: &Error, real: &Path) -> Option<Obstacle> {
    let Error::Sqlite { source: rusqlite::Error::SqliteFailure(source, _), .. } = error else {
        return None;
    };
    let there = |suffix| is_there(&sidecar(real, suffix));
    match source.extended_code {
        ffi::SQLITE_READONLY_ROLLBACK => Some(Obstacle::Journal),
        ffi::SQLITE_READONLY_DIRECTORY | ffi::SQLITE_CANTOPEN if !there("-wal") => {
            Some(Obstacle::NoWal)
        }
        ffi::SQLITE_READONLY_DIRECTORY | ffi::SQLITE_CANTOPEN if !there("-shm") => {
            Some(Obstacle::WalWithoutIndex)
        }
        _ => None,
    }
}

/// Pins the file `real`, which errors call `path`. Locks are waited for as long as `patience`.
pub(crate) fn pin_in_place(real: &Path, path: &Path, patience: Duration) -> Result<Pin> {
    refuse_lost_database(real, path)?;
    // Declared first, so that it is dropped after the connection when pinning fails, too.
    let traces = Traces::before(real);
    // Before the database is opened, so that whatever happens to the file from here on shows later.
    let now = SystemTime::now();
    let file = FileStamp::of(real)?;
    let connection = open_read_only(real, patience)?;
    let wal =
        wal_index::begin(&connection).map_err(|source| Error::sqlite("read", path, source))?;
    let geometry = Geometry::of(&connection, wal.as_ref(), path)?;
    let moment = geometry.moment(wal.as_ref(), file, now);
    // Another file may have taken the name before the database was opened.
    let same_file = FileStamp::of(real)?.is_same_file(&file);
    Ok(Pin {
        path: path.to_owned(),
        real: real.to_owned(),
        connection,
        page_size: geometry.page_size,
        page_count: geometry.page_count,
        journal_mode: geometry.journal_mode,
        wal,
        moment: same_file.then_some(moment),
        traces,
        copy: None,
    })
}

/// SQLite takes an empty file, and one of a single byte, for a new database and deletes a WAL
/// beside it, even when it may only read. The WAL may be all that is left of the application's data.
fn refuse_lost_database(real: &Path, path: &Path) -> Result<()> {
    let length = real.metadata().map_err(Error::file("look at", path))?.len();
    if length == 1 {
        return Err(Error::NotADatabase { path: path.to_owned() });
    }
    let empty = length == 0;
    let wal = sidecar(real, "-wal").metadata().is_ok_and(|wal| wal.len() > 0);
    if empty && wal {
        let detail = "the file is empty, but a WAL with content is beside it".to_owned();
        return Err(Error::Corrupt { path: path.to_owned(), detail });
    }
    Ok(())
}

fn sqlite_error(path: &Path, code: crate::ffi::Code) -> Error {
    Error::sqlite("read", path, crate::ffi::code_error(code))
}

/// What a pin is made of.
pub(crate) struct PinParts {
    pub(crate) path: PathBuf,
    pub(crate) real: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) page_size: PageSize,
    pub(crate) wal: Option<WalState>,
    pub(crate) traces: Traces,
}

impl Pin {
    /// Takes the pin apart, its transaction still open. Not for a private copy, which would go.
    pub(crate) fn into_parts(self) -> PinParts {
        let Self { path, real, connection, page_size, wal, traces, .. } = self;
        PinParts { path, real, connection, page_size, wal, traces }
    }

    /// The pages of the pinned state.
    pub fn image(&self) -> Result<Image<'_>> {
        self.image_with(None)
    }

    /// The pages, and on the way to them what their WAL holds behind a position.
    pub(crate) fn image_and(&self, tail: &mut Tail) -> Result<Image<'_>> {
        self.image_with(Some(tail))
    }

    fn image_with(&self, tail: Option<&mut Tail>) -> Result<Image<'_>> {
        let (connection, wal) = (&self.connection, self.wal.as_ref());
        Image::of_transaction(&self.path, connection, self.page_size, self.page_count, wal, tail)
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Where the database stands, to be held against later. `None` for a private copy, and where
    /// another file took the database's name while it was being pinned.
    pub fn moment(&self) -> Option<&Moment> {
        self.moment.as_ref()
    }

    /// Pages in the pinned state.
    pub fn page_count(&self) -> u32 {
        self.page_count
    }

    /// How the database journals.
    pub fn journal_mode(&self) -> JournalMode {
        self.journal_mode
    }

    /// Whether the pin holds back the application's writers: then read fast and let go.
    pub fn blocks_writers(&self) -> bool {
        self.journal_mode == JournalMode::Rollback && self.copy.is_none()
    }

    /// Whether the database could not be read in place and a private copy is pinned: a killed
    /// writer's journal had to be rolled back, or the directory cannot be written to.
    pub fn is_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// The tables of the pinned state.
    pub fn schema(&self) -> Result<Schema> {
        Schema::read(&self.connection)
            .map_err(|source| Error::sqlite("read the schema of", &self.path, source))
    }
}
