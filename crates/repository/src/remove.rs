//! Removes objects of which the store may lock some: these stay until their time has come, and are no reason to leave
//! the others.

use lifeboat_storage::Key;

use crate::{Repository, Result};

/// What became of an object that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Yes,
    WasGone,
    /// The store keeps it for now.
    Protected,
}

pub(crate) fn remove(repository: &Repository, key: &Key) -> Result<Removed> {
    match repository.storage().remove(key) {
        Ok(true) => Ok(Removed::Yes),
        Ok(false) => Ok(Removed::WasGone),
        Err(error) if error.is_protected() => Ok(Removed::Protected),
        Err(error) => Err(error.into()),
    }
}
