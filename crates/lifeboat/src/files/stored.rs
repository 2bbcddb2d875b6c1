//! The files part of a repository, to be read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_restic::{Index, LockKind, Node, ResticRepository, Tree, TreeId, unescape};

use crate::held_locks::LockTicket;
use crate::{Error, Note, OpenRepository, Progress, Result};

/// The files part of a repository with its index, which takes 48 bytes for each blob, and as a rule with a lock
/// that keeps others from removing anything meanwhile.
#[derive(Debug)]
pub(crate) struct StoredFiles {
    pub(crate) repository: ResticRepository,
    pub(crate) index: Arc<Index>,
    _lock: Option<LockTicket>,
}

impl StoredFiles {
    /// Opens it. Without a lock, on demand or because nothing can be written there, what a prune removes
    /// meanwhile shows as damage: never as less than there is.
    pub(crate) fn open(
        opened: &OpenRepository<'_>,
        no_lock: bool,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let location = opened.repository().location();
        let repository = opened
            .repository()
            .files(opened.secrets()?)?
            .ok_or_else(|| lifeboat_restic::Error::NoRepository { location: location.clone() })?;
        let lock = match no_lock {
            true => None,
            false => match opened.context().held_locks().take(&repository, LockKind::Shared) {
                Ok(lock) => Some(lock),
                Err(error) if is_read_only(&error) => {
                    progress.note(&Note::NotLocked { location });
                    None
                }
                Err(error) => return Err(error),
            },
        };
        let index = Arc::new(Index::load(&repository)?);
        Ok(Self { repository, index, _lock: lock })
    }

    /// A directory, verified.
    pub(crate) fn tree(&self, id: &TreeId) -> lifeboat_restic::Result<Tree> {
        self.repository.tree(&self.index, id)
    }

    /// What has a path in a tree; `None` if nothing has. The path of the tree itself has no node.
    pub(crate) fn node_at(&self, root: &TreeId, path: &Path) -> Result<Option<Node>> {
        let mut id = *root;
        let mut names = path.strip_prefix("/").unwrap_or(path).iter().peekable();
        while let Some(name) = names.next() {
            let Some(node) = self.tree(&id)?.find(name).cloned() else { return Ok(None) };
            match (names.peek(), node.subtree) {
                (None, _) => return Ok(Some(node)),
                (Some(_), Some(subtree)) => id = subtree,
                (Some(_), None) => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Whether the repository lies where this user writes nothing.
fn is_read_only(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let kind = match error.downcast_ref::<lifeboat_storage::Error>() {
            Some(lifeboat_storage::Error::Storage { source, .. }) => Some(source.kind()),
            _ => error.downcast_ref::<std::io::Error>().map(std::io::Error::kind),
        };
        if matches!(kind, Some(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)) {
            return true;
        }
        cause = error.source();
    }
    // What is transparent shows its cause as its own.
    matches!(
        error,
        Error::Repository(lifeboat_repository::Error::Storage(lifeboat_storage::Error::Storage { source, .. }))
            if matches!(source.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
    )
}

/// A path as a manifest has it. What is escaped like no path is taken as it stands.
pub(crate) fn unescaped(path: &str) -> PathBuf {
    unescape(path).map_or_else(|| PathBuf::from(path), PathBuf::from)
}
