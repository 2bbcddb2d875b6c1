//! How far an object was sent.

use std::io::{self, Read};
use std::ops::Range;

use lifeboat_storage::{Content, StoredContent};

/// Told of bytes that were sent.
pub type SentBytes<'a> = dyn Fn(u64) + Sync + 'a;

/// An object of which somebody watches how far it was sent.
pub(super) struct Watched<'a> {
    pub(super) content: StoredContent<'a>,
    pub(super) progress: &'a SentBytes<'a>,
}

/// Tells what is read.
struct WatchedReader<'a> {
    reader: Box<dyn Read + Send + 'a>,
    progress: &'a SentBytes<'a>,
}

impl Content for Watched<'_> {
    fn size(&self) -> u64 {
        self.content.size()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        let reader = self.content.read(range)?;
        Ok(Box::new(WatchedReader { reader, progress: self.progress }))
    }

    fn examine(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        self.content.examine(range)
    }
}

impl Read for WatchedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.progress)(read as u64);
        Ok(read)
    }
}
