//! Where encoded pages go while the pin is held.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lifeboat_repository::{LtxWriter, SealedLtx};
use lifeboat_sqlite::Pin;

use crate::space::free_bytes;
use crate::{Error, Result};

/// The beginning of an LTX file's way into a repository.
pub(crate) enum Out {
    /// Compressed, sealed and stored as it is written.
    Repository(Box<LtxWriter>),
    /// As it is, to a file, at the speed of the disk.
    Spool(File),
}

impl Out {
    /// Where `bytes` of pages of a pinned database go: right into the repository, or, where writers wait for
    /// the pin, to a spool first, if there is room; whether it is a spool.
    pub(super) fn of(
        pin: &Pin,
        scratch: &Path,
        bytes: u64,
        begin: impl FnOnce() -> Result<LtxWriter>,
    ) -> Result<(Self, bool)> {
        if pin.blocks_writers()
            && let Some(spool) = Self::spool(scratch, bytes)?
        {
            return Ok((spool, true));
        }
        Ok((Self::Repository(Box::new(begin()?)), false))
    }

    /// A spool for `bytes` of pages; `None` where there is no room for it.
    fn spool(scratch: &Path, bytes: u64) -> Result<Option<Self>> {
        if free_bytes(scratch)? < bytes + bytes / 50 + (1 << 20) {
            return Ok(None);
        }
        let path = scratch.join("spool.ltx");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        // It lives as long as its descriptor: nothing is left if this process is killed.
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(Some(Self::Spool(file)))
    }

    /// Seals all that was written; what is in the spool, so many bytes, goes through `begin` now.
    pub(super) fn seal(self, begin: impl FnOnce(u64) -> Result<LtxWriter>) -> Result<SealedLtx> {
        let mut spool = match self {
            Self::Repository(out) => return Ok(out.finish()?),
            Self::Spool(spool) => spool,
        };
        let failed = |operation| Error::file(operation, Path::new("the spool"));
        let bytes = spool.stream_position().map_err(failed("look at"))?;
        spool.rewind().map_err(failed("rewind"))?;
        let mut out = begin(bytes)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = spool.read(&mut buffer).map_err(failed("read"))?;
            if read == 0 {
                return Ok(out.finish()?);
            }
            out.write_all(&buffer[..read])
                .map_err(|error| lifeboat_storage::Error::from_stream("write", error))?;
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Repository(out) => out.write(bytes),
            Self::Spool(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Repository(out) => out.flush(),
            Self::Spool(file) => file.flush(),
        }
    }
}
