//! What was announced and is needed again is not announced any more.

use std::collections::HashSet;

use lifeboat_storage::Key;

use crate::deletion::{Deletion, for_each_deletion};
use crate::remove::{Removed, remove};
use crate::{Error, Repository, Result, Secrets, Time};

/// Writes the notices that name any of these objects anew, without them, in the name of `host`, then
/// removes the former ones: else such an object would go without notice when it is not needed once
/// more. Returns how many of the former ones the store keeps for now: what they name counts as announced until
/// a later prune comes by.
pub(super) fn withdraw(
    repository: &Repository,
    secrets: &Secrets,
    needed: &HashSet<Key>,
    host: &str,
    now: Time,
) -> Result<u64> {
    if needed.is_empty() {
        return Ok(0);
    }
    let named = |object: &str| object.parse::<Key>().is_ok_and(|key| needed.contains(&key));
    let mut former: Vec<(Key, Deletion)> = Vec::new();
    let (storage, form) = (repository.storage(), repository.form());
    for_each_deletion(storage, form, secrets, &mut |key, read| {
        match read {
            Ok(notice) if notice.objects.iter().any(|object| named(&object.key)) => {
                former.push((key.clone(), notice));
            }
            Err(error @ Error::Storage(_)) => return Err(error),
            // One that cannot be read counts for nothing.
            Ok(_) | Err(_) => {}
        }
        Ok(())
    })?;
    let mut protected = 0;
    for (key, mut notice) in former {
        notice.objects.retain(|object| !named(&object.key));
        if !notice.objects.is_empty() || !notice.replaced_by.is_empty() {
            repository.write_deletion(&notice.anew(host, now))?;
        }
        protected += u64::from(remove(repository, &key)? == Removed::Protected);
    }
    Ok(protected)
}
