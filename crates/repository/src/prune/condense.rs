//! Notices whose objects are gone become one that says what manifests still need to know.

use std::collections::{BTreeSet, HashSet};

use lifeboat_storage::Key;

use super::{NOTICE_OBJECTS, PrunePlan, PruneReport};
use crate::deletion::{DeletedObject, Deletion};
use crate::remove::{Removed, remove};
use crate::wanted::Named;
use crate::{Repository, Result, Secrets, Source, Time};

/// Fewer are left as they are.
const MOST_SPENT: usize = 24;

/// Writes what manifests name of the spent notices into new ones, in the name of `host`, then
/// removes the spent ones.
///
/// Nothing is done where a manifest cannot be read: it may name any of the objects.
pub(super) fn condense(
    repository: &Repository,
    secrets: &Secrets,
    plan: &PrunePlan,
    host: &str,
    now: Time,
    report: &mut PruneReport,
) -> Result<()> {
    let (spent, verified) = (&plan.spent, &plan.read);
    if spent.len() <= MOST_SPENT {
        return Ok(());
    }
    let Some(named) = named_objects(repository, secrets)? else { return Ok(()) };
    let mut objects = Vec::new();
    let mut replaced_by: BTreeSet<Key> = BTreeSet::new();
    for notice in spent {
        let read = Deletion::read(repository.storage(), repository.form(), notice, secrets);
        let Ok(notice) = read else { return Ok(()) };
        objects.extend(notice.objects.into_iter().filter(|object| named.contains(&object.key)));
        let keys = notice.replaced_by.iter().filter_map(|key| key.parse::<Key>().ok());
        replaced_by.extend(keys.filter(|key| verified.contains(key)));
    }
    objects.sort_by(|one: &DeletedObject, other| one.key.cmp(&other.key));
    objects.dedup();
    let replaced_by: Vec<String> = replaced_by.iter().map(ToString::to_string).collect();
    let reason = "they are gone, and backups name them";
    if objects.is_empty() && !replaced_by.is_empty() {
        let notice = Deletion::new(host, now, now, reason, Vec::new());
        repository.write_deletion(&notice.replaced_by(replaced_by.clone()))?;
    }
    for objects in objects.chunks(NOTICE_OBJECTS) {
        let notice = Deletion::new(host, now, now, reason, objects.to_vec());
        repository.write_deletion(&notice.replaced_by(replaced_by.clone()))?;
    }
    for notice in spent {
        match remove(repository, notice)? {
            Removed::Yes | Removed::WasGone => report.condensed_notices += 1,
            Removed::Protected => report.protected_objects += 1,
        }
    }
    Ok(())
}

/// The objects that manifests name, those included that could be brought back; `None` if one of
/// them cannot be read.
fn named_objects(repository: &Repository, secrets: &Secrets) -> Result<Option<HashSet<String>>> {
    let mut named = HashSet::new();
    let read = Named::read(repository, secrets, None, |_, source| {
        named.extend(source.objects.into_iter().map(|object| object.key));
    })?;
    if !read.is_complete() {
        return Ok(None);
    }
    for copy in repository.forgotten()? {
        let Ok(signed) = repository.forgotten_manifest(&copy, secrets) else { return Ok(None) };
        let sources = signed.manifest.sources.into_iter().filter_map(Source::into_database);
        named.extend(sources.flat_map(|source| source.objects).map(|object| object.key));
    }
    Ok(Some(named))
}
