//! The file of changes: what a scan found, kept beside the page array until the array has it.
//!
//! | offset | size | field, little-endian |
//! |---:|---:|---|
//! | 0 | 8 | `LBCHANGE` |
//! | 8 | 4 | pages in the database |
//! | 12 | 4 | zero |
//! | 16 + 36 n | 4 | number of the n-th changed page, ascending, without the lock page |
//! | 20 + 36 n | 32 | its record in the page array |
//! | end - 16 | 16 | XXH3-128 of all before |
//!
//! A file that is cut or torn is refused before the first record of it is applied: with some of
//! the records missing, every later database checksum would be wrong.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use twox_hash::XxHash3_128;

use crate::page_array::{PageArray, PageRecord, RECORD};
use crate::record_run::RecordRun;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"LBCHANGE";
const HEADER: usize = 16;
const ENTRY: usize = 4 + RECORD;
const TRAILER: usize = 16;

/// The file is read and written in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Writes a file of changes.
pub(crate) struct ChangesWriter {
    path: PathBuf,
    out: BufWriter<File>,
    hash: XxHash3_128,
}

impl ChangesWriter {
    pub(crate) fn create(path: &Path, page_count: u32) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("create", path))?;
        let out = BufWriter::with_capacity(PIECE, file);
        let mut writer = Self { path: path.to_owned(), out, hash: XxHash3_128::new() };
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&page_count.to_le_bytes());
        writer.write(&header)?;
        Ok(writer)
    }

    pub(crate) fn push(&mut self, pgno: u32, record: &PageRecord) -> Result<()> {
        let mut entry = [0; ENTRY];
        entry[..4].copy_from_slice(&pgno.to_le_bytes());
        entry[4..].copy_from_slice(&record.encode());
        self.write(&entry)
    }

    /// Makes the file whole and durable.
    pub(crate) fn finish(mut self) -> Result<()> {
        let hash = self.hash.finish_128();
        self.write(&hash.to_le_bytes())?;
        self.out.flush().map_err(Error::file("write", &self.path))?;
        self.out.get_ref().sync_all().map_err(Error::file("sync", &self.path))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.write(bytes);
        self.out.write_all(bytes).map_err(Error::file("write", &self.path))
    }
}

/// Writes a file of changes without any, of a database of `page_count` pages.
pub fn write_no_changes(path: &Path, page_count: u32) -> Result<()> {
    ChangesWriter::create(path, page_count)?.finish()
}

/// Brings a page array up to the image whose changes `path` holds. Doing it again changes nothing,
/// so one that was interrupted is done again.
pub fn apply_changes(path: &Path, array: &PageArray) -> Result<()> {
    let page_count = read(path, |_, _| Ok(()))?;
    let write = |first, records: &[u8]| array.write_records(first, records);
    let mut run = RecordRun::default();
    read(path, |pgno, record| run.push(pgno, record, write))?;
    run.end(write)?;
    array.set_page_count(page_count)?;
    array.sync()
}

/// The pages that a file of changes has a record of, ascending: those of [`Changes`](crate::Changes).
pub fn changed_pages(path: &Path) -> Result<Vec<u32>> {
    let mut pages = Vec::new();
    read(path, |pgno, _| {
        pages.push(pgno);
        Ok(())
    })?;
    Ok(pages)
}

/// Hands out every entry; returns the pages in the database. The entries count only once this has
/// succeeded.
fn read(path: &Path, mut each: impl FnMut(u32, &[u8; RECORD]) -> Result<()>) -> Result<u32> {
    let unfit = |detail: String| Error::PageArray { path: path.to_owned(), detail };
    let file = File::open(path).map_err(Error::file("open", path))?;
    let length = file.metadata().map_err(Error::file("look at", path))?.len();
    let entries = length.checked_sub((HEADER + TRAILER) as u64).map(|rest| rest / ENTRY as u64);
    let Some(entries) = entries else { return Err(unfit(format!("it has {length} bytes"))) };
    let mut reader = BufReader::with_capacity(PIECE, file);
    let mut fill = |bytes: &mut [u8]| {
        reader.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => unfit("it ends too early".into()),
            _ => Error::file("read", path)(source),
        })
    };
    let mut hash = XxHash3_128::new();
    let mut header = [0; HEADER];
    fill(&mut header)?;
    hash.write(&header);
    if header[..8] != *MAGIC {
        return Err(unfit("it does not begin with LBCHANGE".into()));
    }
    let page_count = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let (mut last, mut entry) = (0, [0; ENTRY]);
    for _ in 0..entries {
        fill(&mut entry)?;
        hash.write(&entry);
        let pgno = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        if pgno <= last || pgno > page_count {
            return Err(unfit(format!("page {pgno} of {page_count} follows page {last}")));
        }
        last = pgno;
        let mut record = [0; RECORD];
        record.copy_from_slice(&entry[4..]);
        each(pgno, &record)?;
    }
    let mut stated = [0; TRAILER];
    fill(&mut stated)?;
    let whole = length == (HEADER + TRAILER) as u64 + entries * ENTRY as u64;
    if !whole || u128::from_le_bytes(stated) != hash.finish_128() {
        return Err(unfit("its checksum is wrong".into()));
    }
    Ok(page_count)
}
