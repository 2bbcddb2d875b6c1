//! Starts a generation.

use lifeboat_repository::{Recipient, RotatePlan, Secrets};

use super::restic;
use crate::credential::KeyMaterial;
use crate::{OpenRepository, Result};

/// A rotation that can be carried out.
#[derive(Debug)]
pub struct Rotation {
    /// Who keeps access, and who does not.
    pub plan: RotatePlan,
    secrets: Secrets,
}

/// Decides who keeps access.
pub fn plan_rotation(opened: &OpenRepository<'_>) -> Result<Rotation> {
    opened.require_writable()?;
    let key = opened.require_key()?;
    let (secrets, names) = opened.repository().unlock_every(key.credential())?;
    let plan = opened.repository().plan_rotation(&secrets, &names, key.credential())?;
    Ok(Rotation { plan, secrets })
}

/// Starts the generation; this machine seals for it from now on.
pub fn rotate(opened: &OpenRepository<'_>, rotation: &Rotation) -> Result<Recipient> {
    let key = opened.require_key()?;
    let Rotation { plan, secrets } = rotation;
    let recipient = opened.repository().rotate(plan, secrets, key.credential())?;
    opened.remember(recipient.recipient.clone())?;
    // The new wrapping has another name.
    if let KeyMaterial::Password(password) = &key {
        let secrets = opened.repository().unlock(key.credential())?;
        restic::tend(opened, &secrets, Some(password))?;
    }
    Ok(recipient)
}
