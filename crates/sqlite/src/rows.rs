//! Counts the rows of tables from their b-trees, without asking SQLite to read them.
//!
//! `SELECT count(*)` reads every page of a table. The page array already knows how many cells each
//! page has, so only the interior pages are read here: about one in a hundred.

use crate::page_array::{PageArray, PageRecord, RECORD, btree_page};
use crate::{Bitmap, Image, Result};

/// B-tree page types (file format, section 1.6).
const INTERIOR_INDEX: u8 = 2;
const INTERIOR_TABLE: u8 = 5;
const LEAF_INDEX: u8 = 10;
const LEAF_TABLE: u8 = 13;

/// The rows of the b-tree at `root`, a rowid table or a WITHOUT ROWID one.
///
/// `array` describes every page of the image except those in `changed`. `Ok(None)` where the pages
/// do not form a b-tree: the database is damaged there.
pub fn count_rows(
    image: &Image<'_>,
    array: &PageArray,
    changed: &Bitmap,
    root: u32,
) -> Result<Option<u64>> {
    let mut pages = Pages { image, array, changed, window: Vec::new(), window_first: 0 };
    let mut rows = 0;
    let mut open = vec![root];
    let mut seen: usize = 1;
    let mut of_index = None;
    while let Some(pgno) = open.pop() {
        // A page that two others point to leads round in a circle, or at least to a wrong count.
        if pgno == 0 || pgno > image.page_count() || seen > image.page_count() as usize {
            return Ok(None);
        }
        let (kind, cells) = pages.kind_and_cells(pgno)?;
        let index = matches!(kind, INTERIOR_INDEX | LEAF_INDEX);
        if *of_index.get_or_insert(index) != index {
            return Ok(None);
        }
        match kind {
            LEAF_TABLE | LEAF_INDEX => rows += u64::from(cells),
            INTERIOR_TABLE | INTERIOR_INDEX => {
                // The entries of an index live in its interior pages too.
                rows += if kind == INTERIOR_INDEX { u64::from(cells) } else { 0 };
                let page = image.page(pgno)?;
                let Some(children) = children(pgno, &page) else { return Ok(None) };
                seen += children.len();
                open.extend(children);
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(rows))
}

/// The children of an interior page; the last first, so that popping goes in order.
fn children(pgno: u32, page: &[u8]) -> Option<Vec<u32>> {
    let header = if pgno == 1 { 100 } else { 0 };
    let (_, cells) = btree_page(pgno, page);
    let mut children = Vec::with_capacity(usize::from(cells) + 1);
    children.push(word(page, header + 8)?);
    for cell in (0..usize::from(cells)).rev() {
        let pointer = page.get(header + 12 + 2 * cell..header + 14 + 2 * cell)?;
        let at = u16::from_be_bytes([pointer[0], pointer[1]]);
        children.push(word(page, usize::from(at))?);
    }
    Some(children)
}

fn word(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Looks pages up in the page array through one window, since leaves mostly lie side by side.
struct Pages<'a> {
    image: &'a Image<'a>,
    array: &'a PageArray,
    changed: &'a Bitmap,
    window: Vec<u8>,
    window_first: u32,
}

impl Pages<'_> {
    const WINDOW: usize = 128;

    fn kind_and_cells(&mut self, pgno: u32) -> Result<(u8, u16)> {
        if self.changed.contains(pgno) {
            return Ok(btree_page(pgno, &self.image.page(pgno)?));
        }
        let at = (pgno.wrapping_sub(self.window_first)) as usize * RECORD;
        if self.window_first == 0 || pgno < self.window_first || at >= self.window.len() {
            let count = self.array.page_count()?;
            self.window = self.array.read_raw(pgno, Self::WINDOW, count)?;
            self.window_first = pgno;
        }
        let at = (pgno - self.window_first) as usize * RECORD;
        let record = self.window.get(at..at + RECORD).and_then(|bytes| bytes.try_into().ok());
        let record = record.map_or_else(PageRecord::default, PageRecord::decode);
        Ok((record.kind, record.cells))
    }
}
