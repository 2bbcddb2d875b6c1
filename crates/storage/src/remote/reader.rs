//! Reads an object over a network, going on where a broken connection left it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::{Cause, Failure, Opened, Remote, Shared};
use crate::{Error, Key, Result};

pub(super) struct RemoteReader<R> {
    shared: Arc<Shared<R>>,
    key: Key,
    /// What is still to come.
    range: Range<u64>,
    opened: Opened,
    /// Where the connection broke last.
    broke_at: Option<u64>,
}

impl<R: Remote> RemoteReader<R> {
    /// [`Error::NotFound`] if there is no object.
    pub(super) fn open(shared: &Arc<Shared<R>>, key: &Key, range: Range<u64>) -> Result<Self> {
        let opened = shared
            .attempt("read", key.as_str(), || shared.remote.open(key, range.clone(), None))?;
        let Some(opened) = opened else {
            return Err(Error::NotFound { key: key.clone(), location: shared.remote.location() });
        };
        Ok(Self { shared: Arc::clone(shared), key: key.clone(), range, opened, broke_at: None })
    }

    /// Opens the rest of the object; a failure if it is another one by now, or nobody can tell.
    fn reopen(&mut self) -> Result<()> {
        let version = self.opened.version.as_deref();
        let opened = self.shared.attempt("read", self.key.as_str(), || {
            let cut = || {
                Failure::new(
                    Cause::Protocol,
                    "the connection broke, and the object cannot be read on",
                )
            };
            if version.is_none() {
                return Err(cut());
            }
            self.shared.remote.open(&self.key, self.range.clone(), version)?.ok_or_else(|| {
                Failure::new(Cause::Protocol, "it was removed or replaced while it was read")
            })
        })?;
        self.opened = opened;
        Ok(())
    }
}

impl<R: Remote> Read for RemoteReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.range.is_empty() || buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.opened.reader.read(buf) {
                Ok(read) => {
                    self.range.start += read as u64;
                    self.shared.options.bandwidth.download(read);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                // One that breaks twice at the same place would break for ever.
                Err(error) if self.broke_at == Some(self.range.start) => {
                    let failure = Failure::new(Cause::Interrupted, error.to_string());
                    return Err(self.shared.error("read", self.key.as_str(), failure).into());
                }
                Err(_) => {
                    self.broke_at = Some(self.range.start);
                    self.reopen()?;
                }
            }
        }
    }
}
