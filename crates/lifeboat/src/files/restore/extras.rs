//! What is not in the backup and must stay all the same.

use std::path::{Path, PathBuf};

use lifeboat_sqlite::SIDECARS;

use super::FilesRestorePlan;
use crate::OpenRepository;
use crate::destination::suffixed;

/// Paths that are not taken away although the tree does not have them: databases, which are not in the tree, and
/// what belongs to Lifeboat.
#[derive(Debug)]
pub(super) struct Protected(Vec<PathBuf>);

impl Protected {
    pub(super) fn of(opened: &OpenRepository<'_>, plan: &FilesRestorePlan) -> Self {
        let mut paths = Vec::new();
        let placed = plan.source.databases.iter();
        for path in placed.filter_map(|one| plan.root.place(&super::unescaped(&one.path))) {
            paths.extend(SIDECARS.map(|suffix| suffixed(&path, suffix)));
            paths.push(path);
        }
        let own = opened.context().own_directories().into_iter();
        paths.extend(own.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten());
        Self(paths)
    }

    /// Whether a path, or something below it, is protected.
    pub(super) fn has(&self, path: &Path) -> bool {
        let resolved = path.canonicalize().ok();
        self.0.iter().any(|one| {
            one.starts_with(path) || resolved.as_ref().is_some_and(|path| one.starts_with(path))
        })
    }
}
