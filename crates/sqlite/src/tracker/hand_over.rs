//! Getting a WAL reset that grew beyond its limit.
//!
//! A writer resets the WAL when it begins to write while every frame is in the database file and no
//! reader uses the WAL. With a tracker that moves on, an application's own checkpoints get there by
//! themselves, unless commits come so close together that the tracker never sees the moment. Then:
//!
//! 1. Gently: move on, backfill what there is with a PASSIVE checkpoint, move on again. If no
//!    commit came in between, the tracker yields now, and that is all.
//! 2. Else hold the write lock meanwhile. Only the frames since the first checkpoint are left to
//!    capture and to backfill, and the database file has been synced, so it takes milliseconds.
//!
//! The write transaction is rolled back without a page written. It leaves no trace: the reset is the
//! next writer's. RESTART and TRUNCATE checkpoints wait for readers while they keep writers out,
//! so none is used. Readers of the application that stay at older frames prevent the reset all
//! the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Advance, Step, Tracker};
use crate::ffi::{self, code_error};
use crate::open::open_read_write;
use crate::{Doubt, Error, Result};

/// Between two tries to get a lock. SQLite's own waiting is unfair: under steady writers it often
/// gets none in half a second, where trying this often takes a fifth at most.
const RETRY: Duration = Duration::from_micros(20);

/// How long a hand-over waits for others.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For writers to give way; they work on meanwhile.
    pub write_lock: Duration,
    /// For another checkpoint to end, while writers wait.
    pub checkpoint: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (write_lock, checkpoint) = (Duration::from_secs(1), Duration::from_millis(20));
        Self { write_lock, checkpoint }
    }
}

/// How a hand-over ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// The next writer can reset the WAL, unless readers of the application are at older frames.
    Done,
    /// Writers left no room for the write lock.
    Busy,
    /// A reader or a checkpoint of the application kept frames from the database file.
    Blocked,
    /// The database may not be written to.
    ReadOnly,
    /// As [`Advance::Lost`].
    Lost(Doubt),
}

impl Tracker {
    /// Has the WAL put into the database file, so that the application can reset it. Only for a WAL
    /// that is larger than it may be ([`wal_bytes`](Self::wal_bytes)): every further checkpoint is
    /// a risk where the application's SQLite is an old one
    /// ([`SqliteVersion::may_lose_wal_pages`](crate::SqliteVersion::may_lose_wal_pages)).
    ///
    /// `capture` is called for each step on the way, up to three times; at last with writers kept
    /// out, for the few pages that came meanwhile, so it should do no more than write them to a
    /// local disk. It says [`Step::keep`]; if it fails, everything is let go.
    pub fn hand_over<E: From<Error>>(
        &mut self,
        patience: &Patience,
        mut capture: impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<HandOver, E> {
        if let Some(doubt) = self.capture_next(&mut capture)? {
            return Ok(HandOver::Lost(doubt));
        }
        let checkpointer = Writer::open(&self.real, &self.path)?;
        if checkpointer.is_read_only()? {
            return Ok(HandOver::ReadOnly);
        }
        checkpointer.backfill(Duration::ZERO)?;
        checkpointer.sync()?;
        if let Some(doubt) = self.capture_next(&mut capture)? {
            return Ok(HandOver::Lost(doubt));
        }
        if self.yields() {
            return Ok(HandOver::Done);
        }
        let writer = Writer::open(&self.real, &self.path)?;
        if !writer.lock(patience.write_lock)? {
            return Ok(HandOver::Busy);
        }
        if let Some(doubt) = self.capture_next(&mut capture)? {
            return Ok(HandOver::Lost(doubt));
        }
        checkpointer.backfill(patience.checkpoint)?;
        // No commit can have come: this one only changes the lock.
        let lost = self.capture_next(&mut capture)?;
        writer.unlock()?;
        Ok(match lost {
            Some(doubt) => HandOver::Lost(doubt),
            None if self.yields() => HandOver::Done,
            None => HandOver::Blocked,
        })
    }

    fn capture_next<E: From<Error>>(
        &mut self,
        capture: &mut impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<Option<Doubt>, E> {
        match self.advance()? {
            Advance::Nothing => Ok(None),
            Advance::Step(step) => capture(step).map(|()| None),
            Advance::Lost(doubt) => Ok(Some(doubt)),
        }
    }

    fn yields(&self) -> bool {
        self.held.as_ref().is_ok_and(|held| held.wal.may_reset)
    }
}

/// A connection that may write, and writes nothing but frames of the WAL into the database file.
struct Writer {
    path: PathBuf,
    connection: Connection,
}

impl Writer {
    fn open(real: &Path, path: &Path) -> Result<Self> {
        let connection = open_read_write(real)?;
        let writer = Self { path: path.to_owned(), connection };
        // A connection that has read nothing does not know that there is a WAL.
        let read = writer.connection.query_row("PRAGMA application_id", [], |_| Ok(()));
        read.map_err(|source| writer.error("read", source))?;
        Ok(writer)
    }

    fn is_read_only(&self) -> Result<bool> {
        self.connection.is_readonly("main").map_err(|source| self.error("open", source))
    }

    /// Takes the write lock; whether it was to be had.
    fn lock(&self, patience: Duration) -> Result<bool> {
        let end = Instant::now() + patience;
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(true),
                Err(error) if !is_busy(&error) => return Err(self.error("lock", error)),
                Err(_) if Instant::now() >= end => return Ok(false),
                Err(_) => std::thread::sleep(RETRY),
            }
        }
    }

    fn unlock(&self) -> Result<()> {
        self.connection.execute_batch("ROLLBACK").map_err(|source| self.error("unlock", source))
    }

    /// Backfills as far as readers allow, unless another checkpoint is at work all the time.
    fn backfill(&self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            match ffi::checkpoint_passive(&self.connection).map_err(code_error) {
                Ok(()) => return Ok(()),
                Err(error) if !is_busy(&error) => return Err(self.error("checkpoint", error)),
                Err(_) if Instant::now() >= end => return Ok(()),
                Err(_) => std::thread::sleep(RETRY),
            }
        }
    }

    /// Makes durable what was backfilled, so that the next checkpoint need not wait for it.
    fn sync(&self) -> Result<()> {
        let synced = ffi::database_file(&self.connection).and_then(|file| file.sync());
        synced.map_err(|code| self.error("sync", code_error(code)))
    }

    fn error(&self, operation: &'static str, source: rusqlite::Error) -> Error {
        Error::sqlite(operation, &self.path, source)
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}
