//! SQLite's own check of a file that nobody writes to.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_ERROR;
use rusqlite::{Connection, OpenFlags};

use crate::ffi::{add_collations, add_function, drop_modules};
use crate::{Error, Result};

/// As many findings as are worth reading.
const FINDINGS: u32 = 20;

/// The page cache of the check.
pub(crate) const CACHE_KIB: i32 = 64 * 1024;

/// Runs `PRAGMA integrity_check` on a file without leaving anything beside it.
///
/// The file is opened as immutable: there must be no writer, WAL or journal, and no connection of
/// this process, whose locks on the file would be lost.
///
/// A schema may use collations, functions, tokenizers or modules that only the application knows.
/// Then the check is done again with less of it: first without virtual tables and CHECK
/// constraints; in the end with stand-ins for collations and functions, and only the b-trees and
/// the free pages are looked at, not what is in the rows.
pub fn integrity_check(path: &Path) -> Result<()> {
    check_with(&|| immutable(path), path)
}

/// The same with connections that `open` makes, one for each attempt; errors call the file `path`.
pub(crate) fn check_with(
    open: &dyn Fn() -> rusqlite::Result<Connection>,
    path: &Path,
) -> Result<()> {
    let failed = |source| Error::sqlite("check", path, source);
    let connection = open().map_err(failed)?;
    let mut found = findings(&connection, "integrity_check");
    if found.as_ref().is_err_and(needs_the_application) {
        found = plain(open).and_then(|plain| findings(&plain, "integrity_check"));
    }
    if found.as_ref().is_err_and(needs_the_application) {
        found = check_structure(open);
    }
    let mut found = found.map_err(failed)?;
    found.retain(|finding| finding != "ok");
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::Integrity { path: path.to_owned(), findings: found })
}

/// Opens a file that nobody writes to and that has neither WAL nor journal.
pub(crate) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Every row is looked up in every index: an index that fits into the cache is read once, in one
    // that does not, a page is read for each row.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Without virtual tables and CHECK constraints.
fn plain(open: &dyn Fn() -> rusqlite::Result<Connection>) -> rusqlite::Result<Connection> {
    let connection = open()?;
    drop_modules(&connection);
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    Ok(connection)
}

fn findings(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({FINDINGS})"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn check_structure(
    open: &dyn Fn() -> rusqlite::Result<Connection>,
) -> rusqlite::Result<Vec<String>> {
    let connection = plain(open)?;
    add_collations(&connection);
    let mut added = HashSet::new();
    loop {
        match findings(&connection, "quick_check") {
            Err(error) => match missing_function(&error) {
                Some(name) if added.insert(name.clone()) => add_function(&connection, &name),
                _ => return Err(error),
            },
            Ok(mut findings) => {
                // What is found in rows may be the fault of a stand-in. The findings in the
                // structure of the file come under this heading.
                findings.retain(|finding| finding.starts_with("*** in database "));
                return Ok(findings);
            }
        }
    }
}

/// Damage is a finding or `SQLITE_CORRUPT`. The general `SQLITE_ERROR` says that the check could not
/// be made, with texts of many kinds; a tokenizer that is missing even has none of its own.
fn needs_the_application(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code & 0xff == SQLITE_ERROR)
        || missing_function(error).is_some()
}

fn missing_function(error: &rusqlite::Error) -> Option<String> {
    let text = error.to_string();
    let (_, name) =
        text.split_once("no such function: ").or_else(|| text.split_once("unknown function: "))?;
    let name = name.split_whitespace().next()?;
    Some(name.trim_end_matches("()").to_owned())
}

/// `file:` with every byte escaped that SQLite would read as more than a path.
fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file:");
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                uri.push(char::from(*byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02x}");
            }
        }
    }
    uri + "?immutable=1"
}
