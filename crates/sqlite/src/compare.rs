//! Compares some pages of an image with the page array, at a cost of those pages alone.
//!
//! For captures in quick succession. A [`scan`](fn@crate::scan) adds up the whole array and so
//! notices a damaged record wherever it is; here only a record without a checksum is noticed.

use std::ops::Range;

use lifeboat_ltx::{Checksum, DatabaseChecksum};

use crate::page_array::{PageArray, PageRecord, RECORD};
use crate::record_run::RecordRun;
use crate::scan::{Changed, Window, toggle};
use crate::{Bitmap, Error, Image, Result};

/// Records of the array that are read at once.
const RECORDS: u32 = 4096;

/// Which pages of an image differ from the page array, and their records.
#[derive(Debug)]
pub struct PageChanges {
    /// The changed pages, without the lock page.
    pub pages: Bitmap,
    /// Pages in the image.
    pub page_count: u32,
    /// Pages in the image before.
    pub page_count_before: u32,
    /// The checksum of the image.
    pub checksum: Checksum,
    records: Vec<(u32, PageRecord)>,
}

/// Compares `pages` of an image with the page array: no other may differ, and every page that is new
/// is one of them. `before` is the checksum of the database that the array describes.
///
/// Holds 48 bytes for each changed page in memory.
pub fn compare_pages(
    image: &Image<'_>,
    array: &PageArray,
    before: Checksum,
    pages: &Bitmap,
) -> Result<PageChanges> {
    array.require_page_size(image.page_size())?;
    let page_count_before = array.page_count()?;
    let window = Window::new(image, array, page_count_before, None);
    let mut changed = Vec::new();
    for run in pages.runs(RECORDS) {
        let records = array.read_raw(run.start, run.len(), page_count_before)?;
        window.scan_run(run, records.as_chunks::<RECORD>().0, &mut changed)?;
    }
    let mut checksum = DatabaseChecksum::resume(before);
    let mut differing = Bitmap::new(image.page_count());
    let mut records = Vec::with_capacity(changed.len());
    for Changed { pgno, record, before } in changed {
        if let Some(before) = before {
            checksum.toggle(recorded(array, pgno, before)?);
        }
        toggle(&mut checksum, record.checksum);
        differing.insert(pgno);
        records.push((pgno, record));
    }
    let lock = image.page_size().lock_page();
    array.each_record(cut_off(image, page_count_before), |pgno, record| {
        if pgno != lock {
            checksum.toggle(recorded(array, pgno, record.checksum)?);
        }
        Ok(())
    })?;
    Ok(PageChanges {
        pages: differing,
        page_count: image.page_count(),
        page_count_before,
        checksum: checksum.value(),
        records,
    })
}

/// The pages that the image has no more.
fn cut_off(image: &Image<'_>, before: u32) -> Range<u32> {
    image.page_count().saturating_add(1)..before.saturating_add(1)
}

fn recorded(array: &PageArray, pgno: u32, checksum: u64) -> Result<Checksum> {
    Checksum::from_stored(checksum).ok_or_else(|| Error::PageArray {
        path: array.path().to_owned(),
        detail: format!("the record of page {pgno} has no checksum"),
    })
}

impl PageChanges {
    /// Whether the image is the one of the last capture.
    pub fn none(&self) -> bool {
        self.records.is_empty() && self.page_count == self.page_count_before
    }

    /// Brings the page array up to the image. Doing it again changes nothing.
    ///
    /// Not durable until [`PageArray::sync`]: after a crash in between, the captures since the last
    /// one are [replayed](PageArray::replay).
    pub fn apply(&self, array: &PageArray) -> Result<()> {
        let write = |first, records: &[u8]| array.write_records(first, records);
        let mut run = RecordRun::default();
        for (pgno, record) in &self.records {
            run.push(*pgno, &record.encode(), write)?;
        }
        run.end(write)?;
        array.set_page_count(self.page_count)
    }
}
