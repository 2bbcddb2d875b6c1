use std::io::{self, Read, Write};
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Child, CreateNew, Entry, Key, Result, Storage, Upload};

/// What a [`Meddling`] storage does otherwise than the one beneath it: each operation is passed on
/// unless a test says something else.
#[expect(missing_docs, reason = "they are the operations of Storage and Upload")]
pub trait Meddle: Send + Sync + 'static {
    /// The storage beneath.
    fn inner(&self) -> &dyn Storage;

    fn begin(&self) -> Result<Box<dyn Upload>> {
        self.inner().begin()
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> Result<()> {
        upload.publish(key)
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.inner().read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner().stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.inner().list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.inner().list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.inner().remove(key)
    }
}

/// A storage between a test and another one. Clones share what meddles.
pub struct Meddling<M>(Arc<M>);

impl<M: Meddle> Meddling<M> {
    /// A storage that does as `meddle` says.
    pub fn new(meddle: M) -> Self {
        Self(Arc::new(meddle))
    }
}

impl<M> Clone for Meddling<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Deref for Meddling<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M: Meddle> std::fmt::Debug for Meddling<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Meddling").field(&self.0.inner()).finish()
    }
}

impl<M: Meddle> Storage for Meddling<M> {
    fn location(&self) -> String {
        self.0.inner().location()
    }

    fn create_new(&self) -> CreateNew {
        self.0.inner().create_new()
    }

    fn check_before_creating(&self) -> bool {
        self.0.inner().check_before_creating()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        let inner = self.0.begin()?;
        Ok(Box::new(MeddlingUpload { inner, meddle: self.0.clone() }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.0.read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.0.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.0.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.0.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.0.remove(key)
    }

    fn sweep(&self, older_than: Duration) -> Result<u64> {
        self.0.inner().sweep(older_than)
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.0.inner().free_bytes()
    }
}

struct MeddlingUpload<M> {
    inner: Box<dyn Upload>,
    meddle: Arc<M>,
}

impl<M> Write for MeddlingUpload<M> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<M: Meddle> Upload for MeddlingUpload<M> {
    fn set_modified(&mut self, modified: SystemTime) {
        self.inner.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        self.meddle.publish(self.inner, key)
    }
}
