//! Writing a file so that long runs of zeros take no room.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// File systems keep room for blocks of this size, or a part or multiple of it.
const BLOCK: u64 = 4096;
/// Shorter runs are written: a file in very many pieces is slow to read.
const HOLE: u64 = 64 * 1024;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes a file from its beginning to its end.
#[derive(Debug)]
pub(super) struct SparseWriter {
    file: File,
    holes: bool,
    /// Up to here the file is written.
    written: u64,
    /// From there to here come zeros.
    position: u64,
}

impl SparseWriter {
    /// A writer of an empty file.
    pub(super) fn new(file: File, holes: bool) -> Self {
        Self { file, holes, written: 0, position: 0 }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How much was handed over.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let zeros = if self.holes { self.leading(data, true) } else { 0 };
            self.position += zeros as u64;
            data = &data[zeros..];
            let length = if self.holes { self.leading(data, false) } else { data.len() };
            if length > 0 {
                self.end_zeros()?;
                self.file.write_all_at(&data[..length], self.position)?;
                self.position += length as u64;
                self.written = self.position;
                data = &data[length..];
            }
        }
        Ok(())
    }

    /// How many bytes in front are blocks that are all zero, or blocks that are not. A block begins
    /// where it begins in the file, so those at both ends of the data may be shorter.
    fn leading(&self, data: &[u8], zero: bool) -> usize {
        let mut length = 0;
        while length < data.len() {
            let into_block = (self.position + length as u64) % BLOCK;
            let end = usize::try_from(BLOCK - into_block)
                .map_or(data.len(), |room| data.len().min(length + room));
            if data[length..end].iter().all(|&byte| byte == 0) != zero {
                break;
            }
            length = end;
        }
        length
    }

    /// Makes a hole of the zeros before the position, or writes them if they are too few.
    fn end_zeros(&mut self) -> io::Result<()> {
        let start = self.written.next_multiple_of(BLOCK);
        let end = self.position - self.position % BLOCK;
        if end.saturating_sub(start) >= HOLE {
            self.write_zeros(start)?;
            self.written = end;
        }
        self.write_zeros(self.position)
    }

    fn write_zeros(&mut self, end: u64) -> io::Result<()> {
        while self.written < end {
            let length = usize::try_from(end - self.written)
                .map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
            self.file.write_all_at(&ZEROS[..length], self.written)?;
            self.written += length as u64;
        }
        Ok(())
    }

    /// Ends the file at the position.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.end_zeros()?;
        // The hole at the end, if there is one.
        self.file.set_len(self.position)
    }
}
