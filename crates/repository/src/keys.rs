//! The wrappings of a repository as its owner sees them: keys that are listed, added, removed.

use lifeboat_storage::is_wrapped_with_passphrase;

use crate::identity::Unwrapped;
use crate::unlock::unlock_all;
use crate::wrapping::{Credential, Holder, Wrapping, WrappingName, list, read, unwrap};
use crate::{Error, Repository, Result, Secrets, Time};

/// A wrapping in a listing.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its name: id, and up to which generation it opens.
    pub name: WrappingName,
    /// When the storage got it.
    pub stored: Time,
    /// For whom it is.
    pub holder: KeyHolder,
    /// What it says itself; `None` where it could not be opened, or nobody vouches for it.
    pub wrapping: Option<Wrapping>,
    /// Whether the secrets at hand came from it.
    pub in_use: bool,
}

/// Who opens a wrapping.
#[derive(Debug)]
pub enum KeyHolder {
    /// Whoever knows a password.
    Password,
    /// A person with an age secret key.
    Person,
    /// Nobody, perhaps: it cannot be read, and this is why.
    Unreadable(Error),
}

impl Repository {
    /// All keys, oldest generation first. With secrets, what persons' keys say is shown too; what a
    /// password's says is known to that password only.
    pub fn keys(&self, secrets: Option<&Secrets>) -> Result<Vec<KeyEntry>> {
        let mut keys = Vec::new();
        for (name, stored) in list(self.storage())? {
            let opened = secrets.and_then(Secrets::opened).filter(|opened| opened.name == name);
            let (holder, person) = match self.look_at(name, secrets) {
                Ok((true, _)) => (KeyHolder::Password, None),
                Ok((false, unwrapped)) => (KeyHolder::Person, unwrapped),
                // Removed since it was listed.
                Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => continue,
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(error) => (KeyHolder::Unreadable(error), None),
            };
            let in_use = opened.is_some();
            let wrapping = opened.cloned().or(person.map(|person| person.wrapping));
            keys.push(KeyEntry { name, stored, holder, wrapping, in_use });
        }
        Ok(keys)
    }

    /// Whether a wrapping is a password's; and what a person's holds, if these secrets open it and
    /// vouch for it.
    fn look_at(
        &self,
        name: WrappingName,
        secrets: Option<&Secrets>,
    ) -> Result<(bool, Option<Unwrapped>)> {
        let key = name.key()?;
        let sealed = |source| Error::Sealed { key: key.clone(), source };
        let bytes = read(self.storage(), name)?;
        if is_wrapped_with_passphrase(&bytes).map_err(sealed)? {
            return Ok((true, None));
        }
        let Some(secrets) = secrets else { return Ok((false, None)) };
        match unwrap(&bytes, Credential::Identities(secrets.identities())) {
            Ok(text) => {
                let unwrapped = Unwrapped::parse(&key, name, &text)?;
                Ok((false, Some(unwrapped).filter(|unwrapped| secrets.vouch_for(unwrapped))))
            }
            Err(lifeboat_storage::Error::NotForUs) => Ok((false, None)),
            Err(source) => Err(sealed(source)),
        }
    }

    /// Wraps the secrets for one more holder, and makes sure that the wrapping opens.
    ///
    /// [`Error::RecipientChanged`] for secrets that do not open what is sealed from now on.
    pub fn add_key(&self, secrets: &Secrets, holder: Holder<'_>, label: &str) -> Result<Wrapping> {
        self.require_writable()?;
        self.require_own_recipient(secrets)?;
        secrets.wrap(self.storage(), holder, label)
    }

    /// Removes a key: who has not copied a secret before gets none any more.
    pub fn remove_key(&self, name: WrappingName) -> Result<()> {
        self.require_writable()?;
        self.storage().remove(&name.key()?)?;
        Ok(())
    }

    /// All secrets that a credential opens, and all the keys that it opens: those of rotations that
    /// did not come to their end too.
    pub fn unlock_every<'a>(
        &self,
        with: impl Into<Credential<'a>>,
    ) -> Result<(Secrets, Vec<WrappingName>)> {
        let current = &self.recipient()?.recipient;
        let unwrapped = unlock_all(self.storage(), with.into())?;
        let names = unwrapped.iter().map(|unwrapped| unwrapped.wrapping.name).rev().collect();
        match Secrets::of(unwrapped, Some(current)) {
            Some(secrets) => Ok((secrets, names)),
            None => Err(Error::NoIdentity { location: self.location() }),
        }
    }
}
