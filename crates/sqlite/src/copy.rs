//! A private copy of a database that cannot be read where it is without writing beside it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::ffi::{self, VfsFile};
use crate::locate::{is_there, sidecar};
use crate::open::{BUSY, open_private};
use crate::{Error, Result};

/// Copied in pieces of this size.
const PIECE: usize = 256 * 1024;

/// What keeps SQLite from reading a database in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A journal that a killed writer left has to be rolled back. Whoever does that to the original
    /// needs an exclusive lock; the SHARED one held while copying keeps both files as they are.
    Journal,
    /// A WAL without its index, where none may be created. Whoever attaches meanwhile creates the
    /// index, and it is removed only under an exclusive lock: no index afterwards, no change.
    WalWithoutIndex,
    /// A WAL database without WAL, where none may be created. The same holds for the WAL.
    NoWal,
}

impl Obstacle {
    fn companion(self) -> Option<&'static str> {
        match self {
            Self::Journal => Some("-journal"),
            Self::WalWithoutIndex => Some("-wal"),
            Self::NoWal => None,
        }
    }

    /// What must not be there, before and after.
    fn intruder(self) -> Option<&'static str> {
        match self {
            Self::Journal => None,
            Self::WalWithoutIndex => Some("-shm"),
            Self::NoWal => Some("-wal"),
        }
    }
}

/// A copy in a directory of ours, removed when dropped.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
}

impl Copy {
    /// Copies a database and what SQLite needs to read it; a journal is rolled back in the copy.
    ///
    /// `None` where the obstacle has gone or another process came in between: look again.
    pub(crate) fn around(
        obstacle: Obstacle,
        source: &Path,
        scratch: &Path,
    ) -> Result<Option<Self>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("copy-{}-{number}.db", std::process::id());
        let copy = Self { path: scratch.join(name) };
        let failed = |code| Error::sqlite("lock", source, ffi::code_error(code));
        let mut database = VfsFile::open(source).map_err(failed)?;
        wait_for_shared(&mut database).map_err(failed)?;
        let intruder = obstacle.intruder().map(|suffix| sidecar(source, suffix));
        let companion = obstacle.companion().map(|suffix| (suffix, sidecar(source, suffix)));
        let disturbed = || {
            intruder.as_ref().is_some_and(|path| is_there(path))
                || companion.as_ref().is_some_and(|(_, path)| !is_there(path))
        };
        if disturbed() {
            return Ok(None);
        }
        copy_file(source, &mut database, &copy.path)?;
        if let Some((suffix, companion)) = &companion {
            let failed = |code| Error::sqlite("open", companion, ffi::code_error(code));
            let mut file = VfsFile::open(companion).map_err(failed)?;
            copy_file(companion, &mut file, &sidecar(&copy.path, suffix))?;
        }
        if disturbed() {
            return Ok(None);
        }
        drop(database);
        if obstacle == Obstacle::Journal {
            copy.roll_back()?;
        }
        Ok(Some(copy))
    }

    /// The first read finds the journal and rolls back.
    fn roll_back(&self) -> Result<()> {
        let failed = |source| Error::sqlite("roll back a copy of", &self.path, source);
        let connection = open_private(&self.path)?;
        connection.execute_batch("BEGIN").map_err(failed)?;
        ffi::begin_snapshot(&connection).map_err(|code| failed(ffi::code_error(code)))?;
        Ok(())
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

/// A writer keeps readers out while it writes its pages back.
fn wait_for_shared(file: &mut VfsFile) -> Result<(), ffi::Code> {
    let start = Instant::now();
    loop {
        match file.lock_shared() {
            Err(code) if code & 0xff == rusqlite::ffi::SQLITE_BUSY && start.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

fn copy_file(from: &Path, file: &mut VfsFile, to: &Path) -> Result<()> {
    let failed = |code| Error::sqlite("read", from, ffi::code_error(code));
    let raw = file.raw();
    let size = raw.size().map_err(failed)?;
    let mut out = create_private(to)?;
    let mut piece = Buffer::new(PIECE);
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).map_or(PIECE, |rest| rest.min(PIECE));
        raw.read_at(&mut piece[..length], offset).map_err(failed)?;
        out.write_all(&piece[..length]).map_err(Error::file("write", to))?;
        offset += length as u64;
    }
    Ok(())
}

pub(crate) fn create_private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("create", path))
}
