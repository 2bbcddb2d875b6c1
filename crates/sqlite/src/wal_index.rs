//! The header of the WAL index (`-shm`), in the byte order of this machine
//! (<https://www.sqlite.org/walformat.html#the_wal_index_file_format>), and what it says about
//! where the pages of a read transaction are.
//!
//! A reader holds one of two kinds of lock. With a *read mark* the WAL is not reset and the
//! database file receives no frame beyond the mark, but it may receive some before it, in any
//! order. With *lock 0*, taken when the whole WAL was in the database file, that file receives
//! nothing, but the WAL may be reset and overwritten. SQLite does not tell which one it took.
//! What is decided here holds under both:
//!
//! - Fewer frames backfilled than the transaction sees: it must be a read mark. The overlay of the
//!   frames on the database file is right and stays so.
//! - All of them backfilled, and no later commit: the database file alone is right and stays so,
//!   because nothing that it lacks may be put into it under either lock.
//! - All of them backfilled, but a later commit exists: a backfill up to a read mark skips pages
//!   that have newer frames, so the file alone may be wrong; under lock 0 the WAL may be reset, so
//!   the overlay may be wrong. The transaction has to begin anew.

#![expect(clippy::host_endian_bytes, reason = "the WAL index is in native order")]

use rusqlite::Connection;

use crate::ffi::{self, Code, WAL_INDEX_HEADER};

/// One state of the WAL: which frames of which generation make up the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalIndexHeader {
    /// The last frame that belongs to the state, 0 where no frame does.
    pub(crate) last_frame: u32,
    /// Pages in the database.
    pub(crate) page_count: u32,
    /// Bytes in a page.
    pub(crate) page_size: u32,
    /// The running checksum at the last frame.
    pub(crate) checksum: [u32; 2],
    /// The salts as they stand in the WAL header.
    pub(crate) salts: [u8; 8],
}

impl WalIndexHeader {
    pub(crate) fn parse(bytes: &[u8; WAL_INDEX_HEADER]) -> Self {
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let page_size = match u16::from_ne_bytes([bytes[14], bytes[15]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[32..40]);
        Self {
            last_frame: word(16),
            page_count: word(20),
            page_size,
            checksum: [word(24), word(28)],
            salts,
        }
    }
}

/// Where the pages of a read transaction in WAL mode are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalState {
    /// The state that the transaction sees.
    pub(crate) header: WalIndexHeader,
    /// Whether frames of the WAL overlay the database file.
    pub(crate) in_wal: bool,
}

/// What the WAL index says about an open read transaction.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The WAL never had a frame, or there is none: the database file is the image.
    NoWal,
    /// The pages are where this says.
    Settled(WalState),
    /// A commit came in between: begin a new transaction.
    BeginAnew,
}

/// Decides where the pages of the open read transaction are.
pub(crate) fn decide(connection: &Connection) -> Result<Decision, Code> {
    let Some(snapshot) = ffi::snapshot(connection) else { return Ok(Decision::NoWal) };
    // The counter is read before the header: a reset writes new salts first and then zeroes it,
    // so a header that is still the transaction's vouches for the counter.
    let Some((backfilled, current)) = ffi::database_file(connection)?.wal_index()? else {
        return Err(rusqlite::ffi::SQLITE_BUSY);
    };
    if current != snapshot {
        return Ok(Decision::BeginAnew);
    }
    let header = WalIndexHeader::parse(&snapshot);
    Ok(Decision::Settled(WalState { header, in_wal: backfilled < header.last_frame }))
}
