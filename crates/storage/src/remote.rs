//! What all storages have in common that are reached by requests over a network.
//!
//! A [`Remote`] is a store as its protocol has it: each method is one attempt, which either came through
//! or failed in a way that [`Failure`] describes. [`RemoteStorage`] makes a [`Storage`] of it:
//!
//! - what is written is kept in memory, or from 1 MiB on in a file that has no name, until it is published:
//!   only then are name, length and all bytes known, and every request can be sent again;
//! - what failed for a reason that may pass is tried again, with pauses that grow, as long as [`Patience`]
//!   says; what was refused is told at once;
//! - an upload whose answer was lost may have come through: if its key is taken the next time, what is there
//!   is read and compared;
//! - what was removed is looked at once more, because some stores say so and keep it;
//! - a reader whose connection breaks goes on where it was, if the object is still the same;
//! - all bytes that come and go are held to a [`Bandwidth`].

mod failure;
mod patience;
mod pieces;
mod reader;
mod spooled;

use std::fmt::Debug;
use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::failure::{Cause, Failure};
pub use self::patience::Patience;
pub(crate) use self::pieces::{pieces, send_pieces};
use self::reader::RemoteReader;
use self::spooled::SpooledUpload;
use crate::bandwidth::LimitedContent;
use crate::{Bandwidth, Child, Content, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// One attempt at an operation.
pub(crate) type Attempt<T> = std::result::Result<T, Failure>;

/// A piece of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Objects, with keys below the directory that was listed; names that are no keys are left out.
    pub(crate) entries: Vec<Entry>,
    /// Directories, where only what lies directly below was asked for.
    pub(crate) directories: Vec<Key>,
    /// What asks for the next page; `None` at the end.
    pub(crate) next: Option<String>,
}

/// How deep a listing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All objects, at any depth.
    All,
    /// What lies directly below.
    Children,
}

/// An object that is to be created.
#[derive(Clone, Copy)]
pub(crate) struct NewObject<'a> {
    pub(crate) key: &'a Key,
    pub(crate) content: &'a dyn Content,
    /// The time that it is given; else that of its creation.
    pub(crate) modified: Option<SystemTime>,
}

/// An object that was opened.
pub(crate) struct Opened {
    /// Its bytes, of the range that was asked for.
    pub(crate) reader: Box<dyn Read + Send>,
    /// What tells these bytes from those of another object under the same key: an entity tag, a generation.
    pub(crate) version: Option<String>,
}

/// A store as its protocol has it. Each method is one attempt.
pub(crate) trait Remote: Send + Sync + Debug + 'static {
    /// See [`Storage::location`].
    fn location(&self) -> String;

    /// See [`Storage::create_new`].
    fn create_new(&self) -> CreateNew;

    /// See [`Storage::check_before_creating`].
    fn check_before_creating(&self) -> bool {
        self.create_new() == CreateNew::Checked
    }

    /// Creates an object; `false` if its key is taken. Where the store does not refuse that, this looks
    /// first ([`CreateNew::Checked`]). A large content may be sent in pieces, several at once; a piece that
    /// failed is for this to send again (`patience`), so that the others need not be.
    fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool>;

    /// Opens an object to read `range` of it, cut to its end; `None` if there is none. With a version, an object
    /// that is another one now is `None` too.
    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>>;

    /// See [`Storage::stat`].
    fn stat(&self, key: &Key) -> Attempt<Option<Entry>>;

    /// A page of a listing, from the first or from [`Page::next`] of the one before.
    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page>;

    /// Removes an object, if there still is one. Whether there was one is looked at before, and whether it is gone
    /// afterwards.
    fn remove(&self, key: &Key) -> Attempt<()>;

    /// See [`Storage::sweep`].
    fn sweep(&self, older_than: Duration) -> Attempt<u64> {
        let _ = older_than;
        Ok(0)
    }

    /// See [`Storage::free_bytes`].
    fn free_bytes(&self) -> Attempt<Option<u64>> {
        Ok(None)
    }
}

/// How a storage over a network behaves.
#[derive(Clone, Debug, Default)]
pub struct RemoteOptions {
    /// Where what is being written waits until it is published; the system's directory for temporary files
    /// if this is empty.
    pub spool: PathBuf,
    /// How long what fails is tried again.
    pub patience: Patience,
    /// How much may come and go.
    pub bandwidth: Bandwidth,
}

/// A [`Storage`] over a network.
#[derive(Debug)]
pub(crate) struct RemoteStorage<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    remote: R,
    options: RemoteOptions,
}

impl<R: Remote> RemoteStorage<R> {
    pub(crate) fn new(remote: R, options: RemoteOptions) -> Self {
        Self { shared: Arc::new(Shared { remote, options }) }
    }

    /// All pages of a listing.
    fn pages(&self, directory: Option<&Key>, depth: Depth) -> Result<Vec<Page>> {
        let mut pages: Vec<Page> = Vec::new();
        loop {
            let from = pages.last().and_then(|page| page.next.as_deref());
            if from.is_none() && !pages.is_empty() {
                return Ok(pages);
            }
            let page = self.shared.attempt("list", Key::name_of(directory), || {
                self.shared.remote.list(directory, depth, from)
            })?;
            pages.push(page);
        }
    }
}

impl<R: Remote> Shared<R> {
    /// Tries until it comes through, is refused, or patience ends.
    fn attempt<T>(
        &self,
        operation: &'static str,
        object: &str,
        attempt: impl FnMut() -> Attempt<T>,
    ) -> Result<T> {
        let tried = self.options.patience.retry(attempt);
        tried.map_err(|failure| self.error(operation, object, failure))
    }

    fn error(&self, operation: &'static str, object: &str, failure: Failure) -> Error {
        let (object, location) = (object.to_owned(), self.remote.location());
        Error::Storage { operation, object, location, source: failure.into() }
    }

    fn create(self: &Arc<Self>, object: NewObject<'_>) -> Result<()> {
        let NewObject { key, content, .. } = object;
        let limited = LimitedContent::new(content, &self.options.bandwidth);
        let object = NewObject { content: &limited, ..object };
        let patience = &self.options.patience;
        let mut unanswered = false;
        let created = self.attempt("publish", key.as_str(), || {
            // What came through without an answer need not be sent again to be told that it did.
            if unanswered && self.remote.stat(key)?.is_some() {
                return Ok(false);
            }
            let created = self.remote.create(&object, patience);
            unanswered |= created.as_ref().is_err_and(Failure::may_have_come_through);
            created
        })?;
        if created || (unanswered && self.holds(key, content)?) {
            return Ok(());
        }
        Err(Error::Exists { key: key.clone(), location: self.remote.location() })
    }

    /// Whether the bytes under a key are these.
    fn holds(self: &Arc<Self>, key: &Key, content: &dyn Content) -> Result<bool> {
        let failed = |source: io::Error| match source.downcast() {
            Ok(error) => error,
            Err(source) => Error::Storage {
                operation: "compare",
                object: key.to_string(),
                location: self.remote.location(),
                source,
            },
        };
        let stat = self.attempt("stat", key.as_str(), || self.remote.stat(key))?;
        if stat.is_none_or(|entry| entry.size != content.size()) {
            return Ok(false);
        }
        let range = 0..content.size();
        let theirs = match RemoteReader::open(self, key, range.clone()) {
            Err(Error::NotFound { .. }) => return Ok(false),
            theirs => theirs?,
        };
        let ours = content.read(range).map_err(failed)?;
        same(theirs, ours).map_err(failed)
    }
}

/// Whether two readers yield the same bytes.
fn same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    const PIECE: u64 = 64 * 1024;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(PIECE).read_to_end(&mut left)?;
        other.by_ref().take(PIECE).read_to_end(&mut right)?;
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}

impl<R: Remote> Storage for RemoteStorage<R> {
    fn location(&self) -> String {
        self.shared.remote.location()
    }

    fn create_new(&self) -> CreateNew {
        self.shared.remote.create_new()
    }

    fn check_before_creating(&self) -> bool {
        self.shared.remote.check_before_creating()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        Ok(Box::new(SpooledUpload::new(Arc::clone(&self.shared))))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let reader = RemoteReader::open(&self.shared, key, range.unwrap_or(0..u64::MAX))?;
        Ok(Box::new(reader))
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.shared.attempt("stat", key.as_str(), || self.shared.remote.stat(key))
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        let pages = self.pages(directory, Depth::All)?;
        let mut entries: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        // What is added while pages are asked for may move others onto the next one.
        entries.dedup_by(|one, other| one.key == other.key);
        Ok(entries)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        let mut children = Vec::new();
        for page in self.pages(directory, Depth::Children)? {
            children.extend(page.directories.into_iter().map(Child::Directory));
            children.extend(page.entries.into_iter().map(|entry| Child::Object(entry.key)));
        }
        children.sort_by(|one, other| one.key().cmp(other.key()));
        children.dedup();
        Ok(children)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let remote = &self.shared.remote;
        let mut was_there = false;
        self.shared.attempt("remove", key.as_str(), || {
            // If it was there before, an attempt whose answer was lost has removed it.
            if remote.stat(key)?.is_none() {
                return Ok(());
            }
            was_there = true;
            remote.remove(key)?;
            match remote.stat(key)? {
                None => Ok(()),
                Some(_) => {
                    Err(Failure::new(Cause::Unavailable, "it is still there after its removal"))
                }
            }
        })?;
        Ok(was_there)
    }

    fn put_content(
        &self,
        key: &Key,
        content: &dyn Content,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        self.shared.create(NewObject { key, content, modified })
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.shared.attempt("sweep", "unfinished uploads", || self.shared.remote.sweep(older_than))
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.shared.attempt("look at", "the free space", || self.shared.remote.free_bytes())
    }
}
