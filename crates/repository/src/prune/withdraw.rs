//! What was announced and is needed again is not announced any more.

use std::collections::HashSet;

use lifeboat_storage::Key;

use crate::deletion::{Deletion, for_each_deletion};
use crate::{Error, Repository, Result, Secrets, Time};

/// Writes the notices that name any of these objects anew, without them, in the name of `host`, then
/// removes the former ones: else such an object would go without notice when it is not needed once
/// more.
pub(super) fn withdraw(
    repository: &Repository,
    secrets: &Secrets,
    needed: &HashSet<Key>,
    host: &str,
    now: Time,
) -> Result<()> {
    if needed.is_empty() {
        return Ok(());
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
    for (key, mut notice) in former {
        notice.objects.retain(|object| !named(&object.key));
        if !notice.objects.is_empty() || !notice.replaced_by.is_empty() {
            repository.write_deletion(&notice.anew(host, now))?;
        }
        storage.remove(&key)?;
    }
    Ok(())
}
