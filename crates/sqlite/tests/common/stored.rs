//! A database of made-up pages, which SQLite never looks into.

use std::path::{Path, PathBuf};

use lifeboat_ltx::Checksum;
use lifeboat_sqlite::{Changes, PageArray, Pin, apply_changes, pin, scan};

use super::{Place, base, naive_checksum};

/// A file that has the header of a database and otherwise any bytes, and its page array.
pub(crate) struct Stored {
    pub(crate) place: Place,
    pub(crate) page_size: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) checksum: Checksum,
}

impl Stored {
    pub(crate) fn new(page_size: u32, pages: &[u8]) -> Self {
        let place = Place::new();
        let checksum = Checksum::EMPTY;
        let mut stored = Self { place, page_size, bytes: Vec::new(), checksum };
        stored.set(pages);
        let pinned = stored.pin();
        stored.checksum = base(&pinned.image().unwrap(), &stored.pages()).1;
        stored
    }

    /// Makes each page of the one byte given, the header of the first apart.
    pub(crate) fn set(&mut self, pages: &[u8]) {
        self.bytes = pages.iter().flat_map(|fill| vec![*fill; self.page_size as usize]).collect();
        let header = &mut self.bytes[..100];
        header.fill(0);
        header[..16].copy_from_slice(b"SQLite format 3\0");
        let size = if self.page_size == 65_536 { 1 } else { self.page_size };
        header[16..18].copy_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
        header[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        header[28..32].copy_from_slice(&u32::try_from(pages.len()).unwrap().to_be_bytes());
        std::fs::write(&self.place.database, &self.bytes).unwrap();
    }

    pub(crate) fn pin(&self) -> Pin {
        pin(&self.place.database, &self.place.scratch()).unwrap()
    }

    pub(crate) fn pages(&self) -> PathBuf {
        self.place.path("pages")
    }

    pub(crate) fn changes(&self) -> PathBuf {
        self.place.path("changes")
    }

    pub(crate) fn array(&self) -> PageArray {
        PageArray::open(&self.pages()).unwrap()
    }

    pub(crate) fn scan(&self) -> Changes {
        self.try_scan().unwrap()
    }

    pub(crate) fn try_scan(&self) -> lifeboat_sqlite::Result<Changes> {
        let pinned = self.pin();
        let image = pinned.image().unwrap();
        scan(&image, &self.array(), self.checksum, &self.changes(), 2, &|_| ())
    }

    pub(crate) fn apply(&mut self, changes: &Changes) {
        apply_changes(&self.changes(), &self.array()).unwrap();
        self.checksum = changes.checksum;
    }

    pub(crate) fn naive_checksum(&self) -> Checksum {
        naive_checksum(&self.bytes, lifeboat_ltx::PageSize::new(self.page_size).unwrap())
    }

    /// The array as a capture from nothing would write it.
    pub(crate) fn fresh_array(&self) -> Vec<u8> {
        let path = self.place.path("fresh");
        base(&self.pin().image().unwrap(), &path);
        read(&path)
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
