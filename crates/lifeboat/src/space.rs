//! Free space.

use std::path::Path;

use crate::{Error, Result};

/// Bytes that may be written to the file system of `path` by this user.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let system = rustix::fs::statvfs(path)
        .map_err(|error| Error::file("look at the free space of", path)(error.into()))?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// [`Error::Space`] unless there is room for `needed` bytes.
pub(crate) fn require(path: &Path, needed: u64) -> Result<u64> {
    let free = free_bytes(path)?;
    if free < needed {
        return Err(Error::Space { path: path.to_owned(), needed, free });
    }
    Ok(free)
}
