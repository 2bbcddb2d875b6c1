//! Reading back: every byte that leaves here has the SHA-256 that names it.

mod blob;
mod file;
mod ranges;
mod shelf;
mod stream;
mod worker;

pub(crate) use self::blob::{must_be_short, not_listed, open, read_anywhere, read_range};
pub use self::file::FileReader;
pub(crate) use self::ranges::{PackRange, ranges};
pub use self::stream::{BlobStream, ReadOptions};
