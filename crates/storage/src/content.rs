//! What an object is made of, where it can be read again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::{Error, Key, Result, Storage};

/// Bytes read and written at once.
const PIECE: usize = 256 * 1024;

/// The bytes of an object, which can be read again, from several threads, in pieces and as a whole: so
/// that a request which was cut short is repeated with the same bytes.
pub trait Content: Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Reads those of a range, which lies within the size.
    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>>;

    /// The same, for what is computed of them here and not sent, so that no limit on sending holds it back.
    fn examine(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        self.read(range)
    }
}

impl Content for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        let bytes = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .and_then(|(start, end)| self.get(start..end))
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(Box::new(bytes))
    }
}

/// A file that nobody changes meanwhile.
#[derive(Debug)]
pub struct FileContent {
    file: File,
    size: u64,
}

impl FileContent {
    /// All of a file, as long as it is now.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Content for FileContent {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(FileRange { file: &self.file, range }))
    }
}

/// Its place is its own: several read one file at once.
struct FileRange<'a> {
    file: &'a File,
    range: Range<u64>,
}

impl Read for FileRange<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buf[..wanted], self.range.start)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += read as u64;
        Ok(read)
    }
}

/// An object of another storage.
#[derive(Debug)]
pub struct StoredContent<'a> {
    storage: &'a dyn Storage,
    key: &'a Key,
    size: u64,
}

impl<'a> StoredContent<'a> {
    /// The object `key`, which has this many bytes.
    pub fn new(storage: &'a dyn Storage, key: &'a Key, size: u64) -> Self {
        Self { storage, key, size }
    }
}

impl Content for StoredContent<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        self.storage.read(self.key, Some(range)).map_err(io::Error::from)
    }
}

/// Writes all of a content to what becomes the object `key` of a location.
pub(crate) fn copy(
    location: &str,
    key: &Key,
    content: &dyn Content,
    to: &mut impl Write,
) -> Result<()> {
    let failed = |operation| {
        move |error: io::Error| match error.downcast() {
            Ok(error) => error,
            Err(source) => Error::Storage {
                operation,
                object: key.to_string(),
                location: location.to_owned(),
                source,
            },
        }
    };
    let mut from = content.read(0..content.size()).map_err(failed("read the content of"))?;
    let mut piece = vec![0; PIECE.min(usize::try_from(content.size()).unwrap_or(PIECE))];
    let mut left = content.size();
    while left > 0 {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(failed("read the content of"))?,
        };
        if read == 0 {
            return Err(failed("read the content of")(io::ErrorKind::UnexpectedEof.into()));
        }
        to.write_all(&piece[..read]).map_err(failed("write"))?;
        left -= read as u64;
    }
    Ok(())
}
