//! Reads a live SQLite database page by page without disturbing it, and puts one back.
//!
//! ```text
//! open  a read-only connection that never writes, checkpoints or rolls back
//! pin   a read transaction, or a private copy where the database cannot be read in place
//! image the pages of that transaction: the database file overlaid with the frames of its WAL
//! scan  the image against the page array of the former capture: which pages changed
//! encode  the image, or its changed pages, as LTX
//! stage   LTX files applied to a file beside the target, verified
//! replace the target swapped for the staged file, the former one moved aside
//! ```
//!
//! The application's database is only ever opened through SQLite's own file layer. A second
//! descriptor on it, opened and closed in this process, would silently drop the POSIX locks that
//! every connection of the process holds on it.

mod bitmap;
mod buffer;
mod changes;
mod copy;
mod encode;
mod engine;
mod error;
mod ffi;
mod header;
mod image;
mod integrity;
mod locate;
mod open;
mod page_array;
mod parallel;
mod pin;
mod replace;
mod rows;
mod scan;
mod schema;
mod stage;
mod traces;
mod users;
mod wal;
mod wal_index;

pub use bitmap::Bitmap;
pub use changes::{apply_changes, changed_pages};
pub use encode::{Encoded, encode_base, encode_changes};
pub use engine::check_engine;
pub use error::{Error, Result};
pub use header::{DatabaseHeader, read_header};
pub use image::Image;
pub use integrity::integrity_check;
pub use page_array::{HashKey, PageArray, PageArrayWriter, PageRecord};
pub use pin::{JournalMode, Pin, pin};
pub use replace::{Aside, Replaced, place, replace, resolve_target, sidecars};
pub use rows::count_rows;
pub use scan::{Changes, scan};
pub use schema::{Schema, Table};
pub use stage::{Applied, Stage};
pub use wal::{WalHeader, WalPosition};
