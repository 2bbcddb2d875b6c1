//! Names of databases that were given none.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::encode_name;
use sha2::{Digest, Sha256};

use crate::state::{DatabaseStateFile, StateDirectory};
use crate::{Error, Result};

/// The name of the database at `path`: the one it had before, else its file stem, else (where
/// another database has that) the stem and a hash of the path.
pub(crate) fn name_of(state: &StateDirectory, path: &Path, taken: &[String]) -> Result<String> {
    let known = known_databases(state)?;
    if let Some((name, _)) = known.iter().find(|(_, known)| known == path) {
        return Ok(name.clone());
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_taken = |name: &str| {
        taken.iter().any(|taken| taken == name) || known.iter().any(|(known, _)| known == name)
    };
    Ok(if is_taken(&stem) { hashed(&stem, path) } else { stem })
}

/// The last component of a path; of `/`, what that is called.
pub(crate) fn stem_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A name that is told from others of the same stem by a hash of the path.
pub(crate) fn hashed(stem: &str, path: &Path) -> String {
    let mut name = format!("{stem}-");
    for byte in &Sha256::digest(path.as_os_str().as_bytes())[..4] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The state directory of the database with this name, and whether another file has the name.
pub(crate) fn directory_of(state: &StateDirectory, name: &str, path: &Path) -> Result<PathBuf> {
    let directory = state.databases().join(encode_name(name)?);
    match DatabaseStateFile::owner(&directory)? {
        Some((_, owner)) if owner != path && owner.exists() => Err(Error::usage(
            format!("the name {name} belongs to {} already", owner.display()),
            "give the database another name in the configuration",
        )),
        _ => Ok(directory),
    }
}

/// Names and paths of the databases that this host backs up.
pub(crate) fn known_databases(state: &StateDirectory) -> Result<Vec<(String, PathBuf)>> {
    let directory = state.databases();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", &directory)(error)),
    };
    let owners = entries.flatten().map(|entry| DatabaseStateFile::owner(&entry.path()));
    Ok(owners.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}
