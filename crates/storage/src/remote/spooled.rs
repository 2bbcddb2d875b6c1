//! Keeps what is written until it is published.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{NewObject, Remote, Shared};
use crate::content::FileContent;
use crate::{Error, Key, Result, Upload};

/// As much is kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// An upload that sends nothing before it has its name. The file is private, has no name, and ends with its
/// descriptor.
pub(super) struct SpooledUpload<R> {
    shared: Arc<Shared<R>>,
    memory: Vec<u8>,
    file: Option<File>,
    modified: Option<SystemTime>,
    failed: bool,
}

impl<R: Remote> SpooledUpload<R> {
    pub(super) fn new(shared: Arc<Shared<R>>) -> Self {
        Self { shared, memory: Vec::new(), file: None, modified: None, failed: false }
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = self.create()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => self.memory.write(bytes),
        }
    }

    fn create(&self) -> io::Result<File> {
        let directory = self.directory();
        if directory.as_os_str().is_empty() {
            tempfile::tempfile()
        } else {
            tempfile::tempfile_in(directory)
        }
    }

    fn directory(&self) -> &Path {
        &self.shared.options.spool
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Storage {
            operation: "write",
            object: "an upload".to_owned(),
            location: format!("the spool {}", self.directory().display()),
            source,
        }
    }
}

impl<R: Remote> Write for SpooledUpload<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep(bytes).map_err(|source| {
            if source.kind() == io::ErrorKind::Interrupted {
                return source;
            }
            self.failed = true;
            self.error(source).into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Remote> Upload for SpooledUpload<R> {
    fn set_modified(&mut self, modified: SystemTime) {
        self.modified = Some(modified);
    }

    fn publish(mut self: Box<Self>, key: &Key) -> Result<()> {
        if self.failed {
            return Err(self.error(io::Error::other("a write to it failed before")));
        }
        let modified = self.modified;
        match self.file.take().map(FileContent::new) {
            None => {
                let content = &self.memory.as_slice();
                self.shared.create(NewObject { key, content, modified })
            }
            Some(content) => {
                let content = &content.map_err(|source| self.error(source))?;
                self.shared.create(NewObject { key, content, modified })
            }
        }
    }
}
