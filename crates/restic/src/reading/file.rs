//! The content of one file.

use std::io::{self, Read};
use std::sync::Arc;
use std::vec;

use super::stream::{BlobStream, ReadOptions};
use crate::{BlobId, Index, Node, ResticRepository, Result};

/// Reads the content of a file. Errors of its [`Read`] carry an [`Error`](crate::Error); after one of them there
/// is nothing more to read, because what follows would stand in the wrong place.
#[derive(Debug)]
pub struct FileReader {
    stream: Option<BlobStream<vec::IntoIter<BlobId>>>,
    piece: Arc<Vec<u8>>,
    /// How much of the piece was read.
    used: usize,
    failed: bool,
}

impl ResticRepository {
    /// The content of a regular file, which fetches ahead. For many files [`ResticRepository::read_blobs`] takes
    /// less.
    pub fn read_file(&self, index: &Arc<Index>, node: &Node) -> Result<FileReader> {
        let content = &node.content;
        let options = ReadOptions::default();
        let options = ReadOptions { threads: options.threads.min(content.len()), ..options };
        let read = || self.read_blobs(index, content.clone().into_iter(), &options);
        let stream = if content.is_empty() { None } else { Some(read()?) };
        Ok(FileReader { stream, piece: Arc::default(), used: 0, failed: false })
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.piece.len() {
            if self.failed {
                return Err(io::Error::other("what comes before could not be read"));
            }
            match self.stream.as_mut().and_then(Iterator::next) {
                Some(Ok(piece)) => (self.piece, self.used) = (piece, 0),
                Some(Err(error)) => {
                    self.failed = true;
                    return Err(io::Error::other(error));
                }
                None => return Ok(0),
            }
        }
        let read = (&self.piece[self.used..]).read(buffer)?;
        self.used += read;
        Ok(read)
    }
}
