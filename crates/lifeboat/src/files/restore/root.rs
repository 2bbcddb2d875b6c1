//! Where a tree goes: which directory here stands for which of the backup.

use std::path::{Path, PathBuf};

use lifeboat_repository::FilesSource;
use lifeboat_restic::TreeId;
use rustix::fs::{Access, AtFlags, CWD};

use super::super::StoredFiles;
use super::super::filter::Filter;
use super::paths_of;
use crate::Result;

/// A directory here, and the one of the backup that it stands for.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) directory: PathBuf,
    pub(super) within: PathBuf,
    pub(super) tree: TreeId,
    /// The paths of the source.
    sources: Vec<PathBuf>,
}

impl Root {
    /// The whole tree below a directory.
    pub(super) fn at(directory: PathBuf, source: &FilesSource) -> Self {
        let (within, tree) = (PathBuf::from("/"), source.stored.tree);
        Self { directory, within, tree, sources: paths_of(source) }
    }

    /// Everything where it came from. The lowest directory that holds all of it is opened by its path, as it was
    /// when the files were read: through whatever links lead there. Replaced files are moved to it, so it should
    /// be one that this user may write to.
    pub(super) fn in_place(
        stored: &StoredFiles,
        source: &FilesSource,
        filter: &Filter,
    ) -> Result<Self> {
        let mut root = Self::at(PathBuf::from("/"), source);
        let mut next = root.only_directory(stored, filter)?;
        while let Some((path, tree)) = next {
            let goes_on = root.leads_on(&path, filter) || !may_write(&root.within);
            if !goes_on || !path.is_dir() {
                break;
            }
            (root.within, root.tree) = (path, tree);
            // What is damaged deeper down is told when it is restored.
            next = root.only_directory(stored, filter).unwrap_or_default();
        }
        root.directory.clone_from(&root.within);
        Ok(root)
    }

    /// The one directory in which everything lies that is meant, if it is so.
    fn only_directory(
        &self,
        stored: &StoredFiles,
        filter: &Filter,
    ) -> Result<Option<(PathBuf, TreeId)>> {
        let tree = stored.tree(&self.tree)?;
        let chosen =
            tree.nodes.iter().filter(|node| filter.choose(&self.within.join(&node.name)).any());
        let chosen: Vec<_> = chosen.collect();
        let ([one], true) = (chosen.as_slice(), tree.unreadable.is_empty()) else {
            return Ok(None);
        };
        Ok(one.subtree.map(|subtree| (self.within.join(&one.name), subtree)))
    }

    /// Whether a directory is above everything that is meant.
    fn leads_on(&self, path: &Path, filter: &Filter) -> bool {
        self.only_leads(path)
            && filter.paths().iter().all(|named| named.starts_with(path) && named != path)
    }

    /// Whether a directory of the backup is only above what was backed up.
    pub(super) fn only_leads(&self, path: &Path) -> bool {
        let above = |source: &PathBuf| source.starts_with(path) && source != path;
        self.sources.iter().any(above) && !self.sources.iter().any(|one| path.starts_with(one))
    }

    /// Where a path of the backup goes; `None` if it is not below the root.
    pub(super) fn place(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.within).ok()?;
        // Without the slash that an empty path would add.
        Some(if below.as_os_str().is_empty() {
            self.directory.clone()
        } else {
            self.directory.join(below)
        })
    }
}

fn may_write(directory: &Path) -> bool {
    rustix::fs::accessat(CWD, directory, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}
