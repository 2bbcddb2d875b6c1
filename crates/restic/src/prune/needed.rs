//! What the trees that are kept need.

use std::collections::{BTreeSet, HashSet};

use crate::tree_reader::TreeReader;
use crate::{BlobHandle, BlobId, BlobKind, Index, ResticRepository, Result, TreeId};

/// All blobs that these trees need; some 50 bytes of memory for each. An error if one of the directories cannot
/// be read: what it needs is not known.
pub(super) fn needed(
    repository: &ResticRepository,
    index: &Index,
    roots: &BTreeSet<TreeId>,
) -> Result<HashSet<BlobHandle>> {
    let mut needed = Needed { blobs: HashSet::new(), waiting: Vec::new() };
    roots.iter().for_each(|root| needed.tree(*root));
    let mut reader = TreeReader::new(repository, index);
    while let Some(id) = needed.waiting.pop() {
        // Where the first place of a directory is damaged, another may not be.
        let tree = reader.read(id)?;
        for node in &tree.nodes {
            needed.node(&node.content, node.subtree);
        }
        for node in &tree.unreadable {
            needed.node(&node.content, node.subtree);
        }
    }
    Ok(needed.blobs)
}

struct Needed {
    blobs: HashSet<BlobHandle>,
    waiting: Vec<TreeId>,
}

impl Needed {
    fn node(&mut self, content: &[BlobId], subtree: Option<TreeId>) {
        self.blobs.extend(content.iter().map(|id| BlobHandle { kind: BlobKind::Data, id: *id }));
        if let Some(subtree) = subtree {
            self.tree(subtree);
        }
    }

    fn tree(&mut self, id: TreeId) {
        if self.blobs.insert(BlobHandle { kind: BlobKind::Tree, id: id.into() }) {
            self.waiting.push(id);
        }
    }
}
