//! Puts a database together beside its target: a base, then the deltas that follow it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_ltx::{Checksum, Decoder, PageSize, Txid, page_checksum};

use crate::buffer::Buffer;
use crate::replay::Replay;
use crate::{Error, Result};

/// Consecutive pages are written in pieces of about this size.
const PIECE: usize = 1 << 20;
/// The type of tmpfs, as the kernel's `magic.h` has it.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// What applying one file did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Pages written.
    pub pages: u32,
    /// The last transaction in the staged image now.
    pub txid: Txid,
}

/// A database being put together in a file of its own, removed again unless it is kept.
#[derive(Debug)]
pub struct Stage {
    path: PathBuf,
    file: File,
    replay: Replay,
    keep: bool,
}

impl Stage {
    /// Creates the file, which must not be there, readable by its owner alone.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("create", path))?;
        Ok(Self { path: path.to_owned(), file, replay: Replay::default(), keep: false })
    }

    /// Takes the room for `bytes` now, so that a full disk shows before the work. File systems
    /// that cannot do so are left to fail later. So is tmpfs: it would take every single page, a
    /// tenth of a second and more for each GiB, while nothing else can begin.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        if bytes == 0 || self.is_in_memory() {
            return Ok(());
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::FBIG)) => {
                Err(Error::file("make room for", &self.path)(error.into()))
            }
            _ => Ok(()),
        }
    }

    fn is_in_memory(&self) -> bool {
        rustix::fs::fstatfs(&self.file).is_ok_and(|system| system.f_type == TMPFS_MAGIC)
    }

    /// Empties the stage, even a torn one: another way begins with a base again.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::file("empty", &self.path))?;
        self.replay = Replay::default();
        Ok(())
    }

    /// The checksum of the staged image.
    pub fn checksum(&self) -> Checksum {
        self.replay.checksum()
    }

    /// The size of the staged image in bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.page_bytes()) * u64::from(self.replay.commit())
    }

    /// Pages of the staged image.
    pub(crate) fn page_count(&self) -> u32 {
        self.replay.commit()
    }

    /// The last transaction in the staged image; `None` before the first file.
    pub(crate) fn txid(&self) -> Option<Txid> {
        self.replay.txid()
    }

    /// Bytes in a page of the staged image; 0 before the first file.
    pub fn page_bytes(&self) -> u32 {
        self.replay.page_size().map_or(0, PageSize::get)
    }

    /// Applies one file: a base to an empty stage, else a file that continues the last one.
    ///
    /// Every checksum the file states is verified. `progress` is told the bytes of pages written.
    /// A file that is refused by its header leaves the stage as it was; one that fails later leaves
    /// it torn, and nothing more can be applied.
    pub fn apply<R: Read>(
        &mut self,
        mut decoder: Decoder<R>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Applied> {
        let header = decoder.header().clone();
        self.replay.begin(&header)?;
        let size = header.page_size.bytes();
        let mut run = Run::new(size);
        let mut old = Buffer::new(size);
        let mut pages = 0;
        while let Some((pgno, checksum)) =
            decoder.next_page_into(run.next_page()).map_err(|source| self.ltx(source))?
        {
            let (file, path) = (&self.file, &self.path);
            self.replay.page(pgno, checksum, || stored_checksum(file, path, pgno, &mut old))?;
            if !run.continues(pgno) {
                self.write(&run)?;
                progress(run.bytes().len() as u64);
                run.restart(pgno);
            }
            run.add();
            pages += 1;
        }
        self.write(&run)?;
        progress(run.bytes().len() as u64);
        let trailer = decoder.finish().map_err(|source| self.ltx(source))?;
        for pgno in self.replay.cut_off(&header) {
            self.replay.cut(stored_checksum(&self.file, &self.path, pgno, &mut old)?);
        }
        let length = u64::from(header.page_size.get()) * u64::from(header.commit);
        self.file.set_len(length).map_err(Error::file("resize", &self.path))?;
        self.replay.end(&header, trailer.checksum_after)?;
        Ok(Applied { pages, txid: header.range.max() })
    }

    pub(crate) fn read_page(&self, pgno: u32, page: &mut [u8]) -> Result<()> {
        let offset = u64::from(pgno - 1) * page.len() as u64;
        self.file.read_exact_at(page, offset).map_err(Error::file("read", &self.path))
    }

    pub(crate) fn write_page(&self, pgno: u32, page: &[u8]) -> Result<()> {
        let offset = u64::from(pgno - 1) * page.len() as u64;
        self.file.write_all_at(page, offset).map_err(Error::file("write", &self.path))
    }

    fn write(&self, run: &Run) -> Result<()> {
        self.file.write_all_at(run.bytes(), run.offset).map_err(Error::file("write", &self.path))
    }

    fn ltx(&self, source: lifeboat_ltx::Error) -> Error {
        Error::Ltx { operation: "apply", path: self.path.clone(), source }
    }

    /// Gives the file its permissions and makes it durable. It stays until the result is dropped.
    pub fn sync(&self, mode: u32) -> Result<()> {
        let mode = rustix::fs::Mode::from_raw_mode(mode & 0o777);
        rustix::fs::fchmod(&self.file, mode)
            .map_err(|error| Error::file("set the permissions of", &self.path)(error.into()))?;
        self.file.sync_all().map_err(Error::file("sync", &self.path))
    }

    /// Gives the file to this owner; only root may.
    pub fn give_to(&self, uid: u32, gid: u32) -> Result<()> {
        std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))
            .map_err(Error::file("change the owner of", &self.path))
    }

    /// The staged file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file to the caller.
    pub fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.path.clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            // An unfinished stage is of no use to anyone, and its name says whose it is.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn stored_checksum(file: &File, path: &Path, pgno: u32, page: &mut [u8]) -> Result<Checksum> {
    let offset = u64::from(pgno - 1) * page.len() as u64;
    file.read_exact_at(page, offset).map_err(Error::file("read", path))?;
    Ok(page_checksum(pgno, page))
}

/// Consecutive pages waiting to be written. They are decoded where they are written from.
struct Run {
    buffer: Buffer,
    page_bytes: usize,
    length: usize,
    /// Of the first page in the file.
    offset: u64,
}

impl Run {
    fn new(page_bytes: usize) -> Self {
        Self { buffer: Buffer::new(PIECE + page_bytes), page_bytes, length: 0, offset: 0 }
    }

    /// The pages.
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The place for the next page, which is not one of them yet.
    fn next_page(&mut self) -> &mut [u8] {
        &mut self.buffer[self.length..self.length + self.page_bytes]
    }

    /// Whether the next page, being this one, can be written together with the others.
    fn continues(&self, pgno: u32) -> bool {
        self.length < PIECE && self.offset + self.length as u64 == self.offset_of(pgno)
    }

    /// Leaves all but the next page out.
    fn restart(&mut self, pgno: u32) {
        self.buffer.copy_within(self.length..self.length + self.page_bytes, 0);
        self.length = 0;
        self.offset = self.offset_of(pgno);
    }

    /// Takes the next page in.
    fn add(&mut self) {
        self.length += self.page_bytes;
    }

    fn offset_of(&self, pgno: u32) -> u64 {
        u64::from(pgno - 1) * self.page_bytes as u64
    }
}
