//! The content of a file that a walk has found.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::os::fd::AsFd;

use rustix::fs::{Advice, FileType, OFlags, fadvise};
use rustix::io::Errno;

use crate::directory::{Directory, open_untouched};
use crate::metadata::{Identity, Status};
use crate::{Entry, FileTime, Problem};

/// What was read of a large file is given back to the system after each of so many bytes: it would push
/// out of memory what others need.
const FORGET_BYTES: u64 = 8 * 1024 * 1024;
/// For less it is not worth telling the system how it will be read.
const READ_AHEAD_BYTES: u64 = 256 * 1024;

/// A regular file that a walk has found. It holds the directory that it is in open, so that it can be
/// opened later and elsewhere, whatever was renamed above it meanwhile; do not keep many.
#[derive(Clone, Debug)]
pub struct FoundFile {
    /// What it is.
    pub entry: Entry,
    pub(crate) directory: Directory,
    pub(crate) name: CString,
}

impl FoundFile {
    /// Opens it for reading. `None`: it was removed since it was found. Something else under its name is
    /// a problem. Nothing waits, whatever it was replaced with.
    pub fn open(&self) -> Result<Option<FileContent>, Problem> {
        let failed = |source: io::Error| Problem::new(&self.entry.path, "open", source);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let handle = match open_untouched(self.directory.as_fd(), &self.name, flags) {
            Ok(handle) => handle,
            Err(Errno::NOENT) if self.is_gone() => return Ok(None),
            // A link, and a socket or fifo, in its place.
            Err(Errno::LOOP | Errno::NXIO) => return Err(failed(replaced())),
            Err(error) => return Err(failed(error.into())),
        };
        let status = Status::of(&handle).map_err(|error| failed(error.into()))?;
        let metadata = &self.entry.metadata;
        let expected = Identity { device: metadata.device, inode: metadata.inode };
        if status.identity() != expected || status.file_type() != FileType::RegularFile {
            return Err(failed(replaced()));
        }
        let file = File::from(handle);
        Ok(Some(FileContent::new(file, &status, metadata.size, metadata.modified)))
    }

    /// Whether there is nothing under its name. To open it is not enough to know: a network file system may
    /// have lost the content of a file that is there.
    fn is_gone(&self) -> bool {
        matches!(Status::at(self.directory.as_fd(), &self.name), Err(Errno::NOENT))
    }
}

fn replaced() -> io::Error {
    io::Error::other("it was replaced while it was looked at")
}

/// The content of a file, up to the size that it had when it was opened: one that grows as fast as it is
/// read comes to an end.
#[derive(Debug)]
pub struct FileContent {
    file: File,
    size: u64,
    /// How much was read.
    position: u64,
    /// How much of that was given back to the system.
    forgotten: u64,
    found_size: u64,
    found_modified: FileTime,
}

impl FileContent {
    fn new(file: File, status: &Status, found_size: u64, found_modified: FileTime) -> Self {
        let size = status.size();
        if size >= READ_AHEAD_BYTES {
            advise(&file, 0, size, Advice::Sequential);
        }
        Self { file, size, position: 0, forgotten: 0, found_size, found_modified }
    }

    /// Bytes when it was opened. There are less to read only if it has shrunk since.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that were read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether its size or the time of its last change is another than when it was found: what was read
    /// since may be part old and part new. To be asked after reading.
    pub fn changed(&self) -> io::Result<bool> {
        let status = Status::of(&self.file)?;
        Ok(status.size() != self.found_size || status.modified() != self.found_modified)
    }

    fn forget(&mut self) {
        let read = self.position - self.forgotten;
        if read >= FORGET_BYTES || (self.position == self.size && self.forgotten > 0) {
            advise(&self.file, self.forgotten, read, Advice::DontNeed);
            self.forgotten = self.position;
        }
    }
}

/// Tells the system what will be needed. It may not care, and nothing depends on it.
fn advise(file: &File, offset: u64, length: u64, advice: Advice) {
    let _ = fadvise(file, offset, NonZeroU64::new(length), advice);
}

impl Read for FileContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted =
            buffer.len().min(usize::try_from(self.size - self.position).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let length = self.file.read(&mut buffer[..wanted])?;
        self.position += length as u64;
        self.forget();
        Ok(length)
    }
}
