//! Which backups are meant, and which of them the target lacks.

use std::collections::HashSet;

use lifeboat_repository::{BackupId, BackupName, Manifest, encode_name, has_tags};

use super::{CopyFailure, CopyPlan, CopyRequest};
use crate::select::with_id;
use crate::{BackupEntry, Error, OpenRepository, Result, backups};

/// Decides which backups are copied.
///
/// [`Error::OtherHostsCopy`] if one is named that is of another host than the one that is meant.
pub fn select_copies(
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    request: &CopyRequest,
) -> Result<CopyPlan> {
    let (one, other) = (from.repository(), to.repository());
    if one.marker().id == other.marker().id {
        return Err(Error::usage(
            format!("{} is the repository to copy from", other.location()),
            "name another one with --to",
        ));
    }
    let own = from.context().host_name();
    let host = request.host.clone().unwrap_or_else(|| own.clone());
    let mut entries = meant(from, request, &encode_name(&host)?)?;
    entries.truncate(request.latest.unwrap_or(usize::MAX));
    let there: HashSet<BackupId> = other.backups()?.iter().map(|name| name.id).collect();
    let other_host = (host != own).then_some(host);
    let mut plan = CopyPlan { backups: Vec::new(), there: 0, unreadable: Vec::new(), other_host };
    for BackupEntry { name, manifest } in entries.into_iter().rev() {
        match manifest {
            _ if there.contains(&name.id) => plan.there += 1,
            Ok(manifest) => plan.backups.push(manifest),
            Err(error) => plan.unreadable.push(CopyFailure { backup: name.id, error }),
        }
    }
    Ok(plan)
}

/// The newest backup of this host in a repository.
pub(crate) fn newest_own(opened: &OpenRepository<'_>) -> Result<Option<BackupName>> {
    Ok(own_backups(opened)?.into_iter().next())
}

/// The backups of this host that the target lacks and that are newer than `newest`, which was its newest one;
/// without that, the newest one of the source. What a target lacks besides was forgotten there, or never meant
/// for it.
pub(crate) fn select_newer(
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    newest: Option<&BackupName>,
) -> Result<CopyPlan> {
    let (mut lacking, there) = (own_backups(from)?, own_backups(to)?);
    let all = lacking.len();
    match newest {
        None => lacking.truncate(1),
        Some(newest) => lacking.retain(|name| name.started >= newest.started),
    }
    lacking.retain(|name| !there.iter().any(|other| other.id == name.id));
    let there = (all - lacking.len()) as u64;
    let (backups, unreadable, other_host) = (Vec::new(), Vec::new(), None);
    let mut plan = CopyPlan { backups, there, unreadable, other_host };
    for name in lacking.into_iter().rev() {
        match from.manifest(&name) {
            Ok(manifest) => plan.backups.push(manifest),
            Err(error) if error.is_damage() => {
                plan.unreadable.push(CopyFailure { backup: name.id, error });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(plan)
}

/// Newest first.
fn own_backups(opened: &OpenRepository<'_>) -> Result<Vec<BackupName>> {
    let host = encode_name(&opened.context().host_name())?;
    let mut names = opened.repository().backups()?;
    names.retain(|name| name.host == host);
    Ok(names)
}

/// What the request means, newest first. What cannot be read may be meant, unless others are named.
fn meant(from: &OpenRepository<'_>, request: &CopyRequest, host: &str) -> Result<Vec<BackupEntry>> {
    let mut entries = backups(from)?;
    let names: Vec<BackupName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let mut named = HashSet::new();
    for wanted in &request.backups {
        let location = || from.repository().location();
        let missing = || Error::NoBackup { wanted: wanted.clone(), location: location() };
        let name = with_id(&names, wanted)?.ok_or_else(missing)?;
        if name.host != host {
            return Err(Error::OtherHostsCopy { backup: name.id, host: name.host });
        }
        named.insert(name.id);
    }
    entries.retain(|entry| {
        entry.name.host == host
            && (named.is_empty() || named.contains(&entry.name.id))
            && entry.manifest.as_ref().map_or(true, |manifest| fits(manifest, request))
    });
    Ok(entries)
}

fn fits(manifest: &Manifest, request: &CopyRequest) -> bool {
    let CopyRequest { source, types, tags, .. } = request;
    let holds =
        source.is_none() || manifest.sources.iter().any(|one| one.name() == source.as_ref());
    let tagged = tags.is_empty() || tags.iter().any(|list| has_tags(&manifest.tags, list));
    let of_type = types.is_empty()
        || manifest.backup_type.as_ref().is_some_and(|backup_type| types.contains(backup_type));
    holds && tagged && of_type
}
