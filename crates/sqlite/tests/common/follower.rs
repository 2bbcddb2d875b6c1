//! Captures one after the other, each found twice: from the moment of the former one, and by reading
//! everything.

use std::path::Path;

use lifeboat_ltx::Checksum;
use lifeboat_sqlite::{
    Doubt, Moment, PageArray, Pin, Since, apply_changes, pin, scan, scan_pages, since,
};

use super::{base, bytes, naive_checksum};

/// What was captured last.
pub(crate) struct Follower {
    directory: tempfile::TempDir,
    pub(crate) moment: Option<Moment>,
    checksum: Checksum,
}

/// How a capture found out what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    Nothing,
    /// Pages looked at, pages that differ.
    Wal(u32, u32),
    Scan(Doubt),
}

impl Follower {
    pub(crate) fn begin(database: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pinned = pin(database, directory.path()).unwrap();
        let (_, checksum) = base(&pinned.image().unwrap(), &directory.path().join("pages"));
        Self { directory, moment: pinned.moment().copied(), checksum }
    }

    /// Captures; whatever `since` says must be what a scan of the same pin finds.
    #[track_caller]
    pub(crate) fn capture(&mut self, database: &Path) -> Way {
        let pinned = pin(database, self.directory.path()).unwrap();
        self.capture_pinned(&pinned)
    }

    #[track_caller]
    pub(crate) fn capture_pinned(&mut self, pinned: &Pin) -> Way {
        let path = |name: &str| self.directory.path().join(name);
        let array = PageArray::open(&path("pages")).unwrap();
        let (all, some) = (path("all"), path("some"));
        let image = pinned.image().unwrap();
        let found = scan(&image, &array, self.checksum, &all, 2, &|_| ()).unwrap();
        assert_eq!(found.checksum, naive_checksum(&bytes(&image), image.page_size()));
        let way = match since(pinned, &self.moment.unwrap()).unwrap() {
            Since::Nothing => {
                assert!(found.none(), "pages {:?} changed", found.pages.iter().collect::<Vec<_>>());
                Way::Nothing
            }
            Since::Pages { image, pages } => {
                let (before, changes) = (self.checksum, &some);
                let part = scan_pages(&image, &array, before, &pages, changes, 2, &|_| ()).unwrap();
                let numbers = |pages: &lifeboat_sqlite::Bitmap| pages.iter().collect::<Vec<_>>();
                assert_eq!(numbers(&part.pages), numbers(&found.pages));
                assert_eq!(part.checksum, found.checksum);
                assert_eq!(part.page_count, found.page_count);
                assert_eq!(part.page_count_before, found.page_count_before);
                assert!(std::fs::read(&all).unwrap() == std::fs::read(&some).unwrap());
                Way::Wal(pages.len(), part.pages.len())
            }
            Since::Anything { doubt, .. } => Way::Scan(doubt),
        };
        apply_changes(&all, &array).unwrap();
        self.checksum = found.checksum;
        self.moment = pinned.moment().copied();
        way
    }
}
