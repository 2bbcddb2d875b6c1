//! Size and journal mode of a database as a read transaction sees them.

use std::path::Path;
use std::time::SystemTime;

use lifeboat_ltx::PageSize;
use rusqlite::Connection;

use crate::ffi::{code_error, database_file};
use crate::header::DatabaseHeader;
use crate::moment::{FileStamp, Moment, WalMoment};
use crate::wal_index::WalState;
use crate::{Error, JournalMode, Result};

/// What a database is in an open read transaction.
pub(crate) struct Geometry {
    pub(crate) page_size: PageSize,
    pub(crate) page_count: u32,
    pub(crate) journal_mode: JournalMode,
    pub(crate) change_counter: u32,
}

impl Geometry {
    /// Read from the header of the file, not by a PRAGMA: those read the schema, and where the
    /// file is shorter than its header says, they tell what is left of it.
    pub(crate) fn of(connection: &Connection, wal: Option<&WalState>, path: &Path) -> Result<Self> {
        let failed = |code| Error::sqlite("read", path, code_error(code));
        let file = database_file(connection).map_err(failed)?;
        let size = file.size().map_err(failed)?;
        if size == 0 {
            return Ok(Self {
                page_size: PageSize::DEFAULT,
                page_count: 0,
                journal_mode: JournalMode::Rollback,
                change_counter: 0,
            });
        }
        let mut bytes = [0; 100];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let not_a_database = || Error::NotADatabase { path: path.to_owned() };
        let header = DatabaseHeader::parse(&bytes).ok_or_else(not_a_database)?;
        let file_pages = size.div_ceil(u64::from(header.page_size));
        let (page_size, page_count) = match wal.map(|wal| &wal.header) {
            Some(state) if state.last_frame > 0 => (state.page_size, state.page_count),
            _ if header.page_count > 0 => (header.page_size, header.page_count),
            _ => (header.page_size, u32::try_from(file_pages).unwrap_or(u32::MAX)),
        };
        let page_size = PageSize::new(page_size).ok_or_else(not_a_database)?;
        let journal_mode = if header.wal { JournalMode::Wal } else { JournalMode::Rollback };
        Ok(Self { page_size, page_count, journal_mode, change_counter: header.change_counter })
    }

    /// Where the database stands: `wal` is its WAL, `file` what it was at `now`, before the
    /// transaction began.
    pub(crate) fn moment(
        &self,
        wal: Option<&WalState>,
        file: FileStamp,
        now: SystemTime,
    ) -> Moment {
        Moment {
            journal_mode: self.journal_mode,
            page_count: self.page_count,
            change_counter: self.change_counter,
            wal: wal.and_then(WalMoment::of),
            settled: file.is_settled(now),
            file,
        }
    }
}
