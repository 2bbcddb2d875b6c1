//! Buffered reading that hands out slices: a page frame is looked at where it was read.

use std::io::{ErrorKind, Read};

use crate::{Error, Result};

/// Longer than any page frame, so that one always fits.
const WINDOW_BYTES: usize = 128 * 1024;

pub(crate) struct Window<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// What was read and not consumed.
    start: usize,
    end: usize,
    /// Of `start` in the file.
    offset: u64,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; WINDOW_BYTES].into(), start: 0, end: 0, offset: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `length` bytes, without consuming them. `what` names them in the error when the file ends
    /// before.
    #[inline]
    pub(crate) fn require(&mut self, length: usize, what: &str) -> Result<&[u8]> {
        if self.end - self.start < length {
            self.fill(length)?;
            if self.end - self.start < length {
                let end = self.offset + (self.end - self.start) as u64;
                return Err(Error::corrupt(end, what, "the end of the file"));
            }
        }
        Ok(&self.buffer[self.start..self.start + length])
    }

    /// Up to `limit` bytes, at least one unless the file ends, without consuming them.
    pub(crate) fn available(&mut self, limit: usize) -> Result<&[u8]> {
        if self.start == self.end {
            self.fill(1)?;
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + limit)])
    }

    /// Moves on past bytes that were handed out.
    #[inline]
    pub(crate) fn consume(&mut self, length: usize) {
        debug_assert!(length <= self.end - self.start, "only what was seen is consumed");
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads until `length` bytes are there or the file ends.
    fn fill(&mut self, length: usize) -> Result<()> {
        debug_assert!(length <= self.buffer.len(), "callers check lengths before they ask");
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < length {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Read { offset: self.offset + self.end as u64, source });
                }
            }
        }
        Ok(())
    }
}
