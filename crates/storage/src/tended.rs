//! A storage that streams, held to a bandwidth, and patient.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::bandwidth::LimitedContent;
use crate::remote::RemoteOptions;
use crate::{
    Bandwidth, Cause, Child, Content, CreateNew, Entry, Error, Failure, Key, Result, Storage,
    Upload,
};

/// A storage whose uploads and readers are held to a bandwidth, and that tries again to create what can be read
/// again. For storages that are not made of single requests: [`RemoteOptions::spool`] is not used.
pub fn tended(inner: Arc<dyn Storage>, options: &RemoteOptions) -> Arc<dyn Storage> {
    Arc::new(Tended { inner, options: options.clone() })
}

#[derive(Debug)]
struct Tended {
    inner: Arc<dyn Storage>,
    options: RemoteOptions,
}

impl Storage for Tended {
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
        let bandwidth = self.options.bandwidth.clone();
        Ok(Box::new(TendedUpload { inner: self.inner.begin()?, bandwidth }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        let bandwidth = self.options.bandwidth.clone();
        Ok(Box::new(TendedReader { inner: self.inner.read(key, range)?, bandwidth }))
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.inner.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.inner.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.inner.remove(key)
    }

    fn put_content(
        &self,
        key: &Key,
        content: &dyn Content,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let limited = LimitedContent::new(content, &self.options.bandwidth);
        let mut last = None;
        let tried =
            self.options.patience.retry(|| match self.inner.put_content(key, &limited, modified) {
                Err(error) if passes(&error) => {
                    last = Some(error);
                    Err(Failure::new(Cause::Interrupted, ""))
                }
                done => Ok(done),
            });
        match (tried, last) {
            (Ok(done), _) => done,
            (Err(_), Some(error)) => Err(error),
            (Err(failure), None) => Err(Error::Storage {
                operation: "publish",
                object: key.to_string(),
                location: self.location(),
                source: failure.into(),
            }),
        }
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.inner.sweep(older_than)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.inner.free_bytes()
    }
}

/// Whether an error is of a connection, and another one may do.
fn passes(error: &Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let Error::Storage { source, .. } = error else { return false };
    matches!(
        source.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
    )
}

struct TendedUpload {
    inner: Box<dyn Upload>,
    bandwidth: Bandwidth,
}

impl Write for TendedUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bandwidth.upload(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for TendedUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.inner.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        self.inner.publish(key)
    }
}

struct TendedReader {
    inner: Box<dyn Read + Send>,
    bandwidth: Bandwidth,
}

impl Read for TendedReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.bandwidth.download(read);
        Ok(read)
    }
}
