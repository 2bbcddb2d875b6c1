//! Finds the pages that changed since the last capture.
//!
//! The changes go into a file beside the page array before anything is uploaded, and into the
//! array itself only after: whoever is killed in between finds the one or the other, and applying
//! the file twice is the same as once.
//!
//! `LBCHANGE`, the page count (4 bytes) and 4 zero bytes; then for each changed page, ascending,
//! its number (4 bytes) and its record in the page array. Little-endian.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lifeboat_ltx::{Checksum, DatabaseChecksum, page_checksum};

use crate::page_array::{PageArray, PageRecord, RECORD};
use crate::parallel::{Buffers, in_order};
use crate::{Bitmap, Error, Image, Result};

const MAGIC: &[u8; 8] = b"LBCHANGE";

/// Bytes of the database that are read and hashed at once: they stay in a core's cache.
const WINDOW: usize = 256 * 1024;

/// Which pages of an image differ from the page array.
#[derive(Debug)]
pub struct Changes {
    /// The changed pages.
    pub pages: Bitmap,
    /// Pages in the image.
    pub page_count: u32,
    /// Pages in the image before.
    pub page_count_before: u32,
    /// The checksum of the image.
    pub checksum: Checksum,
}

impl Changes {
    /// Whether the image is the one of the last capture.
    pub fn none(&self) -> bool {
        self.pages.is_empty() && self.page_count == self.page_count_before
    }
}

/// One page that differs: its number, its record and what it takes out of the checksum.
struct Changed {
    pgno: u32,
    record: PageRecord,
    before: Option<u64>,
}

/// Compares an image with the page array and writes the differing records to `changes`.
///
/// `before` is the checksum of the database that the array describes; `progress` is told the bytes
/// of each window.
pub fn scan(
    image: &Image<'_>,
    array: &PageArray,
    before: Checksum,
    changes: &Path,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Changes> {
    if array.page_size() != image.page_size() {
        return Err(Error::PageArray {
            path: changes.to_owned(),
            detail: format!(
                "its pages have {} bytes, the database's {}",
                array.page_size().get(),
                image.page_size().get()
            ),
        });
    }
    let page_count_before = array.page_count()?;
    let mut pages = Bitmap::new(image.page_count());
    let mut checksum = DatabaseChecksum::resume(before);
    let mut out = ChangesWriter::create(changes, image.page_count())?;
    let buffers = Buffers::default();
    let per_window = (WINDOW / image.page_size().get() as usize).max(1) as u32;
    in_order(
        image.page_count().div_ceil(per_window),
        workers,
        |window| {
            let changed = scan_window(image, array, page_count_before, &buffers, window, per_window);
            progress(u64::from(per_window) * u64::from(image.page_size().get()));
            changed
        },
        |changed| {
            for page in changed {
                pages.insert(page.pgno);
                toggle(&mut checksum, page.before.unwrap_or(0));
                toggle(&mut checksum, page.record.checksum);
                out.push(page.pgno, &page.record)?;
            }
            Ok(())
        },
    )?;
    for pgno in image.page_count() + 1..=page_count_before {
        toggle(&mut checksum, array.record(pgno)?.checksum);
    }
    out.finish()?;
    Ok(Changes {
        pages,
        page_count: image.page_count(),
        page_count_before,
        checksum: checksum.value(),
    })
}

/// XORs a recorded page checksum in or out; the lock page has none.
fn toggle(checksum: &mut DatabaseChecksum, recorded: u64) {
    if let Some(page) = Checksum::from_stored(recorded) {
        checksum.toggle(page);
    }
}

fn scan_window(
    image: &Image<'_>,
    array: &PageArray,
    known: u32,
    buffers: &Buffers,
    window: u32,
    per_window: u32,
) -> Result<Vec<Changed>> {
    let first = window * per_window + 1;
    let count = per_window.min(image.page_count() - (first - 1));
    let size = image.page_size().get() as usize;
    let mut buffer = buffers.take(count as usize * size);
    image.read(first, &mut buffer)?;
    let old = array.read_raw(first, count as usize, known)?;
    let (old, _) = old.as_chunks::<RECORD>();
    let mut changed = Vec::new();
    for (pgno, page) in (first..).zip(buffer.chunks_exact(size)) {
        if pgno == image.page_size().lock_page() {
            if pgno > known {
                changed.push(Changed { pgno, record: PageRecord::default(), before: None });
            }
            continue;
        }
        let hash = array.key().hash(page);
        let old = old.get((pgno - first) as usize);
        if old.is_some_and(|old| old[..16] == hash.to_le_bytes()) {
            continue;
        }
        let record = PageRecord::of(pgno, page, hash, page_checksum(pgno, page));
        let before = old.map(|old| PageRecord::decode(old).checksum);
        changed.push(Changed { pgno, record, before });
    }
    buffers.give(buffer);
    Ok(changed)
}

/// Writes the file of changes.
struct ChangesWriter<'a> {
    path: &'a Path,
    out: BufWriter<File>,
}

impl<'a> ChangesWriter<'a> {
    fn create(path: &'a Path, page_count: u32) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("create", path))?;
        let mut writer = Self { path, out: BufWriter::new(file) };
        writer.write(MAGIC)?;
        writer.write(&page_count.to_le_bytes())?;
        writer.write(&[0; 4])?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::file("write", self.path))
    }

    fn push(&mut self, pgno: u32, record: &PageRecord) -> Result<()> {
        self.write(&pgno.to_le_bytes())?;
        self.write(&record.encode())
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(Error::file("write", self.path))?;
        self.out.get_ref().sync_all().map_err(Error::file("sync", self.path))
    }
}

/// Brings a page array up to the image whose changes `path` holds. Doing it again changes nothing.
pub fn apply_changes(path: &Path, array: &PageArray) -> Result<()> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut changes = BufReader::with_capacity(64 * 1024, file);
    let mut header = [0; 16];
    changes.read_exact(&mut header).map_err(Error::file("read", path))?;
    if header[..8] != *MAGIC {
        return Err(Error::PageArray {
            path: path.to_owned(),
            detail: "the file of changes does not begin with LBCHANGE".into(),
        });
    }
    let mut entry = [0; 4 + RECORD];
    while read_entry(&mut changes, &mut entry).map_err(Error::file("read", path))? {
        let pgno = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let mut record = [0; RECORD];
        record.copy_from_slice(&entry[4..]);
        array.write_record(pgno.max(1), &record)?;
    }
    array.finish_changes(u32::from_le_bytes([header[8], header[9], header[10], header[11]]))
}

/// Fills `entry`, or tells that the file ended at its beginning.
fn read_entry(reader: &mut impl Read, entry: &mut [u8]) -> std::io::Result<bool> {
    let first = reader.read(&mut entry[..1])?;
    if first == 0 {
        return Ok(false);
    }
    reader.read_exact(&mut entry[1..])?;
    Ok(true)
}
