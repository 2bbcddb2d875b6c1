//! A read transaction that a tracker stands on.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use lifeboat_ltx::PageSize;
use rusqlite::Connection;

use crate::geometry::Geometry;
use crate::moment::{FileStamp, Moment};
use crate::wal_index::{self, WalState};
use crate::{Error, Image, Result, WalPosition};

/// An open read transaction on a WAL database, and where it stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) connection: Connection,
    pub(crate) wal: WalState,
    pub(crate) page_size: PageSize,
    pub(crate) moment: Moment,
}

impl Standing {
    /// Begins a transaction that gives way to resets of the WAL where it can. Errors call the file
    /// `real` `path`.
    pub(crate) fn begin(connection: Connection, path: &Path, real: &Path) -> Result<Self> {
        // Before the transaction, so that whatever happens to the file from here on shows later.
        let now = SystemTime::now();
        let file = FileStamp::of(real)?;
        let wal = wal_index::begin_yielding(&connection)
            .map_err(|source| Error::sqlite("read", path, source))?;
        let geometry = Geometry::of(&connection, wal.as_ref(), path)?;
        let moment = geometry.moment(wal.as_ref(), file, now);
        let wal = wal.unwrap_or_else(WalState::empty);
        Ok(Self { connection, wal, page_size: geometry.page_size, moment })
    }

    /// Where it ends in the WAL.
    pub(crate) fn position(&self) -> WalPosition {
        self.wal.header.position()
    }

    /// Its pages, `newest` being the newest frame of each page in the WAL.
    pub(crate) fn image(&self, path: &Path, newest: &Arc<Vec<(u32, u32)>>) -> Result<Image<'_>> {
        let size = (self.page_size, self.moment.page_count);
        let frames = self.wal.in_wal.then(|| Arc::clone(newest));
        Image::of_frames(path, &self.connection, size, self.position(), frames)
    }

    /// Ends the transaction; the connection, to begin another with. `None` where it cannot be used
    /// again.
    pub(crate) fn end(self) -> Option<Connection> {
        self.connection.execute_batch("ROLLBACK").is_ok().then_some(self.connection)
    }
}
