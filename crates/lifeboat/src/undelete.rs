//! Brings back what was forgotten, as long as it has not been pruned.

use lifeboat_repository::{BackupName, Undeletion, encode_name};
use lifeboat_restic::LockKind;

use crate::files::FilesPart;
use crate::select::with_id;
use crate::{Error, OpenRepository, Result};

/// Which forgotten backups are meant.
#[derive(Debug, Clone, Default)]
pub struct UndeleteRequest {
    /// Ids, or beginnings of them; none: all.
    pub backups: Vec<String>,
    /// Only backups of this host.
    pub host: Option<String>,
}

/// Finds forgotten backups, the last forgotten first, and how they come back.
///
/// [`Error::NotForgotten`] if one that is named is not among them.
pub fn plan_undelete(
    opened: &OpenRepository<'_>,
    request: &UndeleteRequest,
) -> Result<Vec<Undeletion>> {
    let context = opened.context();
    let own = context.host_name();
    let host = request.host.as_deref().map(encode_name).transpose()?;
    let mut found =
        lifeboat_repository::plan_undelete(opened.repository(), opened.secrets()?, &own)?;
    opened.pins().keep()?;
    found.retain(|one| host.as_ref().is_none_or(|host| *host == one.copy.name.host));
    if request.backups.is_empty() {
        return Ok(found);
    }
    let names: Vec<BackupName> = found.iter().map(|one| one.copy.name.clone()).collect();
    let mut wanted = Vec::new();
    for text in &request.backups {
        let location = opened.repository().location();
        let missing = || Error::NotForgotten { wanted: text.clone(), location };
        wanted.push(with_id(&names, text)?.ok_or_else(missing)?.id);
    }
    found.retain(|one| wanted.contains(&one.copy.name.id));
    Ok(found)
}

/// Brings one back; the error is why it does not come.
pub fn undelete(opened: &OpenRepository<'_>, undeletion: Undeletion) -> Result<()> {
    opened.require_writable()?;
    let back = undeletion.back?;
    if back.sources.is_empty() {
        let backup = undeletion.copy.name.id;
        return Err(Error::OtherHost { backup, host: back.manifest.host, sources: back.left_out });
    }
    let key = &opened.context().host().key;
    // Held until the backup is there: no prune removes its files meanwhile.
    let part = if back.has_files() { FilesPart::open(opened, LockKind::Shared)? } else { None };
    let files = part.as_ref().map(|part| &part.repository);
    Ok(lifeboat_repository::undelete(opened.repository(), files, &back, key)?)
}
