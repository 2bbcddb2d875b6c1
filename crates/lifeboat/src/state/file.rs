//! Small files that are replaced as a whole, durably.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Makes a directory, and those above it, that only their owner can enter.
pub(crate) fn create_private_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::file("create directory", path))
}

/// Makes a file that only its owner can read, or empties the one that is there.
pub(super) fn create_private_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("create", path))
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_directory_of(path: &Path) -> Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::file("sync", directory))
}

/// Reads a JSON file; `None` where there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| Error::State { path: path.to_owned(), detail: error.to_string() })
}

/// Replaces a JSON file: written beside it, synced, renamed, directory synced.
pub(crate) fn save(path: &Path, value: &impl Serialize) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    let text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::State { path: path.to_owned(), detail: error.to_string() })?;
    replace_private_file(path, &text)
}

/// Replaces a file that only its owner can read, durably and as a whole.
pub(crate) fn replace_private_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    // What a killed process left there may have been opened to others since.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file("remove", &new)(error));
        }
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(Error::file("write", &new))?;
    std::fs::rename(&new, path).map_err(Error::file("replace", path))?;
    sync_directory_of(path)
}

/// Waits until nobody else holds this lock; it is held until the file is dropped.
pub(super) fn lock(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    let file = create_private_file(path)?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| Error::file("lock", path)(error.into()))?;
    Ok(file)
}
