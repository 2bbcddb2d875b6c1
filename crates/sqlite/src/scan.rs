//! Finds the pages that changed since the last capture.
//!
//! The changes go into a file of their own before anything is uploaded, and into the page array
//! only after: whoever is killed in between finds the one or the other.

use std::ops::Range;
use std::path::Path;

use lifeboat_ltx::{Checksum, DatabaseChecksum, page_checksum};

use crate::buffer::Buffers;
use crate::changes::ChangesWriter;
use crate::page_array::{PageArray, PageRecord, RECORD};
use crate::parallel::in_order;
use crate::{Bitmap, Error, Image, Result};

/// Bytes of the database that a worker takes at once. Handing a window over costs two wake-ups, and
/// most windows have nothing to tell.
const WINDOW: usize = 2 << 20;

/// Bytes that are read and then hashed: they stay in a core's cache.
const PIECE: usize = 128 << 10;

/// Which pages of an image differ from the page array.
#[derive(Debug)]
pub struct Changes {
    /// The changed pages, without the lock page.
    pub pages: Bitmap,
    /// Pages in the image.
    pub page_count: u32,
    /// Pages in the image before.
    pub page_count_before: u32,
    /// The checksum of the image.
    pub checksum: Checksum,
}

impl Changes {
    /// Of an image that is the one of the last capture.
    pub fn nothing(page_count: u32, checksum: Checksum) -> Self {
        let pages = Bitmap::new(page_count);
        Self { pages, page_count, page_count_before: page_count, checksum }
    }

    /// Whether the image is the one of the last capture.
    pub fn none(&self) -> bool {
        self.pages.is_empty() && self.page_count == self.page_count_before
    }
}

/// One page that differs: its number, its record and what it takes out of the checksum.
pub(crate) struct Changed {
    pub(crate) pgno: u32,
    pub(crate) record: PageRecord,
    pub(crate) before: Option<u64>,
}

/// Compares an image with the page array and writes the differing records to `changes`.
///
/// `before` is the checksum of the database that the array describes; `progress` is told the bytes
/// of each window.
///
/// [`Error::PageArray`] where the array does not add up to `before`: a damaged record would take
/// the wrong page out of the checksum, and no restore of what follows would pass.
pub fn scan(
    image: &Image<'_>,
    array: &PageArray,
    before: Checksum,
    changes: &Path,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Changes> {
    compare(image, array, before, None, changes, workers, progress)
}

/// Like [`scan`](fn@scan), but reads only `pages`: no other may differ, and every page that is new is one of
/// them. The array is read, and added up, all the same.
pub fn scan_pages(
    image: &Image<'_>,
    array: &PageArray,
    before: Checksum,
    pages: &Bitmap,
    changes: &Path,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Changes> {
    compare(image, array, before, Some(pages), changes, workers, progress)
}

fn compare(
    image: &Image<'_>,
    array: &PageArray,
    before: Checksum,
    only: Option<&Bitmap>,
    changes: &Path,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Changes> {
    array.require_page_size(image.page_size())?;
    let page_count_before = array.page_count()?;
    let mut pages = Bitmap::new(image.page_count());
    let mut checksum = DatabaseChecksum::resume(before);
    let mut recorded = DatabaseChecksum::new();
    let mut out = ChangesWriter::create(changes, image.page_count())?;
    let window = Window::new(image, array, page_count_before, only);
    let per_window = image.pages_in(WINDOW);
    in_order(
        image.page_count().div_ceil(per_window),
        workers,
        |number| {
            let first = number * per_window + 1;
            let count = per_window.min(image.page_count() - (first - 1));
            window.scan(first, count, progress)
        },
        |(changed, known)| {
            toggle(&mut recorded, known);
            for page in changed {
                pages.insert(page.pgno);
                toggle(&mut checksum, page.before.unwrap_or(0));
                toggle(&mut checksum, page.record.checksum);
                out.push(page.pgno, &page.record)?;
            }
            Ok(())
        },
    )?;
    let gone = image.page_count().saturating_add(1)..page_count_before.saturating_add(1);
    array.each_record(gone, |_, record| {
        toggle(&mut checksum, record.checksum);
        toggle(&mut recorded, record.checksum);
        Ok(())
    })?;
    if recorded.value() != before {
        return Err(Error::PageArray {
            path: array.path().to_owned(),
            detail: format!("it adds up to checksum {}, expected {before}", recorded.value()),
        });
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
pub(crate) fn toggle(checksum: &mut DatabaseChecksum, recorded: u64) {
    if let Some(page) = Checksum::from_stored(recorded) {
        checksum.toggle(page);
    }
}

/// What every worker looks at.
pub(crate) struct Window<'a> {
    image: &'a Image<'a>,
    array: &'a PageArray,
    /// Pages in the array.
    known: u32,
    /// The only pages to look at; `None`: all.
    only: Option<&'a Bitmap>,
    buffers: Buffers,
}

impl<'a> Window<'a> {
    pub(crate) fn new(
        image: &'a Image<'a>,
        array: &'a PageArray,
        known: u32,
        only: Option<&'a Bitmap>,
    ) -> Self {
        Self { image, array, known, only, buffers: Buffers::default() }
    }

    /// The changed pages, and what all records of the window add up to.
    fn scan(
        &self,
        first: u32,
        count: u32,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(Vec<Changed>, u64)> {
        let records = self.array.read_raw(first, count as usize, self.known)?;
        let (records, _) = records.as_chunks::<RECORD>();
        let mut changed = Vec::new();
        let mut looked_at = 0;
        let (mut pgno, end) = (first, first + count);
        while let Some(run) = self.next_run(pgno, end) {
            let known = records.get((run.start - first) as usize..).unwrap_or_default();
            self.scan_run(run.clone(), known, &mut changed)?;
            looked_at += run.end - run.start;
            pgno = run.end;
        }
        progress(u64::from(looked_at) * u64::from(self.image.page_size().get()));
        let mut recorded = DatabaseChecksum::new();
        for record in records {
            toggle(&mut recorded, PageRecord::decode(record).checksum);
        }
        Ok((changed, recorded.value().get()))
    }

    /// The next consecutive pages from `from` to before `end` that are to be looked at.
    fn next_run(&self, from: u32, end: u32) -> Option<Range<u32>> {
        let wanted = |pgno: &u32| self.only.is_none_or(|only| only.contains(*pgno));
        let start = (from..end).find(wanted)?;
        let stop = if self.only.is_none() { None } else { (start..end).find(|pgno| !wanted(pgno)) };
        Some(start..stop.unwrap_or(end))
    }

    /// Adds those pages of the run that differ from `records`, which begin with that of its first page
    /// and may end early.
    pub(crate) fn scan_run(
        &self,
        run: Range<u32>,
        records: &[[u8; RECORD]],
        changed: &mut Vec<Changed>,
    ) -> Result<()> {
        let size = self.image.page_size().bytes();
        let per_piece = self.image.pages_in(PIECE);
        let mut buffer = self.buffers.take(per_piece as usize * size);
        for first in run.clone().step_by(per_piece as usize) {
            let pages = per_piece.min(run.end - first) as usize;
            let piece = &mut buffer[..pages * size];
            self.image.read(first, piece)?;
            let known = records.get((first - run.start) as usize..).unwrap_or_default();
            self.compare(first, piece.chunks_exact(size), known, changed);
        }
        self.buffers.give(buffer);
        Ok(())
    }

    fn compare<'p>(
        &self,
        first: u32,
        pages: impl Iterator<Item = &'p [u8]>,
        records: &[[u8; RECORD]],
        changed: &mut Vec<Changed>,
    ) {
        let mut records = records.iter();
        for (pgno, page) in (first..).zip(pages) {
            let old = records.next();
            if pgno == self.image.page_size().lock_page() {
                // Its record is zero, as whatever a growing page array is not given.
                continue;
            }
            let hash = self.array.key().hash(page);
            if old.is_some_and(|old| old[..16] == hash.to_le_bytes()) {
                continue;
            }
            let record = PageRecord::of(pgno, page, hash, page_checksum(pgno, page));
            let before = old.map(|old| PageRecord::decode(old).checksum);
            changed.push(Changed { pgno, record, before });
        }
    }
}
