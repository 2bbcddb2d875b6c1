//! Wakes the thread that waits for something to do.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use crate::{Error, Result};

/// Can be rung by any thread, and polled by one.
#[derive(Debug, Clone)]
pub(super) struct Wake(Arc<File>);

impl Wake {
    pub(super) fn new() -> Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::file("make", Path::new("an event descriptor"))(error.into()))?;
        Ok(Self(Arc::new(File::from(descriptor))))
    }

    pub(super) fn ring(&self) {
        // Any number but the largest will do, so the order of its bytes does not matter. It only fails
        // where it was rung all too often without anybody looking.
        let _ = (&*self.0).write(&[1; 8]);
    }

    /// Forgets that it was rung.
    pub(super) fn clear(&self) {
        // Fails where it was not rung.
        let _ = (&*self.0).read(&mut [0; 8]);
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
