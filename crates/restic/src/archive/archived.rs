//! What comes of an archiving.

use jiff::Timestamp;

use super::builder::TreeStats;
use super::reader::ReadStats;
use super::sealing::PackStats;
use super::{ArchiveOptions, Problems};
use crate::{Error, Result, Snapshot, SnapshotId, SnapshotSummary, TreeId};

/// What an archiving has made, and what of it was new.
#[derive(Debug)]
pub struct Archived {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The tree of its `/`.
    pub tree: TreeId,
    /// Regular files in it.
    pub files: u64,
    /// Directories in it.
    pub directories: u64,
    /// Links and special files in it.
    pub others: u64,
    /// Files that were not in the snapshot before.
    pub files_new: u64,
    /// Files that were other in the snapshot before.
    pub files_changed: u64,
    /// Files that were not read, because they are as in the snapshot before.
    pub files_unmodified: u64,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes of packs that were stored.
    pub stored_bytes: u64,
    /// Pieces of files that were stored.
    pub data_blobs_new: u64,
    /// Directories that were stored.
    pub tree_blobs_new: u64,
    /// What could not be read.
    pub problems: Problems,
    /// What the source left out.
    pub left_out: u64,
    /// What was gone when it was looked at.
    pub vanished: u64,
    /// Files that were changed while they were read: they may be part old and part new.
    pub changed_while_read: u64,
    /// Directories of the snapshot before (or that itself) that could not be read, so that files below them
    /// were.
    pub unreadable_parent_trees: u64,
}

/// What all threads together have made.
pub(super) struct Stored {
    /// Of `/`.
    pub(super) tree: TreeId,
    pub(super) read: ReadStats,
    pub(super) trees: TreeStats,
    pub(super) packs: PackStats,
    /// Of the packs.
    pub(super) stored_bytes: u64,
}

impl Stored {
    /// Whether every entry that came from the source is in a tree or known to be missing.
    pub(super) fn account(&self) -> Result<()> {
        let Self { read, trees, .. } = self;
        let accounted = trees.files + trees.directories + trees.others + read.dropped;
        let compared = read.files_new + read.files_changed + read.files_unmodified;
        if read.seen != accounted || compared != trees.files {
            return Err(Error::Unaccounted { seen: read.seen, accounted });
        }
        Ok(())
    }

    /// The snapshot of it, compared with `parent`.
    pub(super) fn snapshot(
        &self,
        options: &ArchiveOptions,
        parent: Option<SnapshotId>,
    ) -> Snapshot {
        Snapshot {
            time: options.time,
            parent,
            tree: self.tree,
            paths: options.paths.clone(),
            hostname: options.host.clone(),
            username: options.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            excludes: Vec::new(),
            tags: options.tags.clone(),
            original: None,
            program_version: options.program_version.clone(),
            summary: Some(self.summary(options)),
        }
    }

    fn summary(&self, options: &ArchiveOptions) -> SnapshotSummary {
        let Self { read, trees, packs, stored_bytes, .. } = self;
        SnapshotSummary {
            backup_start: options.time,
            backup_end: Timestamp::now(),
            files_new: read.files_new,
            files_changed: read.files_changed,
            files_unmodified: read.files_unmodified,
            dirs_new: trees.directories_new,
            dirs_changed: trees.directories_changed,
            dirs_unmodified: trees.directories_unmodified,
            data_blobs: packs.data_blobs,
            tree_blobs: packs.tree_blobs,
            data_added: packs.plain_bytes,
            data_added_packed: *stored_bytes,
            total_files_processed: trees.files,
            total_bytes_processed: trees.size_bytes,
        }
    }

    /// What is told of it.
    pub(super) fn archived(self, snapshot: SnapshotId) -> Archived {
        let Self { tree, read, trees, packs, stored_bytes } = self;
        Archived {
            snapshot,
            tree,
            files: trees.files,
            directories: trees.directories,
            others: trees.others,
            files_new: read.files_new,
            files_changed: read.files_changed,
            files_unmodified: read.files_unmodified,
            size_bytes: trees.size_bytes,
            read_bytes: read.read_bytes,
            stored_bytes,
            data_blobs_new: packs.data_blobs,
            tree_blobs_new: packs.tree_blobs,
            problems: read.problems,
            left_out: read.left_out,
            vanished: read.vanished,
            changed_while_read: read.changed_while_read,
            unreadable_parent_trees: read.unreadable_parent_trees,
        }
    }
}
