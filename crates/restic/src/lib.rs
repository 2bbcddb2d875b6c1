//! A restic repository (format version 2) in a storage: what `restic -r URL` reads and writes, too.
//!
//! Errors are never skipped: what cannot be read of a source is counted and named, what cannot be read of a
//! repository or written to it ends the work.

mod archive;
mod blob;
mod check;
mod chunker;
mod cipher;
mod config;
mod copy;
mod error;
mod file_time;
mod go_json;
mod ids;
mod index;
mod indexer;
mod key_file;
mod layout;
mod lock;
mod master_key;
mod mode;
mod name;
mod node;
mod object;
mod pack;
mod packer;
mod polynomial;
mod prune;
mod reading;
mod repository;
mod snapshot;
mod timestamp;
mod tree;
mod tree_reader;
mod unpacked;
mod usage;

pub use archive::{
    ArchiveOptions, ArchiveProgress, Archived, Problems, Source, SourceContent, SourceFile,
    SourceItem, archive,
};
pub use blob::{BlobExtent, BlobHandle, BlobKind};
pub use check::{CheckOptions, CheckReport, Damage, LostPath, LostRoot, Root, Subset};
pub use config::{Config, VERSION};
pub use copy::{CopiedSnapshot, CopyOptions, MissingBlobs, SnapshotCopier};
pub use error::{Error, Result};
pub use ids::{BlobId, IndexId, KeyId, LockId, PackId, RepositoryId, SnapshotId, TreeId};
pub use index::{BlobLocation, Index};
pub use indexer::Fence;
pub use key_file::{
    KEY_FILE_USERNAME, KeyFileInfo, list_key_files, remove_key_file, unlock, write_key_file,
};
pub use layout::{Listed, ObjectId, list};
pub use lock::{
    Clock, HeldLock, Lock, LockKind, LockOptions, Locks, SystemClock, Unlock, Unlocked, hostname,
    is_alive, is_stale, username,
};
pub use master_key::MasterKey;
pub use name::{quote as escape, unquote as unescape};
pub use node::{Node, UnreadableNode};
pub use pack::PackedBlob;
pub use polynomial::Polynomial;
pub use prune::{PruneOptions, PrunePlan, PruneStats};
pub use reading::{BlobStream, FileReader, ReadOptions};
pub use repository::{ResticRepository, exists};
pub use snapshot::{Snapshot, SnapshotSummary, Snapshots};
pub use tree::Tree;
pub use usage::Usage;
