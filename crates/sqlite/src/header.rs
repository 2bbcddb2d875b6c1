//! The first 100 bytes of a database file.

use std::path::Path;

use crate::ffi::VfsFile;
use crate::{Error, Result, SqliteVersion};

/// How every SQLite database file begins.
pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What the header of a database file says
/// (<https://www.sqlite.org/fileformat2.html#the_database_header>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseHeader {
    /// Bytes in a page.
    pub page_size: u32,
    /// Whether the file is in WAL mode (read version 2).
    pub wal: bool,
    /// Counts the transactions of a rollback-journal database.
    pub change_counter: u32,
    /// Pages in the database, 0 where the writer did not say so.
    pub page_count: u32,
    /// Pages that are free within the file.
    pub free_pages: u32,
    /// The SQLite version that last wrote page 1.
    pub sqlite_version: SqliteVersion,
}

impl DatabaseHeader {
    /// Reads the header; `None` where the bytes are not those of an SQLite database.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 100] = bytes.get(..100)?.try_into().ok()?;
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let page_size = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
            return None;
        }
        // The page count is only valid when the same version that counted the change wrote it.
        let page_count = if word(24) == word(92) { word(28) } else { 0 };
        Some(Self {
            page_size,
            wal: bytes[19] == 2,
            change_counter: word(24),
            page_count,
            free_pages: word(36),
            sqlite_version: SqliteVersion(word(96)),
        })
    }
}

/// Reads the header of a file through SQLite's file layer, so that no lock of this process is lost.
///
/// `Ok(None)`: a file, but not an SQLite database. An empty file is none either: SQLite would take
/// it for an empty database, but so it would any other empty file.
pub fn read_header(path: &Path) -> Result<Option<DatabaseHeader>> {
    let mut bytes = [0; 100];
    let length = read_beginning(path, &mut bytes)?;
    Ok(DatabaseHeader::parse(&bytes[..length]))
}

/// Reads the first bytes of any file in the same way, so that it may be a database that this
/// process uses. Returns how many there were; 0 for what is no regular file.
pub fn read_beginning(path: &Path, bytes: &mut [u8]) -> Result<usize> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_owned() },
        _ => Error::File { operation: "look at", path: path.to_owned(), source },
    })?;
    // To open a pipe would wait for a writer.
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(0);
    }
    let failed = |code| Error::sqlite("open", path, crate::ffi::code_error(code));
    let mut file = VfsFile::open(path).map_err(failed)?;
    file.raw().read_at(bytes, 0).map_err(failed)?;
    Ok(usize::try_from(metadata.len()).map_or(bytes.len(), |length| length.min(bytes.len())))
}
