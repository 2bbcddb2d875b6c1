//! Gives one more password, or person, access.

use lifeboat_repository::{Holder, Wrapping};

use super::restic;
use crate::credential::parse_recipient;
use crate::password::{SecretString, require_usable};
use crate::{OpenRepository, Result};

/// For whom a key is.
#[derive(Debug)]
pub enum NewKey {
    /// Whoever knows this password.
    Password(SecretString),
    /// Whoever has the secret of this age recipient.
    Person(String),
}

/// Makes sure that a key can be added: the repository opens, and the new key is usable.
pub fn plan_addition(opened: &OpenRepository<'_>, key: &NewKey) -> Result<()> {
    match key {
        NewKey::Password(password) => require_usable(password)?,
        NewKey::Person(recipient) => {
            parse_recipient(recipient)?;
        }
    }
    opened.require_writable()?;
    Ok(opened.repository().require_own_recipient(opened.secrets()?)?)
}

/// Adds a key that opens everything stored so far and later, up to the next rotation. `label` names
/// it in listings; a password is called after user and machine without.
pub fn add_key(opened: &OpenRepository<'_>, key: &NewKey, label: Option<&str>) -> Result<Wrapping> {
    plan_addition(opened, key)?;
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    Ok(match key {
        NewKey::Password(password) => {
            let own = opened.context().key_label();
            let holder = Holder::Password(password);
            let wrapping = repository.add_key(secrets, holder, label.unwrap_or(&own))?;
            restic::add(opened, password, wrapping.name)?;
            wrapping
        }
        NewKey::Person(recipient) => {
            let recipient = parse_recipient(recipient)?;
            repository.add_key(secrets, Holder::Person(&recipient), label.unwrap_or_default())?
        }
    })
}
