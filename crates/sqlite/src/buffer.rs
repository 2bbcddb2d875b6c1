//! Buffers that pages are read into.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// A cache line.
const ALIGNMENT: usize = 64;

/// Bytes that begin at a cache line.
///
/// An allocator puts a large block 16 bytes after the start of a page, and to there the kernel's
/// copy out of the page cache was measured at less than a third of its speed (AMD EPYC: 2.1
/// instead of 7.4 GB/s).
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// A buffer of `length` zeros.
    pub(crate) fn new(length: usize) -> Self {
        let mut buffer = Self::default();
        buffer.set_length(length);
        buffer
    }

    /// Makes the buffer `length` bytes long, with any content.
    fn set_length(&mut self, length: usize) {
        if self.memory.len() < length + ALIGNMENT {
            self.memory = vec![0; length + ALIGNMENT];
        }
        // A slack of one cache line is enough wherever the memory lies.
        self.start = self.memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        self.length = length;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

/// Buffers that are used again: a fresh one costs more in page faults than to fill it.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Mutex<Vec<Buffer>>,
}

impl Buffers {
    /// A buffer of `length` bytes with any content.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let free = self.free.lock().ok().and_then(|mut free| free.pop());
        let mut buffer = free.unwrap_or_default();
        buffer.set_length(length);
        buffer
    }

    /// Gives a buffer back.
    pub(crate) fn give(&self, buffer: Buffer) {
        if let Ok(mut free) = self.free.lock() {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, Buffers};

    #[test]
    fn begins_at_a_cache_line_whatever_its_length() {
        let buffers = Buffers::default();
        for length in [0, 1, 512, 4096, 300_000, 262_144, 7] {
            let mut buffer = buffers.take(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
            buffer.fill(1);
            buffers.give(buffer);
        }
    }
}
