//! LTX, the file format of Litestream 0.5: the pages that a range of SQLite transactions left behind.
//!
//! Bytes in, bytes out: this crate opens no files and knows no SQLite. A file is a [`Header`], page
//! frames in ascending page order, a page index and a [`Trailer`]. Decoder and merge need no memory per
//! page, nor does the encoder for consecutive pages that it does not compress.
//!
//! Files of ours state the database's checksum before and after in the header's reserved bytes, which
//! other readers ignore, and leave the format's own fields for it empty, because Litestream refuses
//! files that fill them.

mod block;
mod checksum;
mod compact;
mod crc;
mod decoder;
mod encoder;
mod error;
mod header;
mod index;
mod legacy;
mod merge;
mod name;
mod order;
mod page_size;
mod trailer;
mod txid;
mod window;

pub use block::PageBlocks;
pub use checksum::{Checksum, DatabaseChecksum, PageCrc, page_checksum};
pub use compact::compact;
pub use decoder::Decoder;
pub use encoder::{Encoder, PageCoding};
pub use error::{Error, Result};
pub use header::{ChecksumPlace, HEADER_BYTES, Header, WalRange};
pub use merge::{Merge, merge_headers};
pub use name::{format_name, parse_name};
pub use page_size::PageSize;
pub use trailer::{TRAILER_BYTES, Trailer};
pub use txid::{Txid, TxidRange};
