//! Puts a database together beside its target: a base, then the deltas that follow it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Decoder, Header, PageSize, Txid, TxidRange, page_checksum,
};

use crate::buffer::Buffer;
use crate::{Error, Result};

/// Consecutive pages are written in pieces of about this size.
const PIECE: usize = 1 << 20;

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
    page_size: Option<PageSize>,
    commit: u32,
    txid: Option<Txid>,
    checksum: DatabaseChecksum,
    torn: bool,
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
        Ok(Self {
            path: path.to_owned(),
            file,
            page_size: None,
            commit: 0,
            txid: None,
            checksum: DatabaseChecksum::new(),
            torn: false,
            keep: false,
        })
    }

    /// Takes the room for `bytes` now, so that a full disk shows before the work. File systems
    /// that cannot do so are left to fail later.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        if bytes == 0 {
            return Ok(());
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::FBIG)) => {
                Err(Error::file("make room for", &self.path)(error.into()))
            }
            _ => Ok(()),
        }
    }

    /// The checksum of the staged image.
    pub fn checksum(&self) -> Checksum {
        self.checksum.value()
    }

    /// The size of the staged image in bytes.
    pub fn size(&self) -> u64 {
        self.page_size.map_or(0, |size| u64::from(size.get()) * u64::from(self.commit))
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
        self.check_continues(&header)?;
        self.torn = true;
        self.page_size = Some(header.page_size);
        let size = header.page_size.bytes();
        let mut run = Run::default();
        let mut page = Vec::with_capacity(size);
        let mut old = Buffer::new(size);
        let (mut pages, mut grown) = (0, 0);
        while let Some((pgno, checksum)) =
            decoder.next_page(&mut page).map_err(|source| self.ltx(source))?
        {
            if pgno <= self.commit {
                let old = self.stored_checksum(pgno, &mut old)?;
                self.checksum.toggle(old);
            } else {
                grown += 1;
            }
            self.checksum.toggle(checksum);
            if !run.continues(pgno, size) {
                self.write(&run)?;
                progress(run.bytes.len() as u64);
                run.restart(pgno, size);
            }
            run.bytes.extend_from_slice(&page);
            pages += 1;
        }
        self.write(&run)?;
        progress(run.bytes.len() as u64);
        let trailer = decoder.finish().map_err(|source| self.ltx(source))?;
        self.check_growth(&header, grown)?;
        self.resize(&header, &mut old)?;
        self.check_result(header.range, trailer.checksum_after)?;
        self.txid = Some(header.range.max());
        self.torn = false;
        Ok(Applied { pages, txid: header.range.max() })
    }

    fn check_continues(&self, header: &Header) -> Result<()> {
        let range = header.range;
        if self.torn {
            return Err(Error::Discontinuous {
                detail: format!("{range} comes after a file that failed"),
            });
        }
        match self.txid {
            None if range.is_base() => {}
            None => {
                return Err(Error::Discontinuous {
                    detail: format!("expected a base, found transactions {range}"),
                });
            }
            Some(last) => {
                let next = last.next();
                if next.is_none_or(|next| range.min() > next) || range.max() <= last {
                    return Err(Error::Discontinuous {
                        detail: format!("expected what follows {last}, found {range}"),
                    });
                }
            }
        }
        match self.page_size {
            Some(size) if size != header.page_size => {
                return Err(Error::Discontinuous {
                    detail: format!("expected pages of {size} bytes, found {}", header.page_size),
                });
            }
            _ => {}
        }
        let follows = self.txid.is_some_and(|last| last.next() == Some(range.min()));
        match header.checksum_before {
            Some(before) if follows && before != self.checksum() => Err(Error::Discontinuous {
                detail: format!(
                    "{range} follows a database with checksum {before}, this one has {}",
                    self.checksum()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// A file that makes the database larger brings every page it adds.
    fn check_growth(&self, header: &Header, grown: u32) -> Result<()> {
        let lock = header.page_size.lock_page();
        let added = header.commit.saturating_sub(self.commit);
        let lock_page_added = lock > self.commit && lock <= header.commit;
        let expected = added - u32::from(lock_page_added);
        if grown == expected {
            return Ok(());
        }
        Err(Error::Discontinuous {
            detail: format!(
                "{} grows the database by {expected} pages but brings {grown}",
                header.range
            ),
        })
    }

    fn resize(&mut self, header: &Header, buffer: &mut [u8]) -> Result<()> {
        for pgno in header.commit + 1..=self.commit {
            if pgno != header.page_size.lock_page() {
                let old = self.stored_checksum(pgno, buffer)?;
                self.checksum.toggle(old);
            }
        }
        self.commit = header.commit;
        self.file.set_len(self.size()).map_err(Error::file("resize", &self.path))
    }

    fn check_result(&self, range: TxidRange, stated: Option<Checksum>) -> Result<()> {
        match stated {
            Some(after) if after != self.checksum() => Err(Error::Discontinuous {
                detail: format!(
                    "after {range} the database should have checksum {after}, it has {}",
                    self.checksum()
                ),
            }),
            _ => Ok(()),
        }
    }

    fn stored_checksum(&self, pgno: u32, page: &mut [u8]) -> Result<Checksum> {
        let offset = u64::from(pgno - 1) * page.len() as u64;
        self.file.read_exact_at(page, offset).map_err(Error::file("read", &self.path))?;
        Ok(page_checksum(pgno, page))
    }

    fn write(&self, run: &Run) -> Result<()> {
        self.file.write_all_at(&run.bytes, run.offset).map_err(Error::file("write", &self.path))
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

/// Consecutive pages waiting to be written.
#[derive(Debug, Default)]
struct Run {
    bytes: Vec<u8>,
    offset: u64,
}

impl Run {
    fn continues(&self, pgno: u32, size: usize) -> bool {
        let offset = u64::from(pgno - 1) * size as u64;
        self.bytes.len() < PIECE && self.offset + self.bytes.len() as u64 == offset
    }

    fn restart(&mut self, pgno: u32, size: usize) {
        self.bytes.clear();
        self.offset = u64::from(pgno - 1) * size as u64;
    }
}
