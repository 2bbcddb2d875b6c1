//! The content of files, from the repository to where it goes.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use lifeboat_files::{FileInPlace, FileInProgress};
use lifeboat_restic::{
    BlobHandle, BlobId, BlobKind, BlobStream, Error as ResticError, Node, ReadOptions,
};

use super::super::StoredFiles;
use super::ahead::{Ahead, Pieces};
use crate::error::chain;
use crate::{Progress, Result};

/// Up to so many pieces are read one after the other, rather than by threads of their own.
const FEW: usize = 2;

type Piece = lifeboat_restic::Result<Arc<Vec<u8>>>;

/// The content of files.
pub(super) struct Contents<'a> {
    files: &'a StoredFiles,
    stream: BlobStream<Pieces<'a>>,
    progress: &'a dyn Progress,
}

impl<'a> Contents<'a> {
    pub(super) fn new(
        files: &'a StoredFiles,
        ahead: &Rc<RefCell<Ahead<'a>>>,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let pieces = Pieces(ahead.clone());
        let stream = files.repository.read_blobs(&files.index, pieces, &ReadOptions::default())?;
        Ok(Self { files, stream, progress })
    }

    /// Writes the content of a file. What fails is a problem of the file.
    pub(super) fn write(&mut self, file: FileInProgress<'_>, node: &Node, asked: bool) {
        if asked {
            let count = node.content.len();
            let mut taken = 0;
            let pieces = std::iter::from_fn(|| {
                taken += 1;
                self.stream.next()
            });
            fill(file, pieces.take(count), self.progress);
            self.skip(count - taken.min(count));
        } else if node.content.len() <= FEW {
            let pieces = node.content.iter().map(|id| self.piece(*id));
            fill(file, pieces, self.progress);
        } else {
            let wanted = node.content.clone().into_iter();
            match self.files.repository.read_blobs(
                &self.files.index,
                wanted,
                &ReadOptions::default(),
            ) {
                Ok(pieces) => fill(file, pieces, self.progress),
                Err(error) => give_up(file, &error),
            }
        }
    }

    /// Passes over the content of a file that was asked for and is not needed.
    pub(super) fn pass(&mut self, node: &Node, asked: bool) {
        if asked {
            self.skip(node.content.len());
        }
        self.progress.advance(node.metadata.size);
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            // Whether it could be read is of no interest: nobody wants it.
            drop(self.stream.next());
        }
    }

    fn piece(&self, id: BlobId) -> Piece {
        let blob = BlobHandle { kind: BlobKind::Data, id };
        self.files.repository.blob(&self.files.index, &blob).map(Arc::new)
    }

    /// Whether a file that is there has the content of the backup. It is not read from there: the pieces are
    /// known by their hashes.
    pub(super) fn is_same(&self, file: &mut FileInPlace<'_>, node: &Node) -> bool {
        let mut buffer = Vec::new();
        node.content.iter().all(|id| {
            let blob = BlobHandle { kind: BlobKind::Data, id: *id };
            let Some(location) = self.files.index.find(&blob) else { return false };
            buffer.clear();
            let length = u64::from(location.extent.plain_length());
            let read = (&mut *file).take(length).read_to_end(&mut buffer);
            read.is_ok() && BlobId::of(&buffer) == *id
        }) && is_at_end(file)
    }
}

fn is_at_end(file: &mut FileInPlace<'_>) -> bool {
    matches!(file.read(&mut [0]), Ok(0))
}

fn fill(
    mut file: FileInProgress<'_>,
    pieces: impl Iterator<Item = Piece>,
    progress: &dyn Progress,
) {
    for piece in pieces {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return give_up(file, &error),
        };
        // What cannot be written is counted by the file itself.
        if file.write_all(&piece).is_err() {
            return;
        }
        progress.advance(piece.len() as u64);
    }
    // What comes of it is in the report.
    let _outcome = file.commit();
}

fn give_up(file: FileInProgress<'_>, error: &ResticError) {
    file.abandon("read from the backup", std::io::Error::other(chain(error)));
}
