//! The pages of one pinned state: the database file overlaid with the frames of its WAL.

use std::path::{Path, PathBuf};

use lifeboat_ltx::PageSize;

use crate::buffer::Buffer;
use crate::ffi::{self, RawFile};
use crate::tail::Tail;
use crate::wal::{Chain, FRAME_HEADER, HEADER, WalHeader, WalPosition};
use crate::wal_index::{WalIndexHeader, WalState};
use crate::{Error, Result};

/// The WAL is read in pieces of about this size.
const PIECE: usize = 256 * 1024;

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
    frames: Vec<(u32, u32)>,
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
        let failed = |code| Error::sqlite("read", path, ffi::code_error(code));
        let database = ffi::database_file(connection).map_err(failed)?;
        let mut image = Self {
            path: path.to_owned(),
            page_size,
            page_count,
            database,
            overlay: None,
            position: None,
        };
        if let Some(wal) = wal.filter(|wal| wal.header.last_frame > 0) {
            let state = &wal.header;
            image.position = Some(state.position());
            if wal.in_wal || tail.is_some() {
                let file = ffi::wal_file(connection).map_err(failed)?;
                let frames = image.index_wal(&file, state, tail)?;
                image.overlay = Some(Overlay { wal: file, frames });
            }
        }
        // Later the file may have grown by a checkpoint, which adds no page that the WAL lacks.
        image.require_pages(1, page_count)?;
        Ok(image)
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

    fn frame_offset(&self, frame: u32) -> u64 {
        HEADER as u64 + u64::from(frame - 1) * (FRAME_HEADER as u64 + self.page_size_u64())
    }

    fn page_size_u64(&self) -> u64 {
        u64::from(self.page_size.get())
    }

    fn read_frame(&self, frame: u32, page: &mut [u8]) -> Result<()> {
        let Some(overlay) = &self.overlay else { return Ok(()) };
        let offset = self.frame_offset(frame) + FRAME_HEADER as u64;
        match overlay.wal.read_at(page, offset) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.corrupt(format!("frame {frame} is missing from its WAL"))),
            Err(code) => Err(self.failed("read the WAL of", code)),
        }
    }

    /// Walks the frames of a state and checks that their checksums lead to it.
    fn index_wal(
        &self,
        wal: &RawFile<'_>,
        state: &WalIndexHeader,
        mut tail: Option<&mut Tail>,
    ) -> Result<Vec<(u32, u32)>> {
        let failed = |code| self.failed("read the WAL of", code);
        // The index is not believed before there is room for what it says.
        let end = self.frame_offset(state.last_frame) + FRAME_HEADER as u64 + self.page_size_u64();
        if wal.size().map_err(failed)? < end {
            return Err(self.corrupt("its WAL is shorter than the index of it".into()));
        }
        let mut header = [0; HEADER];
        wal.read_at(&mut header, 0).map_err(failed)?;
        let header = WalHeader::parse(&header)
            .filter(|header| header.salts == state.salts && header.page_size == state.page_size)
            .ok_or_else(|| self.corrupt("the header of its WAL is not the one in use".into()))?;
        let frame_size = FRAME_HEADER + self.page_size.bytes();
        let per_piece = (PIECE / frame_size).max(1);
        let mut piece = Buffer::new(per_piece * frame_size);
        let mut chain = Chain::new(&header);
        let mut frames = Vec::with_capacity(state.last_frame as usize);
        let (mut next, mut commit) = (1, 0);
        while next <= state.last_frame {
            let count = per_piece.min((state.last_frame - next) as usize + 1);
            let piece = &mut piece[..count * frame_size];
            wal.read_at(piece, self.frame_offset(next)).map_err(failed)?;
            for frame in piece.chunks_exact(frame_size) {
                let header = chain.next(frame).ok_or_else(|| {
                    self.corrupt(format!("the checksum of frame {next} of its WAL is wrong"))
                })?;
                if let Some(tail) = &mut tail {
                    tail.take(next, &header, chain.checksum());
                }
                frames.push((header.pgno, next));
                commit = header.commit;
                next += 1;
            }
        }
        if chain.checksum() != state.checksum || commit != state.page_count {
            return Err(self.corrupt("its WAL and the index of it differ".into()));
        }
        Ok(newest(frames, self.page_count))
    }
}

/// Keeps the last frame of each page, and of pages in the database only (a shrinking transaction
/// leaves frames of pages that are gone).
fn newest(mut frames: Vec<(u32, u32)>, page_count: u32) -> Vec<(u32, u32)> {
    frames.sort_unstable();
    let mut kept = 0;
    for at in 0..frames.len() {
        let last_of_page = frames.get(at + 1).is_none_or(|next| next.0 != frames[at].0);
        if last_of_page && frames[at].0 <= page_count {
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
        assert_eq!(newest(frames, 8), [(1, 6), (2, 5), (3, 3)]);
        assert_eq!(newest(vec![], 8), []);
    }
}
