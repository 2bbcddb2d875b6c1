//! Whether the files that connections have open still stand under their names.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::locate::sidecar;
use crate::moment::FileStamp;
use crate::{Doubt, Error, Result};

/// A device and an inode on it.
type Inode = (u64, u64);

/// The files of a WAL database that connections of this process have open. As long as one has,
/// SQLite removes none of them: whatever else stands under their names was put there by others, who
/// do not heed the locks on these.
#[derive(Debug)]
pub(crate) struct Companions {
    /// The path that the user gave, which may be a link.
    path: PathBuf,
    wal: PathBuf,
    index: PathBuf,
    inodes: [Option<Inode>; 3],
}

impl Companions {
    /// Of the database that errors call `path`, which is the file `real`.
    pub(crate) fn of(path: &Path, real: &Path) -> Result<Self> {
        let (wal, index) = (sidecar(real, "-wal"), sidecar(real, "-shm"));
        let inodes = [inode(path)?, inode(&wal)?, inode(&index)?];
        Ok(Self { path: path.to_owned(), wal, index, inodes })
    }

    /// Whether all of them were there, the database being the one of this stamp.
    pub(crate) fn are_those_of(&self, file: &FileStamp) -> bool {
        let [path, wal, index] = self.inodes;
        path == Some((file.device, file.inode)) && wal.is_some() && index.is_some()
    }

    /// What was put in their place, if anything was.
    pub(crate) fn doubt(&self) -> Result<Option<Doubt>> {
        let [path, wal, index] = self.inodes;
        if inode(&self.path)? != path {
            return Ok(Some(Doubt::Replaced));
        }
        let same = inode(&self.wal)? == wal && inode(&self.index)? == index;
        Ok((!same).then_some(Doubt::WalReplaced))
    }
}

fn inode(path: &Path) -> Result<Option<Inode>> {
    match path.metadata() {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("look at", path)(error)),
    }
}
