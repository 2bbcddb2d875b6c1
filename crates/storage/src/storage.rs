//! What every place that keeps objects can do.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Error, Key, Result};

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
/// Directories are a way to list: they are not made or removed by callers. `None` as a directory is
/// the top. A key that names an object must not be used as a directory.
///
/// Several processes may use one location at once.
pub trait Storage: Send + Sync + Debug {
    /// Where the objects are, for messages; without secrets.
    fn location(&self) -> String;

    /// What it rounds down to whatever time an object is given: a millisecond, or less, if it does
    /// not say otherwise.
    fn time_precision(&self) -> Duration {
        Duration::from_millis(1)
    }

    /// Begins an object. Its name is given at the end, see [`Upload::publish`].
    fn begin(&self) -> Result<Box<dyn Upload>>;

    /// Opens an object for reading, or the bytes of it that lie within `range`: what is beyond its
    /// end is left out, so a range wholly beyond it reads as empty.
    ///
    /// [`Error::NotFound`] if there is none. Errors of the reader carry an [`Error`].
    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>>;

    /// Size and time of an object; `None` if there is none.
    fn stat(&self, key: &Key) -> Result<Option<Entry>>;

    /// All objects below a directory, at any depth, in the order of their keys.
    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>>;

    /// What lies directly below a directory, in the order of the keys.
    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>>;

    /// Removes an object; `false` if there was none.
    fn remove(&self, key: &Key) -> Result<bool>;

    /// Creates an object of `bytes`; [`Error::Exists`] if the key is taken.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut upload = self.begin()?;
        upload.write_all(bytes).map_err(|error| match error.downcast() {
            Ok(error) => error,
            Err(source) => Error::Storage {
                operation: "write",
                object: key.to_string(),
                location: self.location(),
                source,
            },
        })?;
        upload.publish(key)
    }
}

/// An object being written. Dropped without [`Upload::publish`], it leaves nothing.
///
/// Errors of its [`Write`] carry an [`Error`]; after one of them it can no longer be published.
pub trait Upload: Write + Send {
    /// Gives the object another time than that of its publishing, exact to the
    /// [`Storage::time_precision`], for listings of ours and of others that read the same store.
    /// Called before the first byte, because some stores take what they keep beside an object at its
    /// beginning.
    fn set_modified(&mut self, modified: SystemTime);

    /// Gives the object its name. Before, nothing of it is visible; when this returns `Ok`, all of
    /// it is, and is durable.
    ///
    /// [`Error::Exists`] if the key is taken: of several that publish under one key exactly one
    /// succeeds. After any other error it is open whether the object is there.
    fn publish(self: Box<Self>, key: &Key) -> Result<()>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn time_precision(&self) -> Duration {
        (**self).time_precision()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        (**self).begin()
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

    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        (**self).put(key, bytes)
    }
}
