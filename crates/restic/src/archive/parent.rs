//! What the backup before has of the files that are archived.

use std::ffi::OsStr;

use lifeboat_files::{Entry, Kind};

use crate::tree_reader::TreeReader;
use crate::{BlobHandle, BlobId, BlobKind, Index, Node, ResticRepository, Snapshot, Tree, TreeId};

/// The directories of an earlier snapshot on the way to where a walk is, one in memory for each. Nothing
/// depends on them but whether a file is read: one that cannot be read is as if it were not there.
pub(super) struct Parent<'a> {
    reader: TreeReader<'a>,
    index: &'a Index,
    directories: Vec<Option<Tree>>,
    pub(super) unreadable: u64,
}

/// What a file is to the one of its name in the snapshot before.
#[derive(Debug)]
pub(super) enum Compared {
    /// There is none.
    New,
    /// It is another, or not all of it is stored.
    Changed,
    /// It is the same, and these are its pieces.
    Unmodified(Vec<BlobId>),
}

impl<'a> Parent<'a> {
    pub(super) fn new(
        repository: &'a ResticRepository,
        index: &'a Index,
        snapshot: Option<&Snapshot>,
    ) -> Self {
        let reader = TreeReader::new(repository, index);
        let mut parent = Self { reader, index, directories: Vec::new(), unreadable: 0 };
        let root = snapshot.and_then(|snapshot| parent.read(snapshot.tree));
        parent.directories.push(root);
        parent
    }

    /// Goes into the directory `name`; returns the id of the tree it had.
    pub(super) fn enter(&mut self, name: &OsStr) -> Option<TreeId> {
        let id = self.find(name).and_then(|node| node.subtree);
        let directory = id.and_then(|id| self.read(id));
        self.directories.push(directory);
        id
    }

    /// Goes back to the directory above.
    pub(super) fn leave(&mut self) {
        self.directories.pop();
    }

    /// Compares a regular file with the one of its name.
    pub(super) fn compare(&self, entry: &Entry, name: &OsStr) -> Compared {
        match self.find(name) {
            Some(node) if node.kind == Kind::File => {
                if is_same(node, entry) && self.is_stored(node) {
                    Compared::Unmodified(node.content.clone())
                } else {
                    Compared::Changed
                }
            }
            _ => Compared::New,
        }
    }

    fn find(&self, name: &OsStr) -> Option<&Node> {
        self.directories.last()?.as_ref()?.find(name)
    }

    fn read(&mut self, id: TreeId) -> Option<Tree> {
        let read = self.reader.read(id);
        self.unreadable += u64::from(read.is_err());
        read.ok()
    }

    /// Whether all pieces are in the index, and are as long as the file.
    fn is_stored(&self, node: &Node) -> bool {
        let length = |&id: &BlobId| {
            let location = self.index.find(&BlobHandle { kind: BlobKind::Data, id })?;
            Some(u64::from(location.extent.plain_length()))
        };
        node.content.iter().map(length).sum::<Option<u64>>() == Some(node.metadata.size)
    }
}

/// A file that was written to has another time; `ctime` is what nobody can set back.
fn is_same(node: &Node, entry: &Entry) -> bool {
    let (old, new) = (&node.metadata, &entry.metadata);
    (old.size, old.modified, old.changed, old.inode)
        == (new.size, new.modified, new.changed, new.inode)
}
