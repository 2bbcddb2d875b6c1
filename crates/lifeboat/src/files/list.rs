//! What lies at a path of a backup.

use std::path::{Path, PathBuf};

use lifeboat_files::{Entry, Kind};
use lifeboat_restic::Node;

use super::StoredFiles;
use super::filter::Filter;
use super::meant::StoredSource;
use super::restore::RestoreProblem;
use super::tree_walk::{Step, TreeWalk};
use crate::error::chain;
use crate::{Error, OpenRepository, Progress, Result};

/// What to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListRequest {
    /// Go down into directories.
    pub recursive: bool,
    /// Take no lock of the repository.
    pub no_lock: bool,
}

/// Tells of each entry in a directory of a backup, or of the one entry that is no directory, in the order of
/// their names. Returns what could not be read.
pub fn list_files(
    opened: &OpenRepository<'_>,
    meant: &StoredSource,
    request: ListRequest,
    each: &mut dyn FnMut(&Entry) -> Result<()>,
    progress: &dyn Progress,
) -> Result<Vec<RestoreProblem>> {
    let Some(stored) = meant.source.stored() else { return Ok(Vec::new()) };
    let files = StoredFiles::open(opened, request.no_lock, progress)?;
    let path = meant.path.clone().unwrap_or_else(|| PathBuf::from("/"));
    let tree = if path == Path::new("/") {
        stored.tree
    } else {
        let node = files.node_at(&stored.tree, &path)?.ok_or_else(|| Error::NoPath {
            path: path.clone(),
            source_name: meant.source.name().cloned().unwrap_or_default(),
            backup: meant.backup.id,
        })?;
        match node.subtree {
            Some(subtree) => subtree,
            None => return each(&entry(path, node)).map(|()| Vec::new()),
        }
    };
    let mut problems = Vec::new();
    if request.recursive {
        for step in TreeWalk::new(&files, &tree, &path, Filter::default())? {
            match step {
                Step::Enter { path, node, .. } | Step::Entry { path, node } => {
                    each(&entry(path, *node))?;
                }
                Step::Problem { path, error } => {
                    problems.push(RestoreProblem { path, error: chain(&error) });
                }
                Step::Leave { .. } | Step::End { .. } => {}
            }
        }
        return Ok(problems);
    }
    let tree = files.tree(&tree)?;
    for node in tree.nodes {
        each(&entry(path.join(&node.name), node))?;
    }
    for unreadable in tree.unreadable {
        let path = path.join(unreadable.name);
        problems.push(RestoreProblem { path, error: unreadable.problem });
    }
    Ok(problems)
}

pub(super) fn entry(path: PathBuf, node: Node) -> Entry {
    Entry { path, kind: node.kind, metadata: node.metadata }
}

/// What a kind of entry is called.
pub fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink { .. } => "symlink",
        Kind::BlockDevice { .. } => "block-device",
        Kind::CharacterDevice { .. } => "character-device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}
