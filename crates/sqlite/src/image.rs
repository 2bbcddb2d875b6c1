//! The pages of one pinned state: the database file overlaid with the frames of its WAL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_ltx::PageSize;

use crate::ffi::{self, RawFile};
use crate::frames::{FrameError, frame_mark, frame_offset, walk};
use crate::tail::Tail;
use crate::wal::{FRAME_HEADER, FrameMark, WalPosition};
use crate::wal_index::{WalIndexHeader, WalState};
use crate::{Error, Result};

/// The pages of a pinned state. Reading is possible from several threads at once.
#[derive(Debug)]
pub struct Image<'pin> {
    path: PathBuf,
    page_size: PageSize,
    page_count: u32,
    database: RawFile<'pin>,
    overlay: Option<Overlay<'pin>>,
    position: Option<WalPosition>,
}

/// The newest frame of each page in the WAL.
#[derive(Debug)]
struct Overlay<'pin> {
    wal: RawFile<'pin>,
    /// Ascending page numbers, each with its frame.
    frames: Arc<Vec<(u32, u32)>>,
}

impl<'pin> Image<'pin> {
    /// The image that the open read transaction of `connection` sees, whose WAL stands as `wal`.
    ///
    /// `tail` is told each frame on the way; with one, the frames are read even where the database
    /// file holds all of them.
    pub(crate) fn of_transaction(
        path: &Path,
        connection: &'pin rusqlite::Connection,
        page_size: PageSize,
        page_count: u32,
        wal: Option<&WalState>,
        tail: Option<&mut Tail>,
    ) -> Result<Self> {
        let mut image = Self::of_file(path, connection, page_size, page_count)?;
        if let Some(wal) = wal.filter(|wal| wal.header.last_frame > 0) {
            let state = &wal.header;
            image.position = Some(state.position());
            if wal.in_wal || tail.is_some() {
                let file = image.wal_of(connection)?;
                let frames = image.index_wal(&file, state, tail)?;
                image.overlay = Some(Overlay { wal: file, frames: Arc::new(frames) });
            }
        }
        // Later the file may have grown by a checkpoint, which adds no page that the WAL lacks.
        image.require_pages(1, page_count)?;
        Ok(image)
    }

    /// The image that the open read transaction of `connection` sees, the newest frame of each page
    /// in its WAL being known: `frames`, ascending, or `None` where the database file has them all.
    pub(crate) fn of_frames(
        path: &Path,
        connection: &'pin rusqlite::Connection,
        (page_size, page_count): (PageSize, u32),
        position: WalPosition,
        frames: Option<Arc<Vec<(u32, u32)>>>,
    ) -> Result<Self> {
        let mut image = Self::of_file(path, connection, page_size, page_count)?;
        image.position = (position.frames > 0).then_some(position);
        if let Some(frames) = frames {
            image.overlay = Some(Overlay { wal: image.wal_of(connection)?, frames });
        }
        image.require_pages(1, page_count)?;
        Ok(image)
    }

    /// The database file alone.
    fn of_file(
        path: &Path,
        connection: &'pin rusqlite::Connection,
        page_size: PageSize,
        page_count: u32,
    ) -> Result<Self> {
        let failed = |code| Error::sqlite("read", path, ffi::code_error(code));
        Ok(Self {
            path: path.to_owned(),
            page_size,
            page_count,
            database: ffi::database_file(connection).map_err(failed)?,
            overlay: None,
            position: None,
        })
    }

    fn wal_of(&self, connection: &'pin rusqlite::Connection) -> Result<RawFile<'pin>> {
        ffi::wal_file(connection).map_err(|code| self.failed("read the WAL of", code))
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Pages in the database.
    pub fn page_count(&self) -> u32 {
        self.page_count
    }

    /// Bytes in the image.
    pub fn size(&self) -> u64 {
        u64::from(self.page_count) * self.page_size_u64()
    }

    /// Where in the WAL the image ends; `None` in rollback mode and before the first frame.
    pub fn position(&self) -> Option<WalPosition> {
        self.position
    }

    /// Reads consecutive pages from `first` on into `buffer`, whose length is a multiple of the
    /// page size. The lock page reads as zeros, as SQLite leaves it.
    ///
    /// `Corrupt` where a page is not in the image. Fastest into a buffer at an address that is a
    /// multiple of 32.
    pub fn read(&self, first: u32, buffer: &mut [u8]) -> Result<()> {
        let size = self.page_size.bytes();
        let pages = u32::try_from(buffer.len() / size).unwrap_or(u32::MAX);
        let end = u64::from(first) + u64::from(pages);
        if first == 0 || end > u64::from(self.page_count) + 1 || !buffer.len().is_multiple_of(size)
        {
            return Err(self.corrupt(format!(
                "{} bytes from page {first} on are not pages of an image of {}",
                buffer.len(),
                self.page_count
            )));
        }
        let offset = u64::from(first - 1) * size as u64;
        let complete = self.database.read_at(buffer, offset);
        if !complete.map_err(|code| self.failed("read", code))? {
            self.require_pages(first, pages)?;
        }
        for (pgno, frame) in self.frames_between(first, end) {
            let at = (pgno - first) as usize * size;
            self.read_frame(*frame, &mut buffer[at..at + size])?;
        }
        let lock = self.page_size.lock_page();
        if lock >= first && u64::from(lock) < end {
            let at = (lock - first) as usize * size;
            buffer[at..at + size].fill(0);
        }
        Ok(())
    }

    /// Reads one page.
    pub fn page(&self, pgno: u32) -> Result<Vec<u8>> {
        let mut page = vec![0; self.page_size.bytes()];
        self.read(pgno, &mut page)?;
        Ok(page)
    }

    /// What stands at a frame of the WAL, which the image need not have; `None` beyond its end and
    /// where the image has no overlay.
    pub(crate) fn frame_mark(&self, frame: u32) -> Result<Option<FrameMark>> {
        let Some(overlay) = &self.overlay else { return Ok(None) };
        frame_mark(&overlay.wal, frame, self.page_size)
            .map_err(|code| self.failed("read the WAL of", code))
    }

    /// How many whole pages fit into `bytes`, at least one.
    pub(crate) fn pages_in(&self, bytes: usize) -> u32 {
        u32::try_from(bytes / self.page_size.bytes()).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn corrupt(&self, detail: String) -> Error {
        Error::Corrupt { path: self.path.clone(), detail }
    }

    fn failed(&self, operation: &'static str, code: ffi::Code) -> Error {
        Error::sqlite(operation, &self.path, ffi::code_error(code))
    }

    /// The frames of the pages from `first` to before `end`.
    fn frames_between(&self, first: u32, end: u64) -> &[(u32, u32)] {
        let Some(overlay) = &self.overlay else { return &[] };
        let from = overlay.frames.partition_point(|(pgno, _)| *pgno < first);
        let to = overlay.frames.partition_point(|(pgno, _)| u64::from(*pgno) < end);
        &overlay.frames[from..to]
    }

    /// Pages past the end of the database file must stand in the WAL; else the file was cut.
    fn require_pages(&self, first: u32, pages: u32) -> Result<()> {
        let size = self.database.size().map_err(|code| self.failed("read", code))?;
        let whole = size / self.page_size_u64();
        let end = u64::from(first) + u64::from(pages);
        let from = u64::from(first).max(whole + 1);
        if from >= end {
            return Ok(());
        }
        let lock = u64::from(self.page_size.lock_page());
        let after = |pgno: u64| if pgno + 1 == lock { pgno + 2 } else { pgno + 1 };
        let mut expected = if from == lock { from + 1 } else { from };
        // Below `end`, which is at most one above a u32.
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        for (pgno, _) in self.frames_between(from, end) {
            if u64::from(*pgno) == expected {
                expected = after(expected);
            }
        }
        if expected < end {
            return Err(self.corrupt(format!(
                "page {expected} of {} lies beyond the end of the file ({size} bytes)",
                self.page_count
            )));
        }
        Ok(())
    }

    fn page_size_u64(&self) -> u64 {
        u64::from(self.page_size.get())
    }

    fn read_frame(&self, frame: u32, page: &mut [u8]) -> Result<()> {
        let Some(overlay) = &self.overlay else { return Ok(()) };
        let offset = frame_offset(frame, self.page_size) + FRAME_HEADER as u64;
        match overlay.wal.read_at(page, offset) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.corrupt(format!("frame {frame} is missing from its WAL"))),
            Err(code) => Err(self.failed("read the WAL of", code)),
        }
    }

    /// The newest frame of each page of a state, whose checksums must lead to it.
    fn index_wal(
        &self,
        wal: &RawFile<'_>,
        state: &WalIndexHeader,
        mut tail: Option<&mut Tail>,
    ) -> Result<Vec<(u32, u32)>> {
        let mut frames = Vec::new();
        let walked = walk(wal, state, self.page_size, (0, [0; 2]), |frame, header, checksum| {
            if let Some(tail) = &mut tail {
                tail.take(frame, header, checksum);
            }
            frames.push((header.pgno, frame));
        });
        walked.map_err(|error| match error {
            FrameError::Read(code) => self.failed("read the WAL of", code),
            FrameError::Unfit(detail) => self.corrupt(detail),
        })?;
        Ok(newest(frames))
    }
}

/// Keeps the last frame of each page. Some may be of pages that a later transaction cut off.
pub(crate) fn newest(mut frames: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    // Stable, because it is quick where the most part is in order.
    frames.sort();
    let mut kept = 0;
    for at in 0..frames.len() {
        if frames.get(at + 1).is_none_or(|next| next.0 != frames[at].0) {
            frames[kept] = frames[at];
            kept += 1;
        }
    }
    frames.truncate(kept);
    frames
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_last_frame_of_each_page_wins() {
        let frames = vec![(3, 1), (1, 2), (3, 3), (9, 4), (2, 5), (1, 6)];
        assert_eq!(newest(frames), [(1, 6), (2, 5), (3, 3), (9, 4)]);
        assert_eq!(newest(vec![]), []);
    }
}
