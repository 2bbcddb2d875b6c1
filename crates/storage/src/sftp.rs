//! Objects in a directory of a server that is reached by SSH.
//!
//! The user's own `ssh` connects, and its subsystem `sftp` is spoken to: SFTP version 3
//! (draft-ietf-secsh-filexfer-02) and what OpenSSH adds to it. So keys, agents, jump hosts and the
//! checking of host keys are ssh's, set up as for everything else. One connection serves all
//! threads. It is made when it is needed, and again when it was lost: then what may be done twice
//! is, uploads and readers that were under way fail.
//!
//! An upload is written to a file with a random name in `tmp/`. Publishing it is, in this order:
//!
//! 1. the time that was asked for is set, then fsync of the file (`fsync@openssh.com`): its bytes
//!    are durable before any name leads to them;
//! 2. the directories of its key are made;
//! 3. a hard link (`hardlink@openssh.com`) from `tmp/` to the final name. It refuses a name that is
//!    taken, and does so atomically between all processes. Where there are no hard links, the
//!    plain rename of version 3 has to do, which by its definition refuses a taken name. OpenSSH's
//!    server then looks whether the name is taken and renames, which is one step only for those who
//!    share its process. Other servers are known to replace the target, so the name is also looked
//!    at from here ([`SftpCapabilities::hard_links`]);
//! 4. fsync of the file again, through the handle that is still open; then the name in `tmp/` is
//!    removed.
//!
//! SFTP has no fsync of a directory: OpenSSH opens files alone, so no handle of a directory can be
//! given to `fsync@openssh.com`. The second fsync stands in for it. It comes after the link, which
//! changed the file's link count; the file systems of Linux that have a journal or a log (ext4, XFS,
//! Btrfs, F2FS) write such a change together with the name and whatever was made before it, or
//! everything before it. POSIX does not promise that. A server without that extension keeps things
//! in its own time, and there durability is its own affair ([`SftpCapabilities::fsync`]).
//!
//! A server says of a taken name only that it failed; so it is asked what has the name. It does not
//! say more of a full disk, either; then it is asked how much is free.
//!
//! If the connection is lost while an object gets its name, it is open whether it has it.
//!
//! Names are looked up from the root down without following links, so a link in the repository
//! leads nowhere; only the root itself, and what is above it, may be one. SFTP cannot open without
//! following links, so whoever may write to the repository's directories could put one in place
//! between the two; they could as well change what is there. Names that are no keys, links, and
//! what is neither file nor directory are foreign: not listed, not read, not removed.
//!
//! Times are whole seconds in version 3, rounded down.
//!
//! A process that is killed leaves its file in `tmp/`, where no listing looks.
//! [`Storage::sweep`] removes it by its age, since SFTP has no locks.
//!
//! Memory is bounded by the 2 MiB that each reader and each upload have in flight and the 256 KiB of
//! a packet. A listing takes as much as the server has names.

mod address;
mod attributes;
mod command;
mod connection;
mod decode;
mod diagnosis;
mod directory;
mod failure;
mod features;
mod listing;
mod object;
mod options;
mod pending;
mod problem;
mod process;
mod receiver;
mod reply;
mod request;
mod shared;
mod space;
mod sweep;
mod ticket;
mod upload;

pub use address::{InvalidSftpAddress, SftpAddress};
pub use options::SftpOptions;
pub use problem::SftpProblem;

use std::cell::Cell;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::{Child, CreateNew, Entry, Error, Key, Result, Stale, Storage, Upload};
use connection::Connection;
use failure::Failure;
use request::Request;
use shared::Shared;

/// Objects in a directory of a server that is reached by SSH: directories 0700, files 0600. Clones
/// share a connection, which ends with the last of them, their uploads and readers.
#[derive(Clone)]
pub struct SftpStorage {
    shared: Arc<Shared>,
}

/// What a server can do, of that on which guarantees depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SftpCapabilities {
    /// It makes files durable when asked. Without, published objects become durable in its own time.
    pub fsync: bool,
    /// It makes hard links, as far as is known: that its file system has none shows when the first
    /// object is published. Without, of two processes that publish under one key at the same moment
    /// both may be told that they succeeded.
    pub hard_links: bool,
    /// It tells how much is free.
    pub free_space: bool,
}

impl SftpStorage {
    /// The storage in a directory, which must exist; nothing is made.
    ///
    /// Fails with an [`Error::Storage`] whose source is [`std::io::ErrorKind::NotFound`] if there is no
    /// such directory, and for no other reason; [`SftpProblem::of`] tells why there is no
    /// connection.
    pub fn open(address: &SftpAddress, options: &SftpOptions) -> Result<Self> {
        let storage = Self::new(address, options);
        storage.idempotent("open", "the directory", |connection| {
            directory::look_up(&storage.shared, connection, None)
        })?;
        Ok(storage)
    }

    /// The storage in a directory, made with its parents (0700) where missing.
    pub fn create(address: &SftpAddress, options: &SftpOptions) -> Result<Self> {
        let storage = Self::new(address, options);
        storage.idempotent("create", "the directory", |connection| {
            directory::make_root(&storage.shared, connection)
                .map_err(|failure| space::explain(&storage.shared, connection, failure))
        })?;
        Ok(storage)
    }

    fn new(address: &SftpAddress, options: &SftpOptions) -> Self {
        Self { shared: Arc::new(Shared::new(address.clone(), options.clone())) }
    }

    /// Where the directory is.
    #[must_use]
    pub fn address(&self) -> &SftpAddress {
        self.shared.address()
    }

    /// What the server can do.
    pub fn capabilities(&self) -> Result<SftpCapabilities> {
        self.idempotent("ask for the capabilities of", "the server", |connection| {
            Ok(SftpCapabilities {
                fsync: connection.features.fsync,
                hard_links: connection.makes_links(),
                free_space: connection.features.file_system,
            })
        })
    }

    /// What a sweep would remove.
    pub fn stale(&self, older_than: Duration) -> Result<Stale> {
        self.idempotent("look through", crate::key::TEMPORARY, |connection| {
            sweep::stale(&self.shared, connection, older_than)
        })
    }

    /// Does what may be done twice.
    fn idempotent<T>(
        &self,
        operation: &'static str,
        object: &str,
        act: impl Fn(&Arc<Connection>) -> Result<T, Failure>,
    ) -> Result<T> {
        self.shared.retrying(act).map_err(|failure| self.shared.error(operation, object, failure))
    }
}

impl fmt::Debug for SftpStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SftpStorage").field(&self.shared.location()).finish()
    }
}

impl Storage for SftpStorage {
    fn location(&self) -> String {
        self.shared.location()
    }

    /// By hard links, as far as is known: without a connection, nothing is.
    fn create_new(&self) -> CreateNew {
        match self.shared.current() {
            Some(connection) if connection.makes_links() => CreateNew::Refused,
            _ => CreateNew::Checked,
        }
    }

    /// It refuses by itself.
    fn check_before_creating(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        upload::begin(&self.shared)
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let range = range.unwrap_or(0..u64::MAX);
        let reader = self.idempotent("read", key.as_str(), |connection| {
            object::open(&self.shared, connection, key, range.clone())
        })?;
        match reader {
            Some(reader) => Ok(Box::new(reader)),
            None => Err(Error::NotFound { key: key.clone(), location: self.location() }),
        }
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.idempotent("stat", key.as_str(), |connection| {
            match directory::look_up(&self.shared, connection, Some(key))? {
                None => Ok(None),
                Some(attributes) => directory::entry(key, &attributes),
            }
        })
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.idempotent("list", Key::name_of(directory), |connection| {
            listing::list(&self.shared, connection, directory)
        })
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.idempotent("list", Key::name_of(directory), |connection| {
            listing::list_names(&self.shared, connection, directory)
        })
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        // Asked to remove it once: that it is gone after a lost connection is then our doing.
        let asked = Cell::new(false);
        self.idempotent("remove", key.as_str(), |connection| {
            let found = directory::look_up(&self.shared, connection, Some(key))?;
            let object = found.map(|found| directory::entry(key, &found)).transpose()?.flatten();
            if object.is_none() {
                return Ok(asked.get() && found.is_none());
            }
            asked.set(true);
            let path = self.shared.path(key.as_str());
            match connection.send(Request::remove(&path))?.done() {
                Ok(()) => Ok(true),
                Err(failure) if failure.is_missing() => Ok(false),
                Err(failure) => Err(space::explain(&self.shared, connection, failure)),
            }
        })
    }

    /// Removes what killed processes left unfinished: files in `tmp/` that nobody wrote to for
    /// `older_than`, by the clock of the server. Returns how many. Nothing but their age tells them
    /// from uploads that are slow, so it should be a day.
    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.idempotent("sweep", crate::key::TEMPORARY, |connection| {
            sweep::sweep(&self.shared, connection, older_than)
        })
    }

    /// Bytes that are free for this user; `None` if the server cannot tell.
    fn free_bytes(&self) -> Result<Option<u64>> {
        self.idempotent("ask for the free space of", "the directory", |connection| {
            let found = space::file_system(&self.shared, connection)?;
            Ok(found.map(|found| found.free_bytes))
        })
    }
}
