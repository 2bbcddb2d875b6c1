//! A repository in use: what is remembered of it, and its secrets once they are needed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lifeboat_repository::{
    BackupName, Deferred, KeepRules, Manifest, Repository, Secrets, encode_name,
};
use lifeboat_storage::Storage;

use crate::context::{Access, Chosen};
use crate::credential::{KeyMaterial, KeySource};
use crate::location::Location;
use crate::pins::Pins;
use crate::state::{Outbox, RepositoryState};
use crate::{Context, Error, Note, Progress, Result};

/// An open repository. Its secrets are unlocked when something is read: that takes 36 MiB and a
/// noticeable time on a small machine, and a backup does not need them.
#[derive(Debug)]
pub struct OpenRepository<'a> {
    context: &'a Context,
    repository: Repository,
    name: Option<String>,
    place: Location,
    keep: Option<KeepRules>,
    append_only: bool,
    access: Access,
    pins: Arc<Pins>,
    secrets: OnceLock<Secrets>,
    /// Where what is written waits, over a network.
    outbox: OnceLock<Option<Outbox>>,
}

impl<'a> OpenRepository<'a> {
    pub(crate) fn open(
        context: &'a Context,
        storage: Arc<dyn Storage>,
        chosen: Chosen,
    ) -> Result<Self> {
        let Chosen { name, location: place, access, keep, append_only, .. } = chosen;
        let repository = Repository::open(storage)?;
        let repository = match context.part_bytes() {
            Some(part_bytes) => repository.with_part_bytes(part_bytes),
            None => repository,
        };
        let own = context.host().key.public();
        let pins = Pins::load(context.state(), &repository.marker().id.to_string(), own)?;
        let pins = Arc::new(pins);
        let repository = repository.with_trust(pins.clone());
        let (secrets, outbox) = (OnceLock::new(), OnceLock::new());
        let mut opened = Self {
            context,
            repository,
            name,
            place,
            keep,
            append_only,
            access,
            pins,
            secrets,
            outbox,
        };
        if opened.repository.form().is_sealed() {
            opened.check_key()?;
            return Ok(opened);
        }
        if opened.access.is_given() {
            return Err(Error::NotEncrypted { location: opened.repository.location() });
        }
        opened.access.key = None;
        opened.secrets = OnceLock::from(Secrets::none());
        Ok(opened)
    }

    /// Makes sure that what is written from now on can be read by its owner, and known as this
    /// host's.
    ///
    /// Reading asks for none of this: a damaged recipient must not keep anyone from their backups.
    pub(crate) fn require_writable(&self) -> Result<()> {
        self.repository.require_writable()?;
        if self.repository.form().is_sealed() {
            self.check_recipient()?;
        } else {
            self.check_plain()?;
        }
        self.take_outbox()
    }

    /// What goes over a network waits on this machine until it has come through; what a process that was killed
    /// left to wait is sent first.
    fn take_outbox(&self) -> Result<()> {
        if self.place.local_path().is_some() || self.outbox.get().is_some() {
            return Ok(());
        }
        let outbox = Outbox::take(self.context.state(), &self.repository)?;
        if let Some(outbox) = self.outbox.get_or_init(|| outbox) {
            self.repository.set_outbox(outbox.storage.clone());
        }
        Ok(())
    }

    /// Lets what is written from now on wait on this machine until it is sent: what copying from it needs is at hand
    /// then. `None`, and nothing is changed, where it cannot wait, or cannot be copied.
    pub(crate) fn defer(&mut self) -> Result<Option<Arc<Deferred>>> {
        self.require_writable()?;
        let Some(Some(outbox)) = self.outbox.get() else { return Ok(None) };
        if !self.can_read() {
            return Ok(None);
        }
        self.secrets()?;
        Ok(self.repository.defer(outbox.storage.clone())?)
    }

    /// Says that a repository is not encrypted when this host uses it for the first time.
    pub(crate) fn note_first_use(&self, progress: &dyn Progress) -> Result<()> {
        let location = self.repository.location();
        let known = self.state()?.location == location;
        if !self.repository.form().is_sealed() && !known {
            self.check_plain()?;
            progress.note(&Note::NotEncrypted { location });
        }
        Ok(())
    }

    /// Whoever can write to the place of an encrypted repository could put one there that is not, and
    /// read what is backed up from then on. So one is refused there, unless this host made it.
    fn check_plain(&self) -> Result<()> {
        let location = self.repository.location();
        let state = self.state()?;
        let known = state.location == location;
        if state.recipient.is_some() || (!known && self.context.state().has_sealed(&location)?) {
            return Err(Error::NoLongerEncrypted { location });
        }
        if known { Ok(()) } else { self.remember_plain() }
    }

    /// Writes down that this repository, in its place, is not encrypted.
    pub(crate) fn remember_plain(&self) -> Result<()> {
        self.update_state(|state| {
            state.location = self.repository.location();
            Ok(())
        })?;
        let host = encode_name(&self.context.host_name())?;
        self.pins.accept(&host, &self.context.host().key.public())
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What it is called in the configuration, else where it is.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.repository.location())
    }

    /// Where its owner sees it in a browser, if it is in a store that has such a place.
    pub fn link(&self) -> Option<String> {
        // It is shown beside what matters: that it cannot be had is no failure.
        self.place.folder()?.ok()?.link().ok()?
    }

    /// Which backups the configuration keeps in it.
    pub(crate) fn keep_rules(&self) -> Option<&KeepRules> {
        self.keep.as_ref()
    }

    /// Whether this host removes nothing from it.
    pub fn is_append_only(&self) -> bool {
        self.append_only
    }

    /// Makes sure that something may be removed from it, as [`OpenRepository::require_writable`] does for writing.
    pub(crate) fn require_removable(&self) -> Result<()> {
        if self.append_only {
            return Err(Error::AppendOnly { location: self.repository.location() });
        }
        self.require_writable()
    }

    /// Removes what uploads that were killed this long ago left in it.
    pub(crate) fn sweep(&self, older_than: Duration) -> Result<u64> {
        Ok(self.repository.storage().sweep(older_than).map_err(lifeboat_repository::Error::from)?)
    }

    pub(crate) fn context(&self) -> &'a Context {
        self.context
    }

    pub(crate) fn id(&self) -> String {
        self.repository.marker().id.to_string()
    }

    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The recipient that was given beforehand.
    pub(crate) fn given_recipient(&self) -> Option<&str> {
        self.access.recipient.as_deref()
    }

    /// Whether what reading needs is at hand: a password or a person's key, or nothing where nothing
    /// is sealed. Without it, only names can be read.
    pub fn can_read(&self) -> bool {
        self.access.key.is_some() || !self.repository.form().is_sealed()
    }

    /// What is needed to read: the secrets, or nothing where nothing is sealed.
    ///
    /// [`Error::NoPassword`] where neither password nor identity was given; wrong ones are the
    /// repository's error.
    pub fn secrets(&self) -> Result<&Secrets> {
        if let Some(secrets) = self.secrets.get() {
            return Ok(secrets);
        }
        let secrets = self.unlock(&self.require_key()?)?;
        Ok(self.secrets.get_or_init(|| secrets))
    }

    /// Reads and verifies a manifest.
    pub fn manifest(&self, name: &BackupName) -> Result<Manifest> {
        let manifest = self.repository.manifest(name, self.secrets()?)?.manifest;
        self.pins.keep()?;
        Ok(manifest)
    }

    pub(crate) fn key_source(&self) -> Option<&KeySource> {
        self.access.key.as_ref()
    }

    fn key(&self) -> Result<Option<KeyMaterial>> {
        self.key_source().map(KeySource::get).transpose()
    }

    /// What opens the repository; [`Error::NoPassword`] if nothing was given.
    pub(crate) fn require_key(&self) -> Result<KeyMaterial> {
        self.key()?.ok_or_else(|| Error::NoPassword { location: self.repository.location() })
    }

    pub(crate) fn state(&self) -> Result<RepositoryState> {
        self.context.state().repository(&self.id())
    }

    pub(crate) fn update_state(
        &self,
        change: impl FnOnce(&mut RepositoryState) -> Result<()>,
    ) -> Result<()> {
        self.context.state().update_repository(&self.id(), change)
    }

    fn unlock(&self, key: &KeyMaterial) -> Result<Secrets> {
        let secrets = self.repository.unlock_to_read(key.credential())?;
        if !self.state()?.knows(key.text()) {
            self.update_state(|state| state.learn(key.text()))?;
        }
        Ok(secrets)
    }

    /// The recipient must be the one of the first use, or the one that was given. A new one is taken
    /// over only if the password, or the person's key, shows that its secret is the owner's.
    fn check_recipient(&self) -> Result<()> {
        let found = self.repository.recipient()?.recipient.clone();
        let state = self.state()?;
        let (given, pinned) = (self.given_recipient(), state.recipient.as_deref());
        let changed = |expected: &str| {
            let (location, expected) = (self.repository.location(), expected.to_owned());
            let found = found.clone();
            lifeboat_repository::Error::RecipientChanged { location, expected, found }
        };
        match (given, pinned, self.key_source()) {
            (Some(given), ..) if given != found => return Err(changed(given).into()),
            (_, Some(pinned), _) if pinned == found => {}
            (Some(_), ..) | (None, None, None) => {}
            (None, Some(pinned), None) => return Err(changed(pinned).into()),
            (None, Some(pinned), Some(KeySource::Identity(_))) => {
                self.repository.require_successor(self.secrets()?, pinned)?;
            }
            (None, _, Some(_)) => self.repository.require_own_recipient(self.secrets()?)?,
        }
        self.remember(found)
    }

    /// Pins the recipient, and this host's own key.
    pub(crate) fn remember(&self, recipient: String) -> Result<()> {
        let host = encode_name(&self.context.host_name())?;
        let public = self.context.host().key.public();
        self.update_state(|state| {
            state.recipient = Some(recipient);
            state.location = self.repository.location();
            Ok(())
        })?;
        self.pins.accept(&host, &public)
    }

    /// A password that is given is verified, once, even where none is needed: a backup that nobody
    /// can open must not look like one. The default one may belong to other repositories, where this
    /// one has no password at all.
    fn check_key(&mut self) -> Result<()> {
        let Some(key) = self.key()? else { return Ok(()) };
        if self.state()?.knows(key.text()) {
            return Ok(());
        }
        match self.unlock(&key) {
            Ok(secrets) => {
                self.secrets.get_or_init(|| secrets);
            }
            Err(Error::Repository(lifeboat_repository::Error::NoIdentity { .. }))
                if self.access.by_default =>
            {
                self.access.key = None;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
