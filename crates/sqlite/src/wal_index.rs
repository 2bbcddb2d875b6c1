//! The header of the WAL index (`-shm`), in the byte order of this machine
//! (<https://www.sqlite.org/walformat.html#the_wal_index_file_format>), and what it says about
//! where the pages of a read transaction are.
//!
//! A reader holds one of two kinds of lock. With a *read mark* the WAL is not reset and the
//! database file receives no frame beyond the mark, but it may receive some before it, in any
//! order. With *lock 0*, taken when the whole WAL was in the database file, that file receives
//! nothing, but the WAL may be reset and overwritten: the frames that a transaction saw may go.
//! SQLite does not tell which one it took, but a transaction that begins with
//! `sqlite3_snapshot_get` never takes lock 0 while the WAL has frames. So, for a transaction begun
//! that way:
//!
//! - No frames: the database file alone is the image and stays so.
//! - Frames: the database file overlaid with them is the image and stays so. A page that the
//!   overlay lacks is in the file, and nothing beyond the mark is written there.
//! - Frames, all of them backfilled, and no commit after them yet: the file alone is the image as
//!   well, because nothing that it lacks may be put into it. It spares reading the WAL. With a
//!   later commit this would be wrong: a backfill up to a mark skips pages that have newer frames.
//!
//! A transaction that *yields* begins without `sqlite3_snapshot_get` and may be under lock 0, so
//! that the WAL can be reset beneath it. Which lock it has follows from what it finds after:
//!
//! - Other salts: the WAL was reset just now, so it is lock 0, and the file alone is the image.
//! - The same salts and fewer frames backfilled than it sees: a read mark. (Lock 0 is taken when
//!   all of them were, and only a reset or a recovery of the index takes that back. A reset shows
//!   in the salts; after a recovery nothing is backfilled as long as lock 0 is held, so there is no
//!   reset either.)
//! - Else it is one or the other. Without a later commit the file alone is right under both. With
//!   one, the overlay is: no later frame is backfilled under lock 0, so the WAL is not reset.

#![expect(clippy::host_endian_bytes, reason = "the WAL index is in native order")]

use rusqlite::Connection;

use crate::ffi::{self, Code, WAL_INDEX_HEADER};
use crate::wal::WalPosition;

/// One state of the WAL: which frames of which generation make up the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WalIndexHeader {
    /// The last frame that belongs to the state, 0 where no frame does.
    pub(crate) last_frame: u32,
    /// Commits since this index was made; whoever makes it anew from the WAL begins at 0.
    pub(crate) commits: u32,
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
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let page_size = match u16::from_ne_bytes([bytes[14], bytes[15]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[32..40]);
        Self {
            last_frame: word(16),
            commits: word(8),
            page_count: word(20),
            page_size,
            checksum: [word(24), word(28)],
            salts,
        }
    }

    /// Where the state ends in the WAL.
    pub(crate) fn position(&self) -> WalPosition {
        WalPosition { salts: self.salts, frames: self.last_frame, checksum: self.checksum }
    }
}

/// Where the pages of a read transaction in WAL mode are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalState {
    /// The state that the transaction sees.
    pub(crate) header: WalIndexHeader,
    /// Frames of this generation that checkpoints have put into the database file; 0 where the
    /// index is not shared.
    pub(crate) backfilled: u32,
    /// Whether frames of the WAL overlay the database file.
    pub(crate) in_wal: bool,
    /// Whether the transaction may be under lock 0, so that the WAL may be reset beneath it.
    pub(crate) may_reset: bool,
}

impl WalState {
    /// Of a WAL that never had a frame.
    pub(crate) fn empty() -> Self {
        let header = WalIndexHeader::default();
        Self { header, backfilled: 0, in_wal: false, may_reset: true }
    }
}

/// Begins a read transaction and tells where its pages are; `None` where there is no WAL, or one
/// without a frame: then the database file is the image.
pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<Option<WalState>> {
    let mut opened = false;
    loop {
        connection.execute_batch("BEGIN")?;
        match ffi::begin_snapshot(connection).map_err(ffi::code_error)? {
            None => return Ok(None),
            Some(snapshot) if opened => {
                return settle(connection, &snapshot).map(Some).map_err(ffi::code_error);
            }
            // The WAL was opened on the way, so that this transaction may be under lock 0. From
            // now on the connection keeps it open.
            Some(_) => connection.execute_batch("ROLLBACK")?,
        }
        opened = true;
    }
}

/// Begins a read transaction that yields: the application's checkpoints may reset the WAL beneath
/// it, once all that it sees is in the database file. `None` as with [`begin`].
pub(crate) fn begin_yielding(connection: &Connection) -> rusqlite::Result<Option<WalState>> {
    connection.execute_batch("BEGIN")?;
    // Reads the header of the database and no schema.
    connection.query_row("PRAGMA application_id", [], |_| Ok(()))?;
    let snapshot = ffi::begin_snapshot(connection).map_err(ffi::code_error)?;
    let settled = snapshot.map(|snapshot| settle_yielding(connection, &snapshot));
    settled.transpose().map_err(ffi::code_error)
}

fn settle_yielding(
    connection: &Connection,
    snapshot: &[u8; WAL_INDEX_HEADER],
) -> Result<WalState, Code> {
    let (header, backfilled, current) = look(connection, snapshot)?;
    let Some(current) = current else { return settle(connection, snapshot) };
    let complete = backfilled >= header.last_frame;
    let reset = WalIndexHeader::parse(&current).salts != header.salts;
    Ok(WalState {
        header,
        backfilled: if reset { header.last_frame } else { backfilled },
        in_wal: header.last_frame > 0 && !(reset || (complete && current == *snapshot)),
        may_reset: reset || complete,
    })
}

/// Whether the index is shared with other processes. A connection that may not write beside the
/// database and found nobody else makes one of its own, and holds no lock that they would heed.
///
/// Only for a connection that has its WAL open.
pub(crate) fn is_shared(connection: &Connection) -> Result<bool, Code> {
    Ok(ffi::database_file(connection)?.wal_index()?.is_some())
}

fn settle(connection: &Connection, snapshot: &[u8; WAL_INDEX_HEADER]) -> Result<WalState, Code> {
    // The counter by itself is of this generation in any case, since a transaction with frames
    // holds a read mark and nobody resets the WAL under that.
    let (header, backfilled, current) = look(connection, snapshot)?;
    let quiet = current == Some(*snapshot);
    let in_wal = header.last_frame > 0 && (!quiet || backfilled < header.last_frame);
    Ok(WalState { header, backfilled, in_wal, may_reset: header.last_frame == 0 })
}

/// The state of a transaction, the frames that are backfilled, and the index as it is now; 0 and
/// `None` where it is not shared.
///
/// The counter is read before the header: a reset writes new salts first and then zeroes it, so
/// a header that is still the transaction's vouches for the counter.
fn look(
    connection: &Connection,
    snapshot: &[u8; WAL_INDEX_HEADER],
) -> Result<(WalIndexHeader, u32, Option<[u8; WAL_INDEX_HEADER]>), Code> {
    let now = ffi::database_file(connection)?.wal_index()?;
    let (backfilled, current) = now.map_or((0, None), |(count, header)| (count, Some(header)));
    Ok((WalIndexHeader::parse(snapshot), backfilled, current))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rusqlite::Connection;

    use super::{begin, begin_yielding, ffi, settle, settle_yielding};
    use crate::open::{BUSY, open_read_only};

    const SETUP: &str = "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);
        INSERT INTO t VALUES (zeroblob(20000));";

    /// A PRAGMA answers with rows, which `execute_batch` takes for an error.
    fn run(connection: &Connection, sql: &str) {
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while rows.next().unwrap().is_some() {}
    }

    fn database() -> (tempfile::TempDir, Connection, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        let writer = Connection::open(&path).unwrap();
        SETUP
            .split(';')
            .for_each(|sql| run(&writer, if sql.is_empty() { "SELECT 1" } else { sql }));
        (directory, writer, open_read_only(&path, BUSY).unwrap())
    }

    #[test]
    fn the_file_alone_is_read_only_where_nothing_was_committed_since() {
        let (_directory, writer, reader) = database();
        assert!(begin(&reader).unwrap().unwrap().in_wal);
        run(&reader, "ROLLBACK");
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        assert!(!begin(&reader).unwrap().unwrap().in_wal);
        run(&reader, "ROLLBACK");

        // The commit and the backfill come in the moment before the index is looked at: all frames
        // of the transaction count as backfilled, but the page that was changed again is not.
        run(&writer, "UPDATE t SET x = zeroblob(30000)");
        run(&reader, "BEGIN");
        let snapshot = ffi::begin_snapshot(&reader).unwrap().unwrap();
        run(&writer, "UPDATE t SET x = zeroblob(40000)");
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        let state = settle(&reader, &snapshot).unwrap();
        let (backfilled, _) = ffi::database_file(&reader).unwrap().wal_index().unwrap().unwrap();
        assert!(backfilled >= state.header.last_frame);
        assert!(state.in_wal);
    }

    /// A commit comes after the beginning, so that the index is not the one of the transaction.
    #[test]
    fn a_transaction_without_frames_reads_the_file_alone() {
        let (_directory, writer, reader) = database();
        run(&writer, "PRAGMA wal_checkpoint(TRUNCATE)");
        for settle in [settle, settle_yielding] {
            run(&writer, "PRAGMA wal_checkpoint(TRUNCATE)");
            run(&reader, "BEGIN");
            let snapshot = ffi::begin_snapshot(&reader).unwrap().unwrap();
            run(&writer, "UPDATE t SET x = zeroblob(30000)");
            let state = settle(&reader, &snapshot).unwrap();
            assert_eq!((state.header.last_frame, state.in_wal, state.may_reset), (0, false, true));
            run(&reader, "ROLLBACK");
        }
    }

    /// As seen while a writer resets the WAL: taken for a commit, it would let frames be read that
    /// are overwritten.
    #[test]
    fn a_header_that_is_half_written_is_not_read() {
        let (directory, writer, reader) = database();
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        run(&reader, "BEGIN");
        run(&reader, "PRAGMA application_id");
        let snapshot = ffi::begin_snapshot(&reader).unwrap().unwrap();
        // No frames any more, still under the old salts.
        let index = std::fs::File::options().write(true).open(directory.path().join("app.db-shm"));
        index.unwrap().write_all_at(&[0; 4], 16).unwrap();
        let state = settle_yielding(&reader, &snapshot);
        assert_eq!(state.map(|state| state.in_wal), Err(rusqlite::ffi::SQLITE_BUSY));
    }

    #[test]
    fn the_wal_is_not_reset_under_the_transaction() {
        let (_directory, writer, reader) = database();
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        let before = begin(&reader).unwrap().unwrap().header;
        run(&writer, "UPDATE t SET x = 1");
        run(&reader, "ROLLBACK");
        let after = begin(&reader).unwrap().unwrap().header;
        assert_eq!(after.salts, before.salts);
        assert!(after.last_frame > before.last_frame);
    }

    #[test]
    fn what_a_yielding_transaction_finds_tells_where_its_pages_are() {
        let (_directory, writer, reader) = database();
        let state = || begin_yielding(&reader).unwrap().unwrap();
        // A read mark: the WAL cannot be reset.
        let first = state();
        assert!(first.in_wal && !first.may_reset);
        run(&reader, "ROLLBACK");
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        // Lock 0, and nothing else happened.
        let complete = state();
        assert!(!complete.in_wal && complete.may_reset);
        run(&reader, "ROLLBACK");

        // What comes between the beginning and the look at the index.
        let look_after = |sql: &str| {
            run(&reader, "BEGIN");
            run(&reader, "PRAGMA application_id");
            let snapshot = ffi::begin_snapshot(&reader).unwrap().unwrap();
            run(&writer, sql);
            let state = settle_yielding(&reader, &snapshot).unwrap();
            run(&reader, "ROLLBACK");
            state
        };
        let mark = begin(&reader).unwrap().unwrap().header;
        run(&reader, "ROLLBACK");
        // Another reader's mark keeps the log, so that a commit is added to it.
        let other = open_read_only(writer.path().unwrap().as_ref(), BUSY).unwrap();
        begin(&other).unwrap();
        let added = look_after("UPDATE t SET x = zeroblob(30000)");
        assert!(added.in_wal && added.may_reset && added.header == mark);
        run(&other, "ROLLBACK");
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        let reset = look_after("UPDATE t SET x = zeroblob(40000)");
        assert!(!reset.in_wal && reset.may_reset);
        assert_eq!(reset.backfilled, reset.header.last_frame);
        run(&writer, "PRAGMA wal_checkpoint(PASSIVE)");
        assert!(!look_after("PRAGMA wal_checkpoint(TRUNCATE)").in_wal);
    }
}
