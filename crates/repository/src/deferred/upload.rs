//! An object on its way into the outbox.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use lifeboat_storage::{Key, Result, Upload};

use super::{Shared, WAIT, begins};

/// Its name, by which it is known whether it waits, is given at the end.
pub(super) struct DeferredUpload {
    shared: Arc<Shared>,
    upload: Box<dyn Upload>,
}

impl DeferredUpload {
    pub(super) fn begin(shared: Arc<Shared>) -> Result<Self> {
        let upload = shared.outbox.begin()?;
        Ok(Self { shared, upload })
    }
}

impl Write for DeferredUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for DeferredUpload {
    /// The name of what is sealed says when it is of.
    fn set_modified(&mut self, _: SystemTime) {}

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        let Self { shared, upload } = *self;
        upload.publish(key)?;
        if begins(key, &WAIT) {
            return shared.wait(key);
        }
        let sent = shared.put(key, &|_| ());
        shared.outbox.remove(key)?;
        sent
    }
}
