//! Reads a live SQLite database page by page without disturbing it, and puts one back.
//!
//! ```text
//! open  a read-only connection that never writes, checkpoints or rolls back
//! pin   a read transaction, or a private copy where the database cannot be read in place
//! image the pages of that transaction: the database file overlaid with the frames of its WAL
//! since which pages may have changed since the former capture, where the WAL or the file proves it
//! track the same from one capture to the next, without letting go in between
//! scan  those pages, else all, against the page array of that capture: which did change
//! compare the same for a few pages, reading nothing else
//! encode  the image, or its changed pages, as LTX
//! stage   LTX files applied to a file beside the target, verified
//! replace the target swapped for the staged file, the former one moved aside
//! standby a database kept applied while others read it: LTX files applied through SQLite
//! ```
//!
//! The application's database is only ever opened through SQLite's own file layer. A second
//! descriptor on it, opened and closed in this process, would silently drop the POSIX locks that
//! every connection of the process holds on it.

mod apply;
mod array_replay;
mod array_stage;
mod bitmap;
mod buffer;
mod changes;
mod check_live;
mod companions;
mod compare;
mod condition;
mod copy;
mod course;
mod encode;
mod engine;
mod error;
mod ffi;
mod frames;
mod geometry;
mod header;
mod image;
mod integrity;
mod locate;
mod moment;
mod open;
mod overwrite;
mod page_array;
mod pages;
mod parallel;
mod pin;
mod record_run;
mod replace;
mod replay;
mod rows;
mod scan;
mod schema;
mod since;
mod stage;
mod stamp;
mod standby;
mod standing;
mod tail;
mod traces;
mod tracker;
mod users;
mod version;
mod wal;
mod wal_index;

pub use array_stage::PageArrayStage;
pub use bitmap::Bitmap;
pub use changes::{apply_changes, changed_pages, write_no_changes};
pub use check_live::{LiveCheck, check_live};
pub use compare::{PageChanges, compare_pages};
pub use condition::{Access, Condition, condition};
pub use encode::{Encoded, encode_base, encode_changes};
pub use engine::{check_engine, engine_version};
pub use error::{Error, Result};
pub use header::{DatabaseHeader, read_beginning, read_header};
pub use image::Image;
pub use integrity::integrity_check;
pub use moment::{FileStamp, Moment, WalMoment};
pub use page_array::{HashKey, PageArray, PageArrayWriter, PageRecord};
pub use pin::{JournalMode, Pin, pin};
pub use replace::{Aside, Replaced, SIDECARS, place, replace, resolve_target, sidecars};
pub use rows::count_rows;
pub use scan::{Changes, scan, scan_pages};
pub use schema::{Schema, Table};
pub use since::{Doubt, Since, since};
pub use stage::{Applied, Stage};
pub use stamp::{ParseStampError, Stamp};
pub use standby::{Held, Standby};
pub use tracker::{Advance, HandOver, Patience, Step, Tracker};
pub use users::users;
pub use version::SqliteVersion;
pub use wal::{WalHeader, WalPosition};
