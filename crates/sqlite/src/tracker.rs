//! Follows a WAL database from capture to capture with two connections.
//!
//! One of them holds the state that was captured last, while the other begins a transaction on
//! the present one; then they change parts. Since some pin is held all the time, the frames in
//! between are all there ([`course`](crate::course) has the argument), and only they are read.
//!
//! Unlike a [`Pin`], the transactions yield where they can: once all frames are in the database
//! file, the application may reset its WAL beneath them. A pin that moved on just now holds back
//! no checkpoint but of the frames that came after it.

mod hand_over;
mod step;

pub use hand_over::{HandOver, Patience};
pub use step::Step;

use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_ltx::PageSize;
use rusqlite::Connection;

use crate::companions::Companions;
use crate::course::{Course, Held, course};
use crate::ffi::{self, code_error};
use crate::frames::{FrameError, frame_offset, holds, walk};
use crate::image::newest;
use crate::open::{BUSY, open_read_only};
use crate::standing::Standing;
use crate::tail::Tail;
use crate::traces::Traces;
use crate::wal_index::{WalState, is_shared};
use crate::{Bitmap, Doubt, Error, JournalMode, Moment, Pin, Result};

/// Ascending page numbers, each with its newest frame in the WAL that the database file may lack.
type Newest = Arc<Vec<(u32, u32)>>;

/// What was read from the WAL: the newest frames, and the pages that may differ.
type Frames = (Newest, Bitmap);

/// Follows a WAL database. It holds a read transaction on the state that was captured last.
// The order of the fields is the order of dropping: the connections go before what they leave.
#[derive(Debug)]
pub struct Tracker {
    /// Why nothing is held any more, once the track is lost.
    held: Result<Standing, Doubt>,
    newest: Newest,
    /// The connection to begin the next transaction with.
    spare: Option<Connection>,
    /// Whether the held connection may become the spare: not the one of the pin, which may have
    /// read the schema and a cache full of pages.
    slim: bool,
    moment: Moment,
    page_size: PageSize,
    path: PathBuf,
    real: PathBuf,
    companions: Companions,
    _traces: Traces,
}

/// A state that is not captured yet.
#[derive(Debug)]
struct Next {
    standing: Standing,
    newest: Newest,
    pages: Bitmap,
}

/// What came after the state that was captured last.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "looked at once, and never kept")]
pub enum Advance<'tracker> {
    /// Nothing. The tracker has moved on all the same, so that checkpoints can end and the
    /// application can reset its WAL.
    Nothing,
    /// Commits.
    Step(Step<'tracker>),
    /// It cannot be told: others have replaced files, or locks were not heeded. The tracker holds
    /// nothing any more. Once it is dropped, a new pin is held against its
    /// [`moment`](Tracker::moment), and a new tracker goes on from there.
    Lost(Doubt),
}

/// What a transaction turned out to be.
enum Found {
    Same(Standing),
    Changed(Next),
    Lost(Doubt),
}

impl Tracker {
    /// Goes on from the state that `pin` stands on, which has been captured. It keeps the pin's
    /// connection, and with it the application's WAL, until the first advance.
    ///
    /// `None` where there is nothing to follow: the database has a rollback journal, a private copy
    /// is pinned, its files were replaced meanwhile, or the index of the WAL is not shared because
    /// its user may not write beside the database. Also while nobody else has it open, where this
    /// user is neither its owner nor root: the files that a reader makes beside it would keep its
    /// application from writing.
    pub fn start(pin: Pin) -> Result<Option<Self>> {
        let Some(moment) = pin.moment().copied() else { return Ok(None) };
        if pin.journal_mode() != JournalMode::Wal {
            return Ok(None);
        }
        let pin = pin.into_parts();
        if pin.traces.belong_to_others() {
            return Ok(None);
        }
        let failed = |code| Error::sqlite("read", &pin.path, code_error(code));
        let companions = Companions::of(&pin.path, &pin.real)?;
        if !companions.are_those_of(&moment.file) || !is_shared(&pin.connection).map_err(failed)? {
            return Ok(None);
        }
        let wal = pin.wal.unwrap_or_else(WalState::empty);
        let (connection, page_size) = (pin.connection, pin.page_size);
        let mut tracker = Self {
            held: Ok(Standing { connection, wal, page_size, moment }),
            newest: Newest::default(),
            spare: None,
            slim: false,
            moment,
            page_size,
            path: pin.path,
            real: pin.real,
            companions,
            _traces: pin.traces,
        };
        if let (true, Ok(held)) = (wal.in_wal, &tracker.held) {
            match tracker.read_frames(held, held, 0)? {
                Ok((newest, _)) => tracker.newest = newest,
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(tracker))
    }

    /// Looks at the present state. What came in between is read from the WAL; the caller captures
    /// it and says [`Step::keep`]. A step that is dropped instead becomes part of the next one.
    ///
    /// An error leaves the tracker where it was.
    pub fn advance(&mut self) -> Result<Advance<'_>> {
        match self.look()? {
            Found::Same(standing) => {
                // The frames are those of before, as far as they are still needed.
                let newest =
                    if standing.wal.in_wal { Arc::clone(&self.newest) } else { Newest::default() };
                self.hold(standing, newest);
                Ok(Advance::Nothing)
            }
            Found::Changed(next) => Ok(Advance::Step(Step { tracker: self, next })),
            Found::Lost(doubt) => {
                self.held = Err(doubt);
                self.spare = None;
                Ok(Advance::Lost(doubt))
            }
        }
    }

    /// Where the state stands that was captured last.
    pub fn moment(&self) -> &Moment {
        &self.moment
    }

    /// Frames of the WAL that are in use, as far as it was followed.
    pub fn wal_frames(&self) -> u32 {
        self.moment.wal.map_or(0, |wal| wal.position.frames)
    }

    /// Bytes of the WAL that are in use, as far as it was followed. The file may be longer.
    pub fn wal_bytes(&self) -> u64 {
        match self.wal_frames() {
            0 => 0,
            frames => frame_offset(frames.saturating_add(1), self.page_size),
        }
    }

    /// Lets go of the database: no lock, no open file, until a new pin is held against the moment.
    pub fn release(self) -> Moment {
        self.moment
    }

    /// Begins a transaction on the present state.
    fn look(&mut self) -> Result<Found> {
        let held = match &self.held {
            Ok(held) => held,
            Err(doubt) => return Ok(Found::Lost(*doubt)),
        };
        if let Some(doubt) = self.companions.doubt()? {
            return Ok(Found::Lost(doubt));
        }
        let connection = match self.spare.take() {
            Some(connection) => connection,
            None => open_read_only(&self.real, BUSY)?,
        };
        let next = match Standing::begin(connection, &self.path, &self.real) {
            Err(error) if is_short_read(&error) => return Ok(Found::Lost(Doubt::Rewritten)),
            begun => begun?,
        };
        // The connection may have been opened just now, on files that had taken the names.
        if let Some(doubt) = self.companions.doubt()? {
            return Ok(Found::Lost(doubt));
        }
        self.find(held, next)
    }

    fn find(&self, held: &Standing, next: Standing) -> Result<Found> {
        if next.moment.journal_mode != JournalMode::Wal {
            return Ok(Found::Lost(Doubt::JournalMode));
        }
        if next.page_size != self.page_size {
            return Ok(Found::Lost(Doubt::PageSize));
        }
        if !is_shared(&next.connection).map_err(|code| self.failed(code))? {
            return Ok(Found::Lost(Doubt::NoFrames));
        }
        let held_state = Held {
            position: held.position(),
            page_count: held.moment.page_count,
            may_reset: held.wal.may_reset,
        };
        match course(&held_state, &next.wal.header, next.moment.page_count) {
            Course::Lost(doubt) => Ok(Found::Lost(doubt)),
            Course::Same if self.was_overwritten(&next)? => Ok(Found::Lost(Doubt::Rewritten)),
            Course::Same => Ok(Found::Same(next)),
            Course::Frames { after } => Ok(match self.read_frames(held, &next, after)? {
                Ok((newest, pages)) => Found::Changed(Next { standing: next, newest, pages }),
                Err(doubt) => Found::Lost(doubt),
            }),
        }
    }

    /// Whether another WAL was copied over the one in use, which the index of it does not tell.
    /// Where the WAL may be reset just now, any content is right.
    fn was_overwritten(&self, next: &Standing) -> Result<bool> {
        if next.wal.may_reset {
            return Ok(false);
        }
        let wal = ffi::wal_file(&next.connection).map_err(|code| self.failed(code))?;
        let held = holds(&wal, &next.position(), self.page_size);
        Ok(!held.map_err(|code| self.failed(code))?)
    }

    /// Reads the frames of `next` behind frame `after` of its generation. The pages are those that may
    /// differ from the ones of `held`.
    fn read_frames(
        &self,
        held: &Standing,
        next: &Standing,
        after: u32,
    ) -> Result<Result<Frames, Doubt>> {
        let wal = ffi::wal_file(&next.connection).map_err(|code| self.failed(code))?;
        let mut tail = Tail::new(after, next.moment.page_count);
        // Those of before belong to this generation, if any of its frames were read.
        let keep = after > 0 && next.wal.in_wal;
        let mut frames = if keep { self.newest.to_vec() } else { Vec::new() };
        let from = (after, held.position().checksum);
        let state = &next.wal.header;
        let walked = walk(&wal, state, self.page_size, from, |frame, header, checksum| {
            tail.take(frame, header, checksum);
            frames.push((header.pgno, frame));
        });
        match walked {
            Ok(()) => {}
            Err(FrameError::Read(code)) => return Err(self.failed(code)),
            Err(FrameError::Unfit(_)) => return Ok(Err(Doubt::Rewritten)),
        }
        let newest = if next.wal.in_wal { Arc::new(newest(frames)) } else { Newest::default() };
        Ok(Ok((newest, tail.candidates(held.moment.page_count, next.moment.page_count))))
    }

    /// Makes a transaction the one that is held, and ends the former one.
    fn hold(&mut self, standing: Standing, newest: Newest) {
        self.moment = standing.moment;
        self.newest = newest;
        let former = std::mem::replace(&mut self.held, Ok(standing));
        let slim = std::mem::replace(&mut self.slim, true);
        self.spare = former.ok().filter(|_| slim).and_then(Standing::end);
    }

    fn failed(&self, code: ffi::Code) -> Error {
        Error::sqlite("read the WAL of", &self.path, code_error(code))
    }
}

/// Whether SQLite missed a page that its index says is in the WAL: somebody cut it.
fn is_short_read(error: &Error) -> bool {
    let Error::Sqlite { source: rusqlite::Error::SqliteFailure(source, _), .. } = error else {
        return false;
    };
    source.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ
}
