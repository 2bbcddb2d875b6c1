//! Who can open a repository, and whose backups are believed.

mod accept;
mod add;
mod passwd;
mod remove;
mod restic;
mod rotate;

use lifeboat_repository::{KeyEntry, Recipient, encode_name};

pub use self::accept::{
    Acceptable, Acceptance, ChangedHost, ChangedRecipient, accept, plan_acceptance,
};
pub use self::add::{NewKey, add_key, plan_addition};
pub use self::passwd::{KeptPassword, PasswordChange, change_password, plan_password_change};
pub use self::remove::{Removal, plan_removal, remove_key};
pub use self::rotate::{Rotation, plan_rotation, rotate};

use crate::{OpenRepository, Result};

/// Everything that opens a repository or is believed of it.
#[derive(Debug)]
pub struct KeyList {
    /// Whom backups are sealed for now, or why that cannot be read.
    pub recipient: Result<Recipient>,
    /// Whom this machine has sealed for so far.
    pub pinned: Option<String>,
    /// The keys, oldest generation first.
    pub keys: Vec<KeyEntry>,
    /// The hosts whose signatures are known.
    pub hosts: Vec<PinnedHost>,
}

/// A host, and the keys that may sign for it.
#[derive(Debug)]
pub struct PinnedHost {
    /// The host, as it stands in keys.
    pub host: String,
    /// Public keys, the first seen first.
    pub keys: Vec<String>,
    /// Whether it is this one.
    pub is_own: bool,
}

/// Lists the keys. Without a password or identity, what the wrappings say themselves is not known.
pub fn keys(opened: &OpenRepository<'_>) -> Result<KeyList> {
    let secrets = if opened.can_read() { Some(opened.secrets()?) } else { None };
    let own = encode_name(&opened.context().host_name())?;
    let hosts = opened.pins().hosts().into_iter();
    Ok(KeyList {
        recipient: opened.repository().recipient().cloned().map_err(Into::into),
        pinned: opened.state()?.recipient,
        keys: opened.repository().keys(secrets)?,
        hosts: hosts.map(|(host, keys)| PinnedHost { is_own: host == own, host, keys }).collect(),
    })
}
