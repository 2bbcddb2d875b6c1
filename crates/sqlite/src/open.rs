//! Opening a database for reading without leaving a mark on it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::{Error, Result};

/// How long to wait for a lock. Writers of a rollback journal keep readers out only while they
/// write their pages back, but many of them in turn can do so for long.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// Opens a database read-only.
///
/// Read-only and without a checkpoint on close: the last connection to close a WAL database
/// otherwise moves the log into the database and removes it, which is the application's to do. Locks
/// are waited for as long as `patience`.
pub(crate) fn open_read_only(path: &Path, patience: Duration) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    open(path, flags, patience)
}

/// Opens a database for writing without waiting for locks; read-only where it may not be written
/// to. Like a read-only one, the connection leaves the WAL as it is when it closes.
pub(crate) fn open_read_write(path: &Path) -> Result<Connection> {
    open(path, READ_WRITE, Duration::ZERO)
}

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
    .union(OpenFlags::SQLITE_OPEN_EXRESCODE);

/// Opens a private copy for writing, so that SQLite replays its journal. A copy need not survive
/// a power failure.
pub(crate) fn open_private(path: &Path) -> Result<Connection> {
    let connection = open(path, READ_WRITE, BUSY)?;
    connection
        .pragma_update(None, "synchronous", "off")
        .map_err(|source| Error::sqlite("open", path, source))?;
    Ok(connection)
}

/// Opens a standby for writing, in WAL mode. It is ours: its WAL is checkpointed as usual, and what is
/// committed survives a power failure. A WAL that is begun anew is cut to `wal_limit` bytes.
pub(crate) fn open_standby(path: &Path, wal_limit: u64) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = open(path, flags, BUSY)?;
    let prepare = || {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))?;
        connection.query_row(&format!("PRAGMA journal_size_limit = {wal_limit}"), [], |_| Ok(()))
    };
    prepare().map_err(|source| Error::sqlite("open", path, source))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags, patience: Duration) -> Result<Connection> {
    let failed = |source| Error::sqlite("open", path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection, patience).map_err(failed)?;
    Ok(connection)
}

fn prepare(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    // A malformed row of the schema would otherwise fail every statement, and a file that was cut
    // be taken for corrupt as a whole.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // No trigger or view of the application's schema runs code of ours.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A mapped file that is truncated kills the process with SIGBUS.
    connection.pragma_update(None, "mmap_size", 0)
}
