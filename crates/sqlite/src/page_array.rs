//! The page array: what each page of a database was at its last capture.
//!
//! A file of a 256-byte header and 32 bytes for each page, used in windows, so that memory does
//! not grow with the database:
//!
//! | offset | size | header field |
//! |---:|---:|---|
//! | 0 | 8 | `LBPAGES1` |
//! | 8 | 4 | page size, little-endian |
//! | 16 | 192 | secret of the hash |
//!
//! | offset | size | record field, little-endian |
//! |---:|---:|---|
//! | 0 | 16 | XXH3-128 of the page under the secret |
//! | 16 | 8 | LTX page checksum |
//! | 24 | 2 | cells on the page, where it is a b-tree page |
//! | 26 | 1 | b-tree page type, else 0 |
//!
//! The record of the lock page is zero. The magic is written last: a file without it was not
//! finished. All of it is local state: losing it costs a scan, never data.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_ltx::{Checksum, PageSize};

use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"LBPAGES1";
const HEADER: usize = 256;
/// Bytes of a record in the file.
pub(crate) const RECORD: usize = 32;
/// Records that are read at once where all of a range are looked at.
const RECORDS: usize = 4096;

/// The secret of the page hash. It is drawn for each lineage and never leaves the machine: whoever
/// can choose the content of pages must not be able to choose two with one hash.
#[derive(Clone)]
pub struct HashKey([u8; 192]);

impl HashKey {
    /// A key from 192 random bytes.
    pub fn new(secret: [u8; 192]) -> Self {
        Self(secret)
    }

    pub(crate) fn hash(&self, page: &[u8]) -> u128 {
        // A default in place of the panic would be a hash that all pages share.
        twox_hash::XxHash3_128::oneshot_with_secret(&self.0, page)
            .expect("XXH3 asks for a secret of at least 136 bytes")
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HashKey(…)")
    }
}

/// What is kept of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageRecord {
    /// The keyed hash, by which a change is noticed.
    pub hash: u128,
    /// The LTX page checksum, of which the database checksum is made; 0 for the lock page.
    pub checksum: u64,
    /// Cells on a b-tree page.
    pub cells: u16,
    /// The type of a b-tree page: 2, 5, 10 or 13 (file format, section 1.6); else 0.
    pub kind: u8,
}

impl PageRecord {
    /// The record of a page with this content and checksum.
    pub(crate) fn of(pgno: u32, page: &[u8], hash: u128, checksum: Checksum) -> Self {
        let (kind, cells) = btree_page(pgno, page);
        Self { hash, checksum: checksum.get(), cells, kind }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.hash.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[24..26].copy_from_slice(&self.cells.to_le_bytes());
        bytes[26] = self.kind;
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; RECORD]) -> Self {
        let (mut hash, mut checksum) = ([0; 16], [0; 8]);
        hash.copy_from_slice(&bytes[..16]);
        checksum.copy_from_slice(&bytes[16..24]);
        Self {
            hash: u128::from_le_bytes(hash),
            checksum: u64::from_le_bytes(checksum),
            cells: u16::from_le_bytes([bytes[24], bytes[25]]),
            kind: bytes[26],
        }
    }
}

/// The b-tree type and the number of cells of a page; `(0, 0)` for any other page.
pub(crate) fn btree_page(pgno: u32, page: &[u8]) -> (u8, u16) {
    let at = if pgno == 1 { 100 } else { 0 };
    match page.get(at..at + 5) {
        Some(&[kind @ (2 | 5 | 10 | 13), _, _, high, low]) => {
            (kind, u16::from_be_bytes([high, low]))
        }
        _ => (0, 0),
    }
}

/// An open page array.
#[derive(Debug)]
pub struct PageArray {
    path: PathBuf,
    file: File,
    page_size: PageSize,
    key: HashKey,
}

impl PageArray {
    /// Opens a page array.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::file("open", path))?;
        let mut header = [0; HEADER];
        let unfit =
            |detail: &str| Error::PageArray { path: path.to_owned(), detail: detail.into() };
        file.read_exact_at(&mut header, 0).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => unfit("it is shorter than its header"),
            _ => Error::file("read", path)(source),
        })?;
        if header[..8] != *MAGIC {
            return Err(unfit("it does not begin with LBPAGES1"));
        }
        let size = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let page_size = PageSize::new(size).ok_or_else(|| unfit("its page size is none"))?;
        let mut secret = [0; 192];
        secret.copy_from_slice(&header[16..208]);
        Ok(Self { path: path.to_owned(), file, page_size, key: HashKey(secret) })
    }

    /// Bytes in a page of the database.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Pages the array knows.
    pub fn page_count(&self) -> Result<u32> {
        let length = self.file.metadata().map_err(Error::file("look at", &self.path))?.len();
        let records = length.saturating_sub(HEADER as u64) / RECORD as u64;
        u32::try_from(records).map_err(|_| Error::PageArray {
            path: self.path.clone(),
            detail: format!("it has {records} records"),
        })
    }

    /// The hash key of the array.
    pub(crate) fn key(&self) -> &HashKey {
        &self.key
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the records of up to `pages` pages from `first` on, raw; fewer at the end, which is
    /// after page `count`.
    pub(crate) fn read_raw(&self, first: u32, pages: usize, count: u32) -> Result<Vec<u8>> {
        let known = if first > count { 0 } else { (count - first) as usize + 1 };
        let mut bytes = vec![0; pages.min(known) * RECORD];
        self.read_records(first, &mut bytes)?;
        Ok(bytes)
    }

    /// The record of one page; zero beyond the end of the array.
    pub fn record(&self, pgno: u32) -> Result<PageRecord> {
        if pgno == 0 || pgno > self.page_count()? {
            return Ok(PageRecord::default());
        }
        let mut bytes = [0; RECORD];
        self.read_records(pgno, &mut bytes)?;
        Ok(PageRecord::decode(&bytes))
    }

    /// Hands out the records of these pages, which the array must have.
    pub(crate) fn each_record(
        &self,
        pages: Range<u32>,
        mut each: impl FnMut(u32, &PageRecord) -> Result<()>,
    ) -> Result<()> {
        let mut pgno = pages.start;
        while pgno < pages.end {
            let bytes = self.read_raw(pgno, RECORDS, pages.end - 1)?;
            for record in bytes.as_chunks::<RECORD>().0 {
                each(pgno, &PageRecord::decode(record))?;
                pgno += 1;
            }
        }
        Ok(())
    }

    fn read_records(&self, first: u32, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(bytes, offset(first)).map_err(Error::file("read", &self.path))
    }

    pub(crate) fn write_records(&self, first: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(bytes, offset(first)).map_err(Error::file("write", &self.path))
    }

    /// Cuts or extends the array. New records are zero.
    pub(crate) fn set_page_count(&self, page_count: u32) -> Result<()> {
        let length = HEADER as u64 + u64::from(page_count) * RECORD as u64;
        self.file.set_len(length).map_err(Error::file("write", &self.path))
    }

    /// Refuses pages of another size.
    pub(crate) fn require_page_size(&self, size: PageSize) -> Result<()> {
        if size == self.page_size {
            return Ok(());
        }
        Err(Error::PageArray {
            path: self.path.clone(),
            detail: format!(
                "its pages have {} bytes, the database's {}",
                self.page_size.get(),
                size.get()
            ),
        })
    }

    /// Makes the array durable as it is.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::file("sync", &self.path))
    }
}

/// Where the record of a page stands.
pub(crate) fn offset(pgno: u32) -> u64 {
    HEADER as u64 + u64::from(pgno.saturating_sub(1)) * RECORD as u64
}

/// Writes a page array from the first page to the last.
#[derive(Debug)]
pub struct PageArrayWriter {
    path: PathBuf,
    out: BufWriter<File>,
    page_size: PageSize,
    key: HashKey,
}

impl PageArrayWriter {
    /// Creates the file, replacing one that is there.
    pub fn create(path: &Path, page_size: PageSize, key: HashKey) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("create", path))?;
        let mut out = BufWriter::with_capacity(64 * 1024, file);
        out.write_all(&[0; HEADER]).map_err(Error::file("write", path))?;
        Ok(Self { path: path.to_owned(), out, page_size, key })
    }

    pub(crate) fn key(&self) -> &HashKey {
        &self.key
    }

    pub(crate) fn push(&mut self, record: &PageRecord) -> Result<()> {
        self.out.write_all(&record.encode()).map_err(Error::file("write", &self.path))
    }

    /// Makes the file whole and durable.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        let file = self
            .out
            .into_inner()
            .map_err(|error| Error::file("write", &path)(error.into_error()))?;
        finish(&file, &path, self.page_size, &self.key)
    }
}

/// Gives a file of records its header, once they are durable.
pub(crate) fn finish(file: &File, path: &Path, page_size: PageSize, key: &HashKey) -> Result<()> {
    file.sync_all().map_err(Error::file("sync", path))?;
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&page_size.get().to_le_bytes());
    header[16..208].copy_from_slice(&key.0);
    file.write_all_at(&header, 0).map_err(Error::file("write", path))?;
    file.sync_all().map_err(Error::file("sync", path))
}
