//! What every place that keeps objects can do.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::content::copy;
use crate::{Content, Key, Result};

/// How a storage refuses a key that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateNew {
    /// By itself: of several that publish under one key exactly one succeeds.
    Refused,
    /// Nobody but us looks whether a key is taken, just before it is given: two that publish at the
    /// same moment may both be told that they succeeded, and then either object may stand.
    Checked,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written, by the clock of the storage; or what [`Upload::set_modified`] said.
    pub modified: SystemTime,
}

/// What lies directly below a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Child {
    /// Keys below this one exist. A local storage may also show a directory that holds nothing.
    Directory(Key),
    /// An object.
    Object(Key),
}

impl Child {
    /// The key of the directory or object.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Directory(key) | Self::Object(key) => key,
        }
    }
}

/// A place that keeps objects, each written once and never changed.
///
/// Only what is right for all of them is provided: a storage in front of another one that forgot a method would answer
/// for it otherwise.
///
/// Directories are a way to list: they are not made or removed by callers. `None` as a directory is
/// the top. A key that names an object must not be used as a directory.
///
/// Several processes may use one location at once.
pub trait Storage: Send + Sync + Debug {
    /// Where the objects are, for messages; without secrets.
    fn location(&self) -> String;

    /// How a taken key is refused here, as far as is known beforehand.
    fn create_new(&self) -> CreateNew;

    /// Begins an object. Its name is given at the end, see [`Upload::publish`].
    fn begin(&self) -> Result<Box<dyn Upload>>;

    /// Has this look for an object before it creates one from now on, unless a taken key is refused anyway: for a
    /// store that was found to replace what is there. `false` if that cannot be had.
    fn check_before_creating(&self) -> bool;

    /// Opens an object for reading, or the bytes of it that lie within `range`: what is beyond its
    /// end is left out, so a range wholly beyond it reads as empty.
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) if there is none. Errors of the reader carry an
    /// [`Error`](crate::Error).
    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>>;

    /// Size and time of an object; `None` if there is none.
    fn stat(&self, key: &Key) -> Result<Option<Entry>>;

    /// All objects below a directory, at any depth, in the order of their keys.
    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>>;

    /// What lies directly below a directory, in the order of the keys.
    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>>;

    /// Removes an object; `false` if there was none.
    fn remove(&self, key: &Key) -> Result<bool>;

    /// Creates an object of what can be read again, so that a storage over a network needs no copy of
    /// it to begin anew what was cut short; `modified` as in [`Upload::set_modified`].
    ///
    /// [`Error::Exists`](crate::Error::Exists) if the key is taken.
    fn put_content(
        &self,
        key: &Key,
        content: &dyn Content,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let mut upload = self.begin()?;
        if let Some(modified) = modified {
            upload.set_modified(modified);
        }
        copy(&self.location(), key, content, &mut upload)?;
        upload.publish(key)
    }

    /// Creates an object of `bytes`; [`Error::Exists`](crate::Error::Exists) if the key is taken.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.put_content(key, &bytes, None)
    }

    /// Removes what uploads that were cut off left behind, if nobody has added to it for `older_than`;
    /// how many there were.
    fn sweep(&self, older_than: Duration) -> Result<u64>;

    /// Bytes that can still be stored; `None` where nobody can tell.
    fn free_bytes(&self) -> Result<Option<u64>>;
}

/// An object being written. Dropped without [`Upload::publish`], it leaves nothing.
///
/// Errors of its [`Write`] carry an [`Error`](crate::Error); after one of them it can no longer be published.
pub trait Upload: Write + Send {
    /// Gives the object another time than that of its publishing, for listings of ours and of others that read
    /// the same store: exact to the millisecond where the store keeps times so exactly. Called before the first
    /// byte, because some stores take what they keep beside an object at its beginning. Listings of S3 and its
    /// like tell it for names that end in `.ltx` only, because each costs a request.
    fn set_modified(&mut self, modified: SystemTime);

    /// Gives the object its name. Before, nothing of it is visible; when this returns `Ok`, all of
    /// it is, and is durable.
    ///
    /// [`Error::Exists`](crate::Error::Exists) if the key is taken: of several that publish under one key exactly one
    /// succeeds. After any other error it is open whether the object is there.
    fn publish(self: Box<Self>, key: &Key) -> Result<()>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn create_new(&self) -> CreateNew {
        (**self).create_new()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        (**self).begin()
    }

    fn check_before_creating(&self) -> bool {
        (**self).check_before_creating()
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        (**self).read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        (**self).stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        (**self).list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        (**self).list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        (**self).remove(key)
    }

    fn put_content(
        &self,
        key: &Key,
        content: &dyn Content,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        (**self).put_content(key, content, modified)
    }

    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        (**self).put(key, bytes)
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        (**self).sweep(older_than)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        (**self).free_bytes()
    }
}
