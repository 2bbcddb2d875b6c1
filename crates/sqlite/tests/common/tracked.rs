//! A database that is followed step by step; each step is held against the whole image.

use std::path::{Path, PathBuf};

use lifeboat_ltx::Checksum;
use lifeboat_sqlite::{
    Advance, Doubt, Error, HandOver, Moment, PageArray, Patience, Step, Tracker, compare_pages,
    pin, scan,
};

use super::{assert_same, base, bytes, naive_checksum};

/// What an advance came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    Nowhere,
    /// Pages looked at, pages that differ.
    On(u32, u32),
    Astray(Doubt),
}

pub(crate) struct Tracked {
    directory: tempfile::TempDir,
    pub(crate) tracker: Option<Tracker>,
    pub(crate) captured: Captured,
}

/// The copy that the steps are applied to.
pub(crate) struct Captured {
    pages: PathBuf,
    scratch: PathBuf,
    pub(crate) bytes: Vec<u8>,
    checksum: Checksum,
    salts: Option<[u8; 8]>,
    /// Restarts of the WAL that steps went across.
    pub(crate) restarts: u32,
}

impl Tracked {
    /// Captures the whole database and goes on from there.
    pub(crate) fn begin(database: &Path) -> Self {
        let directory = tempfile::tempdir_in(database.parent().unwrap()).unwrap();
        let (pages, scratch) = (directory.path().join("pages"), directory.path().join("scratch"));
        let pinned = pin(database, directory.path()).unwrap();
        let image = pinned.image().unwrap();
        let (_, checksum) = base(&image, &pages);
        let (bytes, salts) = (bytes(&image), salts(pinned.moment().unwrap()));
        drop(image);
        let tracker = Tracker::start(pinned).unwrap();
        assert!(tracker.is_some());
        let captured = Captured { pages, scratch, bytes, checksum, salts, restarts: 0 };
        Self { directory, tracker, captured }
    }

    pub(crate) fn tracker(&mut self) -> &mut Tracker {
        self.tracker.as_mut().unwrap()
    }

    #[track_caller]
    pub(crate) fn advance(&mut self) -> Went {
        match self.tracker.as_mut().unwrap().advance().unwrap() {
            Advance::Nothing => Went::Nowhere,
            Advance::Lost(doubt) => Went::Astray(doubt),
            Advance::Step(step) => self.captured.capture(step),
        }
    }

    pub(crate) fn hand_over(&mut self, patience: &Patience) -> HandOver {
        let Self { tracker, captured, .. } = self;
        let capture = |step: Step<'_>| {
            captured.capture(step);
            Ok::<_, Error>(())
        };
        tracker.as_mut().unwrap().hand_over(patience, capture).unwrap()
    }

    /// After the track was lost: a new pin is scanned, and followed.
    #[track_caller]
    pub(crate) fn begin_again(&mut self, database: &Path) {
        self.tracker = None;
        let pinned = pin(database, self.directory.path()).unwrap();
        let image = pinned.image().unwrap();
        self.captured.bytes = bytes(&image);
        self.captured.checksum = base(&image, &self.captured.pages).1;
        self.captured.salts = salts(pinned.moment().unwrap());
        drop(image);
        self.tracker = Tracker::start(pinned).unwrap();
    }
}

fn salts(moment: &Moment) -> Option<[u8; 8]> {
    moment.wal.map(|wal| wal.position.salts)
}

impl Captured {
    /// Applies a step to the copy, which must then be the image, and keeps it.
    #[track_caller]
    pub(crate) fn capture(&mut self, step: Step<'_>) -> Went {
        let image = step.image().unwrap();
        let page_size = image.page_size();
        let size = page_size.bytes();
        let array = PageArray::open(&self.pages).unwrap();
        let found = compare_pages(&image, &array, self.checksum, step.pages()).unwrap();
        self.bytes.resize(usize::try_from(image.size()).unwrap(), 0);
        for pgno in found.pages.iter() {
            let at = (pgno as usize - 1) * size;
            self.bytes[at..at + size].copy_from_slice(&image.page(pgno).unwrap());
        }
        assert_same(&self.bytes, &bytes(&image), size, "the changed pages on the former ones");
        assert_eq!(found.checksum, naive_checksum(&self.bytes, page_size));
        found.apply(&array).unwrap();
        // Every record is right, and all of them add up.
        let again = scan(&image, &array, found.checksum, &self.scratch, 1, &|_| ()).unwrap();
        assert!(again.none());
        self.checksum = found.checksum;
        let salts = salts(step.moment());
        self.restarts += u32::from(self.salts.is_some() && self.salts != salts);
        self.salts = salts;
        let went = Went::On(step.pages().len(), found.pages.len());
        drop(image);
        step.keep();
        went
    }
}
