//! Changes the password.
//!
//! The new one is added and shown to open everything, then it is written where the old one was
//! kept, then the old one goes. A crash between any two of these leaves a repository that the
//! password in the file opens, and the old or the new one.

use std::path::{Path, PathBuf};

use lifeboat_repository::{Holder, Wrapping, WrappingName};
use lifeboat_storage::secrecy::ExposeSecret;

use super::restic;
use crate::credential::{KeyMaterial, KeySource};
use crate::password::{PasswordSource, SecretString, require_usable};
use crate::state::replace_private_file;
use crate::{Error, OpenRepository, Result};

/// What was done.
#[derive(Debug)]
pub struct PasswordChange {
    /// The key of the new password.
    pub wrapping: Wrapping,
    /// The keys that the old one opened.
    pub removed: Vec<WrappingName>,
    /// Where the old password was kept.
    pub kept: KeptPassword,
}

/// Where a password is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptPassword {
    /// In the default password file, which has the new one now.
    Written(PathBuf),
    /// In a file of the user's.
    File(PathBuf),
    /// Where this command has it from.
    Command(String),
    /// In the environment.
    Environment,
}

/// Makes sure that the password can be changed: it opened the repository, and the new one is usable.
/// Returns where the old one is kept.
pub fn plan_password_change(
    opened: &OpenRepository<'_>,
    new: &SecretString,
) -> Result<KeptPassword> {
    require_usable(new)?;
    opened.require_writable()?;
    opened.repository().require_own_recipient(opened.secrets()?)?;
    let Some(KeySource::Password(source)) = opened.key_source() else {
        return Err(Error::usage(
            "the repository was opened with an identity, which has no password",
            "`lifeboat key add` adds a password, `lifeboat key remove` takes a key away",
        ));
    };
    Ok(match source {
        PasswordSource::File(path) if is_same(path, &opened.context().default_password_file()) => {
            KeptPassword::Written(path.clone())
        }
        PasswordSource::File(path) => KeptPassword::File(path.clone()),
        PasswordSource::Command(command) => KeptPassword::Command(command.clone()),
        PasswordSource::Given(_) => KeptPassword::Environment,
    })
}

/// Replaces the password that opened the repository.
pub fn change_password(opened: &OpenRepository<'_>, new: &SecretString) -> Result<PasswordChange> {
    let kept = plan_password_change(opened, new)?;
    let KeyMaterial::Password(old) = opened.require_key()? else {
        return Err(Error::NoPassword { location: opened.repository().location() });
    };
    let repository = opened.repository();
    let (secrets, replaced) = repository.unlock_every(&old)?;
    let label = secrets.opened().and_then(|opened| opened.label.clone());
    let label = label.unwrap_or_else(|| opened.context().key_label());
    let wrapping = repository.add_key(&secrets, Holder::Password(new), &label)?;
    restic::add(opened, new, wrapping.name)?;
    if let KeptPassword::Written(path) = &kept {
        // Where the name is a link, what it leads to is the file.
        let path = path.canonicalize().map_err(Error::file("resolve", path))?;
        replace_private_file(&path, format!("{}\n", new.expose_secret()).as_bytes())?;
    }
    replaced.iter().try_for_each(|name| repository.remove_key(*name))?;
    restic::sweep(opened)?;
    opened.update_state(|state| state.learn(new))?;
    Ok(PasswordChange { wrapping, removed: replaced, kept })
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
