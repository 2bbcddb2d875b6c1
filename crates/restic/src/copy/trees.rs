//! Where directories are read from.

use super::SnapshotCopier;
use crate::tree_reader::TreeReader;
use crate::{BlobHandle, BlobKind, Error, Index, Result, TreeId};

/// Reads directories from the source, or, if that is far, those that the target lists from there.
pub(super) struct Trees<'a> {
    source: TreeReader<'a>,
    /// What is nearer than the source, with its index.
    near: Option<(TreeReader<'a>, &'a Index)>,
}

impl<'a> Trees<'a> {
    pub(super) fn new(copier: &'a SnapshotCopier) -> Self {
        let source = TreeReader::new(&copier.source, &copier.source_index);
        let (near, index) =
            (copier.target.as_ref().filter(|_| copier.source_is_far), &copier.target_index);
        Self { source, near: near.map(|target| (TreeReader::new(target, index), index)) }
    }

    /// The bytes of a directory, which have its id. Only from where they come depends on the target: what is damaged
    /// there is read from the source; and if its storage fails, all else is, rather than that it is waited for at
    /// each directory.
    pub(super) fn read(&mut self, id: TreeId) -> Result<Vec<u8>> {
        let blob = BlobHandle { kind: BlobKind::Tree, id: id.into() };
        match &mut self.near {
            Some((reader, index)) if index.contains(&blob) => match reader.read_plain(id) {
                Ok(plain) => return Ok(plain),
                Err(error) if is_damage(&error) => {}
                Err(_) => self.near = None,
            },
            _ => {}
        }
        self.source.read_plain(id)
    }
}

fn is_damage(error: &Error) -> bool {
    use lifeboat_storage::Error as Storage;
    matches!(error, Error::Corrupt { .. } | Error::Storage(Storage::NotFound { .. }))
}
