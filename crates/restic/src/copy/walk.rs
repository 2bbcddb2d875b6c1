//! The way through a tree, to what the target lacks of it.

use std::collections::HashSet;

use super::SnapshotCopier;
use super::trees::Trees;
use crate::{BlobHandle, BlobId, BlobKind, Error, Result, Tree, TreeId};

/// What was found on the way. It counts for nothing until all that is missing is stored.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Directories that were read.
    pub(super) trees: HashSet<TreeId>,
    /// What the target lacks.
    pub(super) blobs: HashSet<BlobHandle>,
    /// The pieces of files among that, in the order of the files.
    pub(super) data: Vec<BlobId>,
}

enum Step {
    Enter(TreeId),
    /// All below a directory that the target lacks was seen.
    Leave(BlobHandle, Vec<u8>),
}

impl SnapshotCopier {
    /// Reads all directories from `root` on, verified. Those that the target lacks are handed to `store` in the
    /// order in which a backup stores them: what is in a directory before the directory.
    ///
    /// [`Error::Corrupt`] if one cannot be read or understood: what it names cannot be known.
    pub(super) fn walk(
        &self,
        root: TreeId,
        mut store: impl FnMut(BlobHandle, &[u8]) -> Result<()>,
    ) -> Result<Walked> {
        let mut walked = Walked::default();
        let mut reader = Trees::new(self);
        let mut steps = vec![Step::Enter(root)];
        while let Some(step) = steps.pop() {
            let id = match step {
                Step::Leave(blob, plain) => {
                    store(blob, &plain)?;
                    continue;
                }
                Step::Enter(id) => id,
            };
            if self.whole.contains(&id) || !walked.trees.insert(id) {
                continue;
            }
            let blob = BlobHandle { kind: BlobKind::Tree, id: id.into() };
            let plain = reader.read(id)?;
            let tree = understood(id, &plain)?;
            if self.lacks(&blob) && walked.blobs.insert(blob) {
                steps.push(Step::Leave(blob, plain));
            }
            for &id in tree.nodes.iter().flat_map(|node| &node.content) {
                let blob = BlobHandle { kind: BlobKind::Data, id };
                if self.lacks(&blob) && walked.blobs.insert(blob) {
                    self.must_be_listed(&blob)?;
                    walked.data.push(id);
                }
            }
            let below = tree.nodes.iter().rev().filter_map(|node| node.subtree);
            steps.extend(below.map(Step::Enter));
        }
        Ok(walked)
    }

    fn lacks(&self, blob: &BlobHandle) -> bool {
        !self.target_index.contains(blob) && !self.stored.contains(blob)
    }

    /// What neither has is known before anything is read in vain.
    fn must_be_listed(&self, blob: &BlobHandle) -> Result<()> {
        if self.source_index.contains(blob) {
            return Ok(());
        }
        Err(Error::corrupt(blob, "no index lists it"))
    }
}

/// A directory of which every node is understood.
fn understood(id: TreeId, plain: &[u8]) -> Result<Tree> {
    let tree = Tree::decode(id, plain)?;
    match tree.unreadable.first() {
        None => Ok(tree),
        Some(node) => {
            let problem = format!("{:?}: {}", node.name, node.problem);
            Err(Error::corrupt(format!("tree {id}"), problem))
        }
    }
}
