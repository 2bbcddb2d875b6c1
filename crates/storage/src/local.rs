//! Objects in a local directory.
//!
//! An upload is written to a file with a random name in `tmp/`. Publishing it is, in this order:
//!
//! 1. the time that was asked for is set, then fsync of the file: its bytes are durable before any
//!    name leads to them;
//! 2. the directories of its key are made, and each is fsynced in its parent. A directory that was
//!    already there is treated the same, once per process, because whoever made it may have been
//!    killed before its own fsync;
//! 3. `link(2)` from `tmp/` to the final name. It refuses a name that is taken, and does so
//!    atomically between all processes, which a check followed by `rename(2)` cannot. A file system
//!    without hard links gets `renameat2(RENAME_NOREPLACE)`, which refuses in the same way;
//! 4. the name in `tmp/` is removed, and the directory of the final name is fsynced.
//!
//! So a name under the root always leads to a whole object, whatever is killed when. A power cut
//! may take back a name that was seen before step 4 was done; hence nothing may rely on an object
//! because it saw it, only because its own `publish` returned `Ok` or [`Error::Exists`], and the
//! latter is returned after fsyncing that directory too. If the last fsync fails, the name stays:
//! another process may already have been told that the object exists.
//!
//! Everything is opened relative to the directory above it and without following symbolic links,
//! so a link planted in the repository leads nowhere; only the root itself may be one. Names that
//! are no keys, links, and what is neither file nor directory are foreign: not listed, not read,
//! not removed.
//!
//! A process that is killed leaves its file in `tmp/`, where no listing looks.
//! [`Storage::sweep`] removes it. An upload holds a lock (`flock(2)`) on its file, so that a
//! sweep by another process leaves it alone, however slow it is.

mod directory;
mod listing;
mod sweep;
mod upload;

pub use sweep::Stale;

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use crate::{Child, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// Objects in a local directory: directories 0700, files 0600.
#[derive(Clone, Debug)]
pub struct LocalStorage {
    shared: Arc<Shared>,
}

/// What a storage and its uploads have in common.
#[derive(Debug)]
struct Shared {
    /// Absolute.
    root: PathBuf,
    /// Directories that this process knows to be durable.
    durable: Mutex<HashSet<Key>>,
}

impl LocalStorage {
    /// The storage in the directory `path`, which must exist; nothing is made.
    pub fn open(path: &Path) -> Result<Self> {
        let shared = Shared::new(path)?;
        shared.open_root().map_err(|source| shared.error("open", "the directory", source))?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The storage in the directory `path`, made with its parents (0700) where missing.
    pub fn create(path: &Path) -> Result<Self> {
        let shared = Shared::new(path)?;
        make_durable_path(&shared.root)
            .map_err(|source| shared.error("create", "the directory", source))?;
        shared
            .open_root()
            .and_then(|root| directory::make_temporary(&root))
            .map_err(|source| shared.error("create", "the directory", source))?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The directory, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.root
    }

    /// What [`Storage::sweep`] would remove: files in `tmp/` that no upload holds and nobody wrote to for
    /// `older_than`. The age is a second guard, for file systems that do not know locks.
    pub fn stale(&self, older_than: Duration) -> Result<Stale> {
        self.shared
            .open_root()
            .and_then(|root| sweep::stale(&root, older_than))
            .map_err(|source| self.shared.error("look through", crate::key::TEMPORARY, source))
    }
}

impl Shared {
    fn new(path: &Path) -> Result<Self> {
        let root = std::path::absolute(path).map_err(|source| Error::Storage {
            operation: "resolve",
            object: "the directory".to_owned(),
            location: path.display().to_string(),
            source,
        })?;
        Ok(Self { root, durable: Mutex::default() })
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }

    /// Opened anew for every operation: a descriptor held for longer would keep its disk from
    /// being unmounted.
    fn open_root(&self) -> io::Result<OwnedFd> {
        directory::open_root(&self.root)
    }

    fn error(&self, operation: &'static str, object: &str, source: io::Error) -> Error {
        Error::Storage { operation, object: object.to_owned(), location: self.location(), source }
    }

    /// The directory that holds `key`; `None` if there is none, or a link or file in its place.
    fn open_parent(&self, key: &Key) -> io::Result<Option<OwnedFd>> {
        directory::open_below(self.open_root()?, key.parent().as_ref())
    }

    fn open_file(&self, key: &Key) -> io::Result<Option<File>> {
        let Some(parent) = self.open_parent(key)? else { return Ok(None) };
        // Without NONBLOCK, opening a fifo planted under the name would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match directory::open_at(&parent, key.file_name(), flags) {
            Ok(file) => Ok(Some(File::from(file)).filter(is_file)),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Makes a directory and its missing parents, each durable in its own parent.
fn make_durable_path(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        if let Some(parent) = directory.parent() {
            directory::sync(&File::open(parent)?)?;
        }
    }
    if fs::metadata(path)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

impl Storage for LocalStorage {
    fn location(&self) -> String {
        self.shared.location()
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Refused
    }

    /// It refuses by itself.
    fn check_before_creating(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        upload::begin(&self.shared)
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let failed = |source| self.shared.error("read", key.as_str(), source);
        let Some(mut file) = self.shared.open_file(key).map_err(failed)? else {
            return Err(Error::NotFound { key: key.clone(), location: self.location() });
        };
        let range = range.unwrap_or(0..u64::MAX);
        if range.start > 0 {
            // An offset beyond what its file system can hold would be refused.
            let size = file.metadata().map_err(failed)?.len();
            file.seek(SeekFrom::Start(range.start.min(size))).map_err(failed)?;
        }
        let reader = file.take(range.end.saturating_sub(range.start));
        Ok(Box::new(NamedReader { reader, key: key.clone(), shared: Arc::clone(&self.shared) }))
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.shared
            .open_parent(key)
            .and_then(|parent| match parent {
                None => Ok(None),
                Some(parent) => listing::entry(&parent, key),
            })
            .map_err(|source| self.shared.error("stat", key.as_str(), source))
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.shared
            .open_root()
            .and_then(|root| listing::list(&root, directory))
            .map_err(|source| self.shared.error("list", Key::name_of(directory), source))
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.shared
            .open_root()
            .and_then(|root| listing::list_names(&root, directory))
            .map_err(|source| self.shared.error("list", Key::name_of(directory), source))
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let remove = || {
            let Some(parent) = self.shared.open_parent(key)? else { return Ok(false) };
            if listing::entry(&parent, key)?.is_none() {
                return Ok(false);
            }
            match rustix::fs::unlinkat(&parent, key.file_name(), AtFlags::empty()) {
                Ok(()) => directory::sync(&parent).map(|()| true),
                Err(Errno::NOENT) => Ok(false),
                Err(error) => Err(error.into()),
            }
        };
        remove().map_err(|source| self.shared.error("remove", key.as_str(), source))
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.shared
            .open_root()
            .and_then(|root| sweep::sweep(&root, older_than))
            .map_err(|source| self.shared.error("sweep", crate::key::TEMPORARY, source))
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        let free = || {
            let found = rustix::fs::fstatvfs(self.shared.open_root()?)?;
            Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
        };
        free().map_err(|source| self.shared.error("look at", "the free space", source))
    }
}

/// A reader whose errors name its object.
struct NamedReader<R> {
    reader: R,
    key: Key,
    shared: Arc<Shared>,
}

impl<R: Read> Read for NamedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).map_err(|source| {
            if source.kind() == io::ErrorKind::Interrupted {
                return source;
            }
            self.shared.error("read", self.key.as_str(), source).into()
        })
    }
}
