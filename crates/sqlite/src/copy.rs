//! A private copy of a database whose rollback journal a killed writer left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ffi::{self, VfsFile};
use crate::open::open_private;
use crate::{Error, Result};

/// Copied in pieces of this size.
const PIECE: usize = 1 << 20;

/// A copy in a directory of ours, removed when dropped.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
}

impl Copy {
    /// Copies database and journal and lets SQLite roll the copy back.
    ///
    /// A SHARED lock is held meanwhile: whoever wants to roll the original back needs an exclusive
    /// one, so the two files cannot change under the copy.
    pub(crate) fn rolled_back(source: &Path, scratch: &Path) -> Result<Self> {
        let copy = Self { path: scratch.join(format!("rollback-{}.db", std::process::id())) };
        let failed = |code| Error::sqlite("lock", source, ffi::code_error(code));
        let mut database = VfsFile::open(source).map_err(failed)?;
        database.lock_shared().map_err(failed)?;
        copy_file(source, &mut database, &copy.path)?;
        let journal = sidecar(source, "-journal");
        let mut journal_file =
            VfsFile::open(&journal).map_err(|code| Error::sqlite("open", &journal, ffi::code_error(code)))?;
        copy_file(&journal, &mut journal_file, &sidecar(&copy.path, "-journal"))?;
        drop(database);
        let connection = open_private(&copy.path)?;
        // The first read finds the journal and rolls back.
        connection
            .query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0))
            .map_err(|source| Error::sqlite("roll back a copy of", &copy.path, source))?;
        Ok(copy)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // What cannot be removed here is swept with the scratch directory.
            let _ = std::fs::remove_file(sidecar(&self.path, suffix));
        }
    }
}

fn copy_file(from: &Path, file: &mut VfsFile, to: &Path) -> Result<()> {
    let failed = |code| Error::sqlite("read", from, ffi::code_error(code));
    let raw = file.raw();
    let size = raw.size().map_err(failed)?;
    let mut out = create_private(to)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).map_or(PIECE, |rest| rest.min(PIECE));
        raw.read_at(&mut piece[..length], offset).map_err(failed)?;
        out.write_all(&piece[..length]).map_err(Error::file("write", to))?;
        offset += length as u64;
    }
    Ok(())
}

fn create_private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("create", path))
}

/// The path of a companion file: `app.db` and `-wal` give `app.db-wal`.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
