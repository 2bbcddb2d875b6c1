//! Puts a staged database in place of another, which is moved aside first.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::ffi::{self, VfsFile};
use crate::locate::{is_there, sidecar};
use crate::users::lasting_users;
use crate::{Error, Result};

/// What the names of the files that belong to a database have after its own, in the order in which they are moved: a
/// WAL or journal left beside another database would be replayed into it.
pub const SIDECARS: [&str; 3] = ["-wal", "-journal", "-shm"];

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

/// The file that a restore to `path` replaces: where it is a link, what that points to, so that
/// the link goes on leading to the database. Staged and former files belong beside it.
pub fn resolve_target(path: &Path) -> Result<PathBuf> {
    if path.is_symlink() {
        return path.canonicalize().map_err(Error::file("follow", path));
    }
    Ok(path.to_owned())
}

/// The companions of the database at `path` that exist. A link is followed.
pub fn sidecars(path: &Path) -> Vec<PathBuf> {
    let path = resolve_target(path).unwrap_or_else(|_| path.to_owned());
    let sidecars = SIDECARS.iter().map(|suffix| sidecar(&path, suffix));
    sidecars.filter(|path| is_there(path)).collect()
}

/// Moves the staged file to a target that must not exist, not even as a link to nowhere.
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
/// The former files go to `aside` and names derived from it, on the same file system; other hard
/// links of the former database stay with it. Nobody else may have the target open; its lock is
/// held meanwhile. The companions go first, so that a crash never leaves the former WAL beside the
/// new database; the database itself is replaced in one step. Where a step fails, those before it
/// are undone.
pub fn replace(staged: &Path, target: &Path, aside: &Path) -> Result<Replaced> {
    let target = &resolve_target(target)?;
    if !is_there(target) && sidecars(target).is_empty() {
        place(staged, target)?;
        return Ok(Replaced::Nothing);
    }
    let lock = lock(target)?;
    for taken in [aside.to_owned()].into_iter().chain(SIDECARS.map(|name| sidecar(aside, name))) {
        if is_there(&taken) {
            return Err(Error::TargetExists { path: taken });
        }
    }
    let mut moves = Moves::default();
    for suffix in SIDECARS {
        let from = sidecar(target, suffix);
        if is_there(&from) {
            moves.rename(&from, &sidecar(aside, suffix))?;
        }
    }
    if !moves.done.is_empty() {
        // Not even a power failure may bring a WAL back beside the new database.
        sync_directory(target)?;
    }
    if is_there(target) {
        moves.swap(staged, target, aside)?;
    } else {
        rename_new(staged, target)?;
    }
    let moved = std::mem::take(&mut moves.done);
    drop(lock);
    sync_directory(aside)?;
    sync_directory(target)?;
    Ok(Replaced::Former(Aside { database: aside.to_owned(), moved }))
}

/// Renames that are undone, the last first, unless they are taken out.
#[derive(Debug, Default)]
struct Moves {
    done: Vec<(PathBuf, PathBuf)>,
}

impl Moves {
    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        rename_new(from, to)?;
        self.done.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    /// Puts `staged` at `target` and what was there at `aside`. The former database gets its second
    /// name first, so that the target is never missing; then the new one takes the first name.
    fn swap(&mut self, staged: &Path, target: &Path, aside: &Path) -> Result<()> {
        match std::fs::hard_link(target, aside) {
            Ok(()) => {
                if let Err(source) = std::fs::rename(staged, target) {
                    // The former database still has its first name.
                    let _ = std::fs::remove_file(aside);
                    return Err(Error::file("replace", target)(source));
                }
                self.done.push((target.to_owned(), aside.to_owned()));
                Ok(())
            }
            Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::TargetExists { path: aside.to_owned() })
            }
            // A file system without links, a file of someone else, or too many links of it.
            Err(_) => {
                self.rename(target, aside)?;
                rename_new(staged, target)
            }
        }
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        for (from, to) in self.done.drain(..).rev() {
            // What cannot be moved back is still there under its second name.
            let _ = rename_new(&to, &from);
        }
    }
}

/// Locks the target against everyone else; `None` where there is only a companion of it.
fn lock(target: &Path) -> Result<Option<VfsFile>> {
    if !is_there(target) {
        return Ok(None);
    }
    if !target.is_file() {
        return Err(Error::NotADatabase { path: target.to_owned() });
    }
    let failed = |code| Error::sqlite("lock", target, ffi::code_error(code));
    let mut file = VfsFile::open_for_locking(target).map_err(failed)?;
    let locked = file.lock_exclusive();
    // Asked under the lock: whoever opens the file from now on waits.
    let users = lasting_users(target);
    match locked {
        Ok(()) if users.is_none() => Ok(Some(file)),
        Err(code) if code & 0xff != rusqlite::ffi::SQLITE_BUSY => Err(failed(code)),
        _ => Err(Error::TargetInUse { path: target.to_owned(), users }),
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
