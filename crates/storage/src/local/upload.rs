//! An object being written to `tmp/`, and its publishing. The order of the steps is argued for in
//! the module above.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Shared, directory};
use crate::key::TEMPORARY;
use crate::random::random_hex;
use crate::{Error, Key, Result, Upload};

struct LocalUpload {
    shared: Arc<Shared>,
    temporary: OwnedFd,
    name: String,
    file: File,
    modified: Option<SystemTime>,
    failed: bool,
}

pub(super) fn begin(shared: &Arc<Shared>) -> Result<Box<dyn Upload>> {
    let failed = |source| shared.error("begin an upload in", TEMPORARY, source);
    let root = shared.open_root().map_err(failed)?;
    let temporary = directory::open_temporary(&root).map_err(failed)?;
    let name = random_hex::<16>().map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&temporary, &name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| failed(error.into()))?;
    // Keeps a sweep away. Where locks are unknown, the age of the file does.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let file = File::from(file);
    let shared = Arc::clone(shared);
    Ok(Box::new(LocalUpload { shared, temporary, name, file, modified: None, failed: false }))
}

impl LocalUpload {
    fn object(&self) -> String {
        format!("{TEMPORARY}/{}", self.name)
    }

    /// Steps 2 and 3: the object gets its name, and the directory of that name is returned.
    fn place(&self, key: &Key) -> io::Result<(OwnedFd, Placed)> {
        let parent = directory::make_below(&self.shared, key.parent().as_ref())?;
        let name = key.file_name();
        let flags = AtFlags::empty();
        let placed = match rustix::fs::linkat(&self.temporary, &*self.name, &parent, name, flags) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(&self.temporary, &*self.name, &parent, name, flags)
            }
            linked => linked,
        };
        match placed {
            Ok(()) => Ok((parent, Placed::New)),
            Err(Errno::EXIST) if self.is_ours(&parent, name)? => Ok((parent, Placed::New)),
            Err(Errno::EXIST) => Ok((parent, Placed::Taken)),
            Err(error) => Err(error.into()),
        }
    }

    /// Over NFS, a request whose answer was lost is sent again and then refused by its own effect.
    fn is_ours(&self, parent: &OwnedFd, name: &str) -> io::Result<bool> {
        let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let here = rustix::fs::fstat(&self.file)?;
        Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino))
    }

    fn publish(&self, key: &Key) -> io::Result<Placed> {
        if self.failed {
            return Err(io::Error::other("a write to it failed before"));
        }
        // The last write is done: nothing touches the time any more, and the fsync covers it.
        self.modified.map_or(Ok(()), |modified| self.file.set_modified(modified))?;
        self.file.sync_all()?;
        let (parent, placed) = self.place(key)?;
        self.discard();
        directory::sync(&parent)?;
        Ok(placed)
    }

    /// What cannot be removed now stays for a sweep; it is not visible as an object.
    fn discard(&self) {
        let _ = rustix::fs::unlinkat(&self.temporary, &*self.name, AtFlags::empty());
    }
}

enum Placed {
    New,
    Taken,
}

impl Write for LocalUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf).map_err(|source| {
            if source.kind() == io::ErrorKind::Interrupted {
                return source;
            }
            self.failed = true;
            self.shared.error("write", &self.object(), source).into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for LocalUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.modified = Some(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        match LocalUpload::publish(&self, key) {
            Ok(Placed::New) => Ok(()),
            Ok(Placed::Taken) => {
                Err(Error::Exists { key: key.clone(), location: self.shared.location() })
            }
            Err(source) => Err(self.shared.error("publish", key.as_str(), source)),
        }
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        self.discard();
    }
}
