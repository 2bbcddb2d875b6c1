//! The keys of the files part follow those of the repository: restic opens it with the same passwords.

use lifeboat_repository::{Secrets, WrappingName};

use crate::files::look;
use crate::password::SecretString;
use crate::{OpenRepository, Result};

/// Has restic open the files part, if there is one, with a password that was added.
pub(super) fn add(
    opened: &OpenRepository<'_>,
    password: &SecretString,
    wrapping: WrappingName,
) -> Result<()> {
    let Some(files) = look(opened)? else { return Ok(()) };
    Ok(opened.repository().add_restic_key(&files, password, wrapping)?)
}

/// Takes from restic what opens the repository no more.
pub(super) fn sweep(opened: &OpenRepository<'_>) -> Result<()> {
    tend(opened, opened.secrets()?, None)
}

/// The same, and sees to it that restic opens the files part with this password, which gave the secrets.
pub(super) fn tend(
    opened: &OpenRepository<'_>,
    secrets: &Secrets,
    password: Option<&SecretString>,
) -> Result<()> {
    let Some(files) = look(opened)? else { return Ok(()) };
    Ok(opened.repository().tend_restic_keys(&files, secrets, password)?)
}
