//! Notices that databases are written to, without looking at them.
//!
//! One watch per directory: a database is more than its file, and the names of its companions come
//! and go. SQLite writes to files and never through a mapping, so nothing escapes; but for what
//! another machine writes on a network file system, where nobody tells.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::{Error, Result};

/// What was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Noticed {
    /// A file was written to.
    Written(PathBuf),
    /// A name in a directory came or went.
    Named(PathBuf),
    /// A directory went away, or is another one now.
    Gone(PathBuf),
    /// More happened than could be kept.
    Anything,
}

/// Directories that are watched.
#[derive(Debug)]
pub(super) struct Watch {
    descriptor: OwnedFd,
    directories: HashMap<i32, PathBuf>,
}

impl Watch {
    pub(super) fn new() -> Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| Error::file("make", Path::new("a watch"))(error.into()))?;
        Ok(Self { descriptor, directories: HashMap::new() })
    }

    /// Watches a directory; again, if it is watched already. `false` where that cannot be: then it
    /// must be looked at now and then.
    pub(super) fn add(&mut self, directory: &Path) -> bool {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.descriptor, directory, flags) {
            Ok(watch) => {
                self.directories.insert(watch, directory.to_owned());
                true
            }
            Err(_) => false,
        }
    }

    /// What was noticed since the last call.
    pub(super) fn read(&mut self) -> Vec<Noticed> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let (mut noticed, mut gone) = (Vec::new(), Vec::new());
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                noticed.push(Noticed::Anything);
                continue;
            }
            let Some(directory) = self.directories.get(&event.wd()) else { continue };
            if flags.contains(ReadFlags::IGNORED) {
                gone.push(event.wd());
            }
            let found = match event.file_name() {
                Some(name) => {
                    let path = directory.join(OsStr::from_bytes(name.to_bytes()));
                    if flags.contains(ReadFlags::MODIFY) {
                        Noticed::Written(path)
                    } else {
                        Noticed::Named(path)
                    }
                }
                None => Noticed::Gone(directory.clone()),
            };
            if noticed.last() != Some(&found) {
                noticed.push(found);
            }
        }
        for watch in gone {
            self.directories.remove(&watch);
        }
        noticed
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Noticed, Watch};

    #[test]
    fn tells_what_is_written_and_what_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d");
        fs::create_dir(&path).unwrap();
        let mut watch = Watch::new().unwrap();
        assert!(watch.add(&path) && watch.add(&path));
        assert!(!watch.add(&directory.path().join("nowhere")));
        assert_eq!(watch.read(), []);
        let file = path.join("app.db-wal");
        fs::write(&file, "x").unwrap();
        fs::remove_file(&file).unwrap();
        let named = Noticed::Named(file.clone());
        assert_eq!(watch.read(), [named.clone(), Noticed::Written(file), named]);
        assert_eq!(watch.read(), []);
        fs::rename(&path, directory.path().join("e")).unwrap();
        assert_eq!(watch.read(), [Noticed::Gone(path.clone())]);
        fs::remove_dir_all(directory.path().join("e")).unwrap();
        assert!(watch.read().contains(&Noticed::Gone(path)));
    }
}
