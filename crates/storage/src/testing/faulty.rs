use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::{Child, CreateNew, Entry, Error, Key, Result, Storage, Upload};

/// An operation that a [`Faulty`] storage was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Storage::begin`].
    Begin,
    /// A write of this many bytes to an upload.
    Write(usize),
    /// [`Upload::publish`].
    Publish(Key),
    /// [`Storage::read`].
    Read(Key),
    /// [`Storage::stat`].
    Stat(Key),
    /// [`Storage::list`] or [`Storage::list_names`].
    List(Option<Key>),
    /// [`Storage::remove`].
    Remove(Key),
}

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It fails without having done anything; those after it succeed.
    Once,
    /// It fails without having done anything, and so do all after it.
    FromThenOn,
    /// It is half done: a write takes half of its bytes and fails, a reader yields
    /// half of the object and fails; `publish` and `remove` do their work and then fail, as when an
    /// answer is lost. All others fail. Those after it succeed.
    Tear,
    /// The process aborts.
    Abort,
}

/// A fault at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which operation, counted from 0.
    pub at: usize,
    /// What happens there.
    pub kind: FaultKind,
}

/// Passes operations on to another storage, records them, and fails where it was told.
///
/// Its errors are [`Error::Storage`]; the text of their source is `injected fault`.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    record: Record,
}

#[derive(Clone, Debug, Default)]
struct Record {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    operations: Vec<Operation>,
}

/// How an operation is to go.
#[derive(PartialEq, Eq)]
enum Course {
    Succeed,
    Fail,
    Tear,
}

impl<S: Storage> Faulty<S> {
    /// Passes on to `inner`, with a fault or only recording.
    pub fn new(inner: S, fault: Option<Fault>) -> Self {
        let state = State { fault, operations: Vec::new() };
        Self { inner, record: Record { state: Arc::new(Mutex::new(state)) } }
    }

    /// The operations so far, in order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.record.state().operations.clone()
    }

    /// Forgets the operations so far and counts from 0 again, with another fault or none.
    pub fn reset(&self, fault: Option<Fault>) {
        *self.record.state() = State { fault, operations: Vec::new() };
    }

    fn check(&self, operation: &'static str, object: &Key, course: &Course) -> Result<()> {
        match course {
            Course::Succeed => Ok(()),
            _ => Err(injected(operation, object.as_str())),
        }
    }
}

fn injected(operation: &'static str, object: &str) -> Error {
    Error::Storage {
        operation,
        object: object.to_owned(),
        location: "faulty storage".to_owned(),
        source: io::Error::other("injected fault"),
    }
}

impl Record {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, operation: Operation) -> Course {
        let mut state = self.state();
        let number = state.operations.len();
        state.operations.push(operation);
        match state.fault {
            Some(Fault { at, kind: FaultKind::FromThenOn }) if number >= at => Course::Fail,
            Some(Fault { at, kind }) if number == at => match kind {
                FaultKind::Once | FaultKind::FromThenOn => Course::Fail,
                FaultKind::Tear => Course::Tear,
                FaultKind::Abort => std::process::abort(),
            },
            _ => Course::Succeed,
        }
    }
}

impl<S: Storage> Storage for Faulty<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create_new(&self) -> CreateNew {
        self.inner.create_new()
    }

    fn check_before_creating(&self) -> bool {
        self.inner.check_before_creating()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        if self.record.next(Operation::Begin) != Course::Succeed {
            return Err(injected("begin", "an upload"));
        }
        let inner = self.inner.begin()?;
        Ok(Box::new(FaultyUpload { inner, record: self.record.clone(), torn: false }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        match self.record.next(Operation::Read(key.clone())) {
            Course::Succeed => self.inner.read(key, range),
            Course::Fail => Err(injected("read", key.as_str())),
            Course::Tear => {
                let mut bytes = Vec::new();
                self.inner.read(key, range)?.read_to_end(&mut bytes).map_err(|source| {
                    Error::Storage {
                        operation: "read",
                        object: key.to_string(),
                        location: self.location(),
                        source,
                    }
                })?;
                bytes.truncate(bytes.len() / 2);
                Ok(Box::new(io::Cursor::new(bytes).chain(FailingReader(key.clone()))))
            }
        }
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        let course = self.record.next(Operation::Stat(key.clone()));
        self.check("stat", key, &course)?;
        self.inner.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        match self.record.next(Operation::List(directory.cloned())) {
            Course::Succeed => self.inner.list(directory),
            _ => Err(injected("list", directory.map_or("everything", Key::as_str))),
        }
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        match self.record.next(Operation::List(directory.cloned())) {
            Course::Succeed => self.inner.list_names(directory),
            _ => Err(injected("list", directory.map_or("everything", Key::as_str))),
        }
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let course = self.record.next(Operation::Remove(key.clone()));
        if course == Course::Tear {
            self.inner.remove(key)?;
        }
        self.check("remove", key, &course)?;
        self.inner.remove(key)
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.inner.sweep(older_than)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.inner.free_bytes()
    }
}

struct FailingReader(Key);

impl Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(injected("read", self.0.as_str()).into())
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    record: Record,
    /// A write failed: as the contract says, this upload cannot be published any more.
    torn: bool,
}

impl Write for FaultyUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let course = self.record.next(Operation::Write(buf.len()));
        if course == Course::Succeed && !self.torn {
            return self.inner.write(buf);
        }
        if course == Course::Tear {
            self.inner.write_all(&buf[..buf.len() / 2])?;
        }
        self.torn = true;
        Err(injected("write", "an upload").into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.inner.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        match self.record.next(Operation::Publish(key.clone())) {
            Course::Succeed if !self.torn => self.inner.publish(key),
            Course::Tear if !self.torn => {
                self.inner.publish(key)?;
                Err(injected("publish", key.as_str()))
            }
            _ => Err(injected("publish", key.as_str())),
        }
    }
}
