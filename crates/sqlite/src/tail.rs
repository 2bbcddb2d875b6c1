//! What the WAL holds after a position.

use crate::Bitmap;
use crate::wal::FrameHeader;

/// Collected while the frames of a WAL are read from the first one on.
#[derive(Debug)]
pub(crate) struct Tail {
    after: u32,
    /// The running checksum at the frame that it follows.
    pub(crate) checksum: Option<[u32; 2]>,
    /// Frames that end a commit.
    pub(crate) commits: u32,
    /// The fewest pages that the database had after any of these commits.
    pub(crate) least_pages: u32,
    /// The pages of these frames, as far as the database still has them.
    pub(crate) pages: Bitmap,
}

impl Tail {
    /// Of the frames behind frame `after`, in a WAL of a database that has `page_count` pages now.
    pub(crate) fn new(after: u32, page_count: u32) -> Self {
        let pages = Bitmap::new(page_count);
        Self { after, checksum: None, commits: 0, least_pages: u32::MAX, pages }
    }

    /// Takes the next frame; `checksum` is the running one at its end.
    pub(crate) fn take(&mut self, frame: u32, header: &FrameHeader, checksum: [u32; 2]) {
        if frame == self.after {
            self.checksum = Some(checksum);
        }
        if frame <= self.after {
            return;
        }
        self.pages.insert(header.pgno);
        if header.commit > 0 {
            self.commits = self.commits.wrapping_add(1);
            self.least_pages = self.least_pages.min(header.commit);
        }
    }

    /// The pages that may differ between a database of `before` pages at the frame that the tail
    /// follows and one of `now` pages at its end: those of the frames, and all above the smallest
    /// size in between.
    pub(crate) fn candidates(self, before: u32, now: u32) -> Bitmap {
        let mut pages = self.pages;
        for pgno in self.least_pages.min(before).saturating_add(1)..=now {
            pages.insert(pgno);
        }
        pages
    }
}
