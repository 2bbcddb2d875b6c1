//! The files part of a repository, in use.

use std::sync::{Arc, OnceLock};

use lifeboat_repository::Secrets;
use lifeboat_restic::{
    ArchiveOptions, ArchiveProgress, Archived, Index, LockKind, ResticRepository, Source, archive,
    exists,
};

use crate::credential::KeyMaterial;
use crate::held_locks::LockTicket;
use crate::{Error, OpenRepository, Result};

/// The files part of a repository, with a lock that lets others add and read, and keeps them from removing.
#[derive(Debug)]
pub(crate) struct FilesPart {
    pub(crate) repository: ResticRepository,
    pub(crate) lock: LockTicket,
    /// Loaded at its first use, under the lock.
    index: OnceLock<Arc<Index>>,
}

impl FilesPart {
    /// Opens it to write; makes it if it is not there.
    ///
    /// Who cannot read the repository cannot tell what is stored already, and restic has no key that only writes.
    pub(crate) fn to_write(opened: &OpenRepository<'_>) -> Result<Self> {
        let secrets = opened.secrets().map_err(needs_secrets)?;
        Self::tended(opened, opened.repository().files_or_new(secrets)?, secrets)
    }

    /// The same; a new one cuts files where `other` does.
    pub(crate) fn to_write_like(
        opened: &OpenRepository<'_>,
        other: &ResticRepository,
    ) -> Result<Self> {
        let secrets = opened.secrets().map_err(needs_secrets)?;
        Self::tended(opened, opened.repository().files_or_like(secrets, other)?, secrets)
    }

    fn tended(
        opened: &OpenRepository<'_>,
        repository: ResticRepository,
        secrets: &Secrets,
    ) -> Result<Self> {
        tend_keys(opened, &repository, secrets)?;
        let lock = opened.context().held_locks().take(&repository, LockKind::Shared)?;
        Ok(Self { repository, lock, index: OnceLock::new() })
    }

    /// Opens it with a lock; `None` if there is none.
    pub(crate) fn open(opened: &OpenRepository<'_>, kind: LockKind) -> Result<Option<Self>> {
        let Some(repository) = look(opened)? else { return Ok(None) };
        let lock = opened.context().held_locks().take(&repository, kind)?;
        Ok(Some(Self { repository, lock, index: OnceLock::new() }))
    }

    /// Which pack holds which blob, with what was archived with it: the lock keeps that true, and others' blobs that
    /// are not in it are not known. It is loaded once, however many ask one after the other.
    pub(crate) fn index(&self) -> Result<Arc<Index>> {
        if let Some(index) = self.index.get() {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(Index::load(&self.repository)?);
        Ok(Arc::clone(self.index.get_or_init(|| index)))
    }

    /// Archives what `source` yields. While somebody else has the index in hand, this takes the memory of a second
    /// one.
    pub(crate) fn archive(
        &mut self,
        source: &mut dyn Source,
        options: &ArchiveOptions,
        progress: &dyn ArchiveProgress,
    ) -> Result<Archived> {
        let mut index = self.index()?;
        // Or there would be two in hand here.
        self.index.take();
        let lock = &self.lock;
        let fence = || lock.still_ours();
        let known = Arc::make_mut(&mut index);
        let archived = archive(&self.repository, known, source, options, &fence, progress);
        self.index = index.into();
        Ok(archived?)
    }
}

/// Opens the files part without a lock; `None` if there is none.
pub(crate) fn look(opened: &OpenRepository<'_>) -> Result<Option<ResticRepository>> {
    // Whoever cannot read the repository has not to do with it where there is none.
    if !opened.repository().form().is_sealed() || !exists(opened.repository().storage())? {
        return Ok(None);
    }
    Ok(opened.repository().files(opened.secrets()?)?)
}

/// Has restic open the files part with the password at hand, and with none that was taken away.
pub(crate) fn tend_keys(
    opened: &OpenRepository<'_>,
    files: &ResticRepository,
    secrets: &Secrets,
) -> Result<()> {
    let material = opened.require_key()?;
    let password = match &material {
        KeyMaterial::Password(password) => Some(password),
        KeyMaterial::Identity { .. } => None,
    };
    Ok(opened.repository().tend_restic_keys(files, secrets, password)?)
}

fn needs_secrets(error: Error) -> Error {
    match error {
        Error::NoPassword { location } => Error::usage(
            format!("files cannot be stored in {location} without a password or an identity"),
            "a host that can only write backs up databases; give --password-file or --identity for files",
        ),
        error => error,
    }
}
