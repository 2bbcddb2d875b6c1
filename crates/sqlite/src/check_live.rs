//! SQLite's own check of a database that is in use.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_ERROR;
use rusqlite::{Connection, OpenFlags};

use crate::buffer::Buffer;
use crate::copy::create_private;
use crate::integrity::{CACHE_KIB, check_with, immutable};
use crate::locate::locate;
use crate::open::BUSY;
use crate::pin::pin;
use crate::{Error, Image, Result};

/// Copied in pieces of about this size.
const PIECE: usize = 1 << 20;

/// What a check of a live database found besides damage, which is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveCheck {
    /// Bytes of the private copy that was checked instead; 0 where it was checked in place.
    pub copied_bytes: u64,
    /// Rows that refer to a row that is not there, by table and the table it should be in.
    pub dangling: BTreeMap<(String, String), u64>,
    /// Why references could not be checked, where that is so.
    pub unchecked: Option<String>,
}

/// Runs `integrity_check` and `foreign_key_check` on a database that applications write to.
///
/// In WAL mode it is checked where it is, in read transactions, which hold no writer back; the WAL
/// grows meanwhile. A rollback-journal database is copied into `scratch` at the speed of the disk,
/// because its writers wait for a reader, and the copy is checked. Memory does not grow with the
/// database.
///
/// [`Error::Integrity`] or [`Error::Corrupt`] is damage.
pub fn check_live(path: &Path, scratch: &Path) -> Result<LiveCheck> {
    let real = locate(path)?;
    // In WAL mode it is held to the end: it removes the traces of all connections.
    let pin = pin(path, scratch)?;
    if !pin.blocks_writers() && !pin.is_copy() {
        return check_all(&|| open_live(&real), path, 0);
    }
    let copy = Scratch(scratch.join(format!("check-{}.db", std::process::id())));
    let copied_bytes = write_image(&pin.image()?, &copy.0)?;
    drop(pin);
    check_all(&|| immutable(&copy.0), path, copied_bytes)
}

fn check_all(
    open: &dyn Fn() -> rusqlite::Result<Connection>,
    path: &Path,
    copied_bytes: u64,
) -> Result<LiveCheck> {
    check_with(open, path)?;
    let mut check = LiveCheck { copied_bytes, ..LiveCheck::default() };
    match dangling(open) {
        Ok(dangling) => check.dangling = dangling,
        // A function or collation of the application's is missing, or a parent has no such key.
        Err(error) if is_general(&error) => check.unchecked = Some(error.to_string()),
        Err(error) => return Err(Error::sqlite("check", path, error)),
    }
    Ok(check)
}

fn dangling(
    open: &dyn Fn() -> rusqlite::Result<Connection>,
) -> rusqlite::Result<BTreeMap<(String, String), u64>> {
    let connection = open()?;
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut dangling = BTreeMap::new();
    while let Some(row) = rows.next()? {
        *dangling.entry((row.get(0)?, row.get(2)?)).or_insert(0) += 1;
    }
    Ok(dangling)
}

fn is_general(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code & 0xff == SQLITE_ERROR)
}

/// Unlike every other connection of ours, it takes a malformed schema for what it is.
fn open_live(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Writes all pages to a new file; returns its size.
fn write_image(image: &Image<'_>, path: &Path) -> Result<u64> {
    let mut out: File = create_private(path)?;
    let page = image.page_size().bytes();
    let pages = u32::try_from(PIECE.div_ceil(page)).unwrap_or(1);
    let mut piece = Buffer::new(page * pages as usize);
    let mut first = 1;
    while first <= image.page_count() {
        let count = pages.min(image.page_count() - first + 1);
        let bytes = &mut piece[..page * count as usize];
        image.read(first, bytes)?;
        out.write_all(bytes).map_err(Error::file("write", path))?;
        first += count;
    }
    Ok(image.size())
}

/// A private copy, removed when dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed here goes with its directory.
        let _ = std::fs::remove_file(&self.0);
    }
}
