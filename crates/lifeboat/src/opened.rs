//! A repository in use: what is remembered of it, and its secrets once they are needed.

use std::cell::OnceCell;
use std::sync::Arc;

use lifeboat_repository::{BackupName, Manifest, Repository, Secrets};
use lifeboat_storage::Storage;

use crate::password::{PasswordSource, SecretString};
use crate::{Context, Error, Result};

/// An open repository. Its secrets are unlocked when something is read: that takes 36 MiB and a
/// noticeable time on a small machine, and a backup does not need them.
#[derive(Debug)]
pub struct OpenRepository<'a> {
    context: &'a Context,
    repository: Repository,
    password: Option<PasswordSource>,
    secrets: OnceCell<Secrets>,
}

impl<'a> OpenRepository<'a> {
    pub(crate) fn open(
        context: &'a Context,
        storage: Arc<dyn Storage>,
        password: Option<PasswordSource>,
    ) -> Result<Self> {
        let repository = Repository::open(storage)?;
        let opened = Self { context, repository, password, secrets: OnceCell::new() };
        opened.check_password()?;
        Ok(opened)
    }

    /// Makes sure that what is written from now on can be read by its owner.
    ///
    /// Reading asks for none of this: a damaged recipient must not keep anyone from their backups.
    pub(crate) fn require_writable(&self) -> Result<()> {
        self.repository.require_writable()?;
        self.check_recipient()
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(crate) fn context(&self) -> &'a Context {
        self.context
    }

    pub(crate) fn id(&self) -> String {
        self.repository.marker().id.to_string()
    }

    /// The secrets.
    ///
    /// [`Error::NoPassword`] where none was given; wrong passwords are the repository's error.
    pub fn secrets(&self) -> Result<&Secrets> {
        if let Some(secrets) = self.secrets.get() {
            return Ok(secrets);
        }
        let password = self
            .password()?
            .ok_or_else(|| Error::NoPassword { location: self.repository.location() })?;
        let secrets = self.unlock(&password)?;
        Ok(self.secrets.get_or_init(|| secrets))
    }

    /// Reads and verifies a manifest.
    pub fn manifest(&self, name: &BackupName) -> Result<Manifest> {
        Ok(self.repository.manifest(name, self.secrets()?)?.manifest)
    }

    fn password(&self) -> Result<Option<SecretString>> {
        self.password.as_ref().map(PasswordSource::get).transpose()
    }

    fn unlock(&self, password: &SecretString) -> Result<Secrets> {
        let secrets = self.repository.unlock_to_read(password)?;
        let mut state = self.context.state().repository(&self.id())?;
        if !state.knows(password) {
            state.learn(password)?;
            self.context.state().save_repository(&self.id(), &state)?;
        }
        Ok(secrets)
    }

    /// The recipient must be the one of the first use; a new one is taken over only if the password
    /// shows that its secret is the owner's.
    fn check_recipient(&self) -> Result<()> {
        let found = self.repository.recipient()?.recipient.clone();
        let mut state = self.context.state().repository(&self.id())?;
        match &state.recipient {
            Some(expected) if *expected == found => return Ok(()),
            Some(expected) if self.password.is_none() => {
                return Err(lifeboat_repository::Error::RecipientChanged {
                    location: self.repository.location(),
                    expected: expected.clone(),
                    found,
                }
                .into());
            }
            _ if self.password.is_some() => {
                self.repository.require_own_recipient(self.secrets()?)?;
            }
            _ => {}
        }
        state.recipient = Some(found);
        state.location = self.repository.location();
        self.context.state().save_repository(&self.id(), &state)
    }

    /// A password that is given is verified, once, even where none is needed: a backup that nobody
    /// can open must not look like one.
    fn check_password(&self) -> Result<()> {
        let Some(password) = self.password()? else { return Ok(()) };
        if self.context.state().repository(&self.id())?.knows(&password) {
            return Ok(());
        }
        let secrets = self.unlock(&password)?;
        self.secrets.get_or_init(|| secrets);
        Ok(())
    }
}
