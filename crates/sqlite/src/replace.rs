//! Puts a staged database in place of another, which is moved aside first.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::copy::sidecar;
use crate::ffi::{self, VfsFile};
use crate::{Error, Result};

/// The files that belong to a database, in the order in which they are moved: a WAL or journal
/// left beside another database would be replayed into it.
const SIDECARS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Former files under their new names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The former database; with its companions beside it, it opens as it was.
    pub database: PathBuf,
    /// Former path and present path of each file moved.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

/// What happened at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// There was nothing.
    Nothing,
    /// A database was there and stands aside now.
    Former(Aside),
}

/// The companions of the database at `path` that exist.
pub fn sidecars(path: &Path) -> Vec<PathBuf> {
    SIDECARS
        .iter()
        .map(|suffix| sidecar(path, suffix))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

/// Moves the staged file to a target that must not exist.
pub fn place(staged: &Path, target: &Path) -> Result<()> {
    if let Some(left) = sidecars(target).into_iter().next() {
        // A WAL without its database would be replayed into the new one.
        return Err(Error::TargetExists { path: left });
    }
    rename_new(staged, target)?;
    sync_directory(target)
}

/// Swaps the staged file for the database at `target`, or places it where there is none.
///
/// The former files go to `aside` and names derived from it. Nobody else may have the target open;
/// its lock is held meanwhile. The companions go first, so that a crash never leaves the former WAL
/// beside the new database; the database itself is exchanged in one step.
pub fn replace(staged: &Path, target: &Path, aside: &Path) -> Result<Replaced> {
    if target.symlink_metadata().is_err() && sidecars(target).is_empty() {
        place(staged, target)?;
        return Ok(Replaced::Nothing);
    }
    let _lock = lock(target)?;
    let mut moved = Vec::new();
    for suffix in SIDECARS {
        let from = sidecar(target, suffix);
        if from.symlink_metadata().is_ok() {
            let to = sidecar(aside, suffix);
            rename_new(&from, &to)?;
            moved.push((from, to));
        }
    }
    if target.symlink_metadata().is_ok() {
        exchange(staged, target, aside)?;
        moved.push((target.to_owned(), aside.to_owned()));
    } else {
        rename_new(staged, target)?;
    }
    sync_directory(target)?;
    Ok(Replaced::Former(Aside { database: aside.to_owned(), moved }))
}

fn lock(target: &Path) -> Result<Option<VfsFile>> {
    if target.symlink_metadata().is_err() {
        return Ok(None);
    }
    let in_use = |users| Error::TargetInUse { path: target.to_owned(), users };
    if let Some(users) = users(target) {
        return Err(in_use(Some(users)));
    }
    let mut file = VfsFile::open_for_locking(target)
        .map_err(|code| Error::sqlite("lock", target, ffi::code_error(code)))?;
    match file.lock_exclusive() {
        Ok(()) => Ok(Some(file)),
        Err(rusqlite::ffi::SQLITE_BUSY) => Err(in_use(None)),
        Err(code) => Err(Error::sqlite("lock", target, ffi::code_error(code))),
    }
}

/// The other processes that have the file open, as `name (pid 12), …`, where `/proc` tells.
///
/// A rollback-journal database that is open but idle holds no lock; this notices it all the same.
fn users(target: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let wanted = target.metadata().ok()?;
    let own = std::process::id().to_string();
    let mut users = Vec::new();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let open = descriptors.flatten().any(|descriptor| {
            std::fs::metadata(descriptor.path())
                .is_ok_and(|file| file.ino() == wanted.ino() && file.dev() == wanted.dev())
        });
        if open {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            users.push(format!("{} (pid {pid})", name.trim_end()));
        }
    }
    (!users.is_empty()).then(|| users.join(", "))
}

/// Puts `staged` at `target` and what was there at `aside`; the target is never missing where the
/// file system can exchange two names.
fn exchange(staged: &Path, target: &Path, aside: &Path) -> Result<()> {
    match renameat_with(CWD, staged, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => rename_new(staged, aside),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rename_new(target, aside)?;
            rename_new(staged, target)
        }
        Err(error) => Err(Error::file("replace", target)(error.into())),
    }
}

/// Renames to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(Error::TargetExists { path: to.to_owned() }),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            // No atomic form here (NFS): link refuses an existing name as well.
            std::fs::hard_link(from, to).map_err(|source| match source.kind() {
                std::io::ErrorKind::AlreadyExists => Error::TargetExists { path: to.to_owned() },
                _ => Error::file("rename to", to)(source),
            })?;
            std::fs::remove_file(from).map_err(Error::file("remove", from))
        }
        Err(error) => Err(Error::file("rename to", to)(error.into())),
    }
}

fn sync_directory(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::file("sync", directory))
}
