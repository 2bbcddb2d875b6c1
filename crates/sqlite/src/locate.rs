//! Finding the file that a path means.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The regular file behind a path, its links followed: SQLite keeps WAL and journal beside that.
pub(crate) fn locate(path: &Path) -> Result<PathBuf> {
    let look = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_owned() },
        _ => Error::File { operation: "look at", path: path.to_owned(), source },
    };
    let real = path.canonicalize().map_err(look)?;
    // To open a pipe would wait for a writer.
    if !real.metadata().map_err(look)?.is_file() {
        return Err(Error::NotADatabase { path: path.to_owned() });
    }
    // SQLite would only say that it cannot open it.
    rustix::fs::access(&real, rustix::fs::Access::READ_OK)
        .map_err(|error| Error::file("read", path)(error.into()))?;
    Ok(real)
}

/// The path of a companion file: `app.db` and `-wal` give `app.db-wal`.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a name is taken, be it by a link to nowhere.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
