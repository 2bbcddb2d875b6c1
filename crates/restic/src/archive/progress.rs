//! What an archiving tells while it goes on.

use lifeboat_files::{Entry, Problem};

/// Follows an archiving. All calls come from the thread that archives, in the order of the source.
pub trait ArchiveProgress {
    /// An entry is begun with.
    fn entry(&self, entry: &Entry) {
        let _ = entry;
    }

    /// So many bytes of content are dealt with: read, or known to be stored already.
    fn content(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something could not be read.
    fn problem(&self, problem: &Problem) {
        let _ = problem;
    }
}

/// Does not follow.
impl ArchiveProgress for () {}
