//! The last 16 bytes of a file, and what is known once they are reached.

use crate::Checksum;

/// Length of the trailer.
pub const TRAILER_BYTES: usize = 16;

/// What the end of a file settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Of the database after applying the file. Computed from the pages for a base, which also proves what
    /// the file states; otherwise as stated, by header or trailer.
    pub checksum_after: Option<Checksum>,
    /// Of the file: header, page frames with their uncompressed pages, index.
    pub file_checksum: Checksum,
    /// Pages in the file.
    pub pages: u64,
    /// Length of the file, trailer included.
    pub size_bytes: u64,
}
