//! SQLite's own check of a file that nobody writes to.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::ffi::drop_modules;
use crate::{Error, Result};

/// As many findings as are worth reading.
const FINDINGS: u32 = 20;

/// Runs `PRAGMA integrity_check` on a file without leaving anything beside it.
///
/// The file is opened as immutable: there must be no writer, WAL or journal, and no connection of
/// this process, whose locks on the file would be lost.
///
/// A schema may use collations, functions, tokenizers or modules that only the application knows.
/// Then the check is done again with less of it: first without virtual tables and CHECK
/// constraints, then as `PRAGMA quick_check`, which does not compare indexes with their tables, and
/// in the end table by table, without those that cannot be checked.
pub fn integrity_check(path: &Path) -> Result<()> {
    let failed = |source| Error::sqlite("check", path, source);
    let attempts = [("integrity_check", false), ("integrity_check", true), ("quick_check", true)];
    for (pragma, plain) in attempts {
        let connection = open(path, plain).map_err(failed)?;
        match findings(&connection, pragma, &FINDINGS.to_string()) {
            Err(error) if needs_the_application(&error) => {}
            findings => return verdict(path, findings.map_err(failed)?),
        }
    }
    verdict(path, check_tables(&open(path, true).map_err(failed)?).map_err(failed)?)
}

fn verdict(path: &Path, mut findings: Vec<String>) -> Result<()> {
    findings.retain(|finding| finding != "ok");
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error::Integrity { path: path.to_owned(), findings })
}

/// `plain`: without what the application may have added to SQLite.
fn open(path: &Path, plain: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    if plain {
        drop_modules(&connection);
        connection.pragma_update(None, "ignore_check_constraints", true)?;
    }
    Ok(connection)
}

fn findings(
    connection: &Connection,
    pragma: &str,
    argument: &str,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({argument})"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn check_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for name in names {
        let quoted = format!("'{}'", name?.replace('\'', "''"));
        match findings(connection, "quick_check", &quoted) {
            Err(error) if needs_the_application(&error) => {}
            findings => found.extend(findings?),
        }
    }
    Ok(found)
}

fn needs_the_application(error: &rusqlite::Error) -> bool {
    const MISSING: [&str; 6] = [
        "no such collation sequence",
        "no such module",
        "no such function",
        "no such tokenizer",
        "unknown tokenizer",
        "error in tokenizer constructor",
    ];
    let text = error.to_string();
    MISSING.iter().any(|missing| text.contains(missing))
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
