//! SQLite's own check of a file that nobody writes to.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::{Error, Result};

/// As many findings as are worth reading.
const FINDINGS: u32 = 20;

/// Runs `PRAGMA integrity_check` on a file without leaving anything beside it.
///
/// The file is opened as immutable: there must be no writer, WAL or journal. Where the schema uses
/// a collation or module that only the application knows, indexes cannot be compared with their
/// tables; then `PRAGMA quick_check` looks at everything else.
pub fn integrity_check(path: &Path) -> Result<()> {
    let failed = |source| Error::sqlite("check", path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(immutable_uri(path), flags).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(failed)?;
    let findings = match findings(&connection, "integrity_check") {
        Err(error) if needs_the_application(&error) => findings(&connection, "quick_check"),
        other => other,
    };
    match findings {
        Ok(findings) if findings == ["ok"] => Ok(()),
        Ok(findings) => Err(Error::Integrity { path: path.to_owned(), findings }),
        Err(source) => Err(failed(source)),
    }
}

fn findings(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({FINDINGS})"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn needs_the_application(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.contains("no such collation sequence") || text.contains("no such module")
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
