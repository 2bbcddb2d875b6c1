//! The empty `-wal` and the `-shm` that even a read-only connection makes beside a WAL database
//! that nobody has open.
//!
//! Left there, they may belong to a user who is not the application's, which then cannot write to
//! its own database any more. So what was not there before is removed again, as the last connection
//! would have done it: under an exclusive lock on the database, which every user of the WAL and its
//! index keeps from being taken.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ffi::VfsFile;
use crate::locate::{is_there, sidecar};

/// Companions that were not there before; removed when dropped, after the connection is closed.
#[derive(Debug)]
pub(crate) struct Traces {
    database: PathBuf,
    absent: Vec<PathBuf>,
}

impl Traces {
    /// Notes which companions are missing.
    pub(crate) fn before(database: &Path) -> Self {
        let absent = ["-wal", "-shm"].iter().map(|suffix| sidecar(database, suffix));
        Self {
            database: database.to_owned(),
            absent: absent.filter(|path| !is_there(path)).collect(),
        }
    }

    /// Whether there are any that do not belong to the owner of the database. To leave them there for
    /// long may keep the application out.
    pub(crate) fn belong_to_others(&self) -> bool {
        let owner = |path: &Path| path.metadata().map(|file| file.uid()).ok();
        let of_database = owner(&self.database);
        self.absent.iter().any(|path| owner(path).is_some_and(|owner| Some(owner) != of_database))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if !self.absent.iter().any(|path| is_there(path)) {
            return;
        }
        let Ok(mut database) = VfsFile::open_for_locking(&self.database) else { return };
        if database.lock_exclusive().is_err() {
            // The application has come meanwhile; the files are its own now.
            return;
        }
        let wal = sidecar(&self.database, "-wal");
        if self.absent.contains(&wal) && wal.metadata().is_ok_and(|wal| wal.len() > 0) {
            return;
        }
        for path in &self.absent {
            // What stays is what any reader leaves.
            let _ = std::fs::remove_file(path);
        }
    }
}
