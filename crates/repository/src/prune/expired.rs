//! Copies of forgotten manifests, whose time is over.

use super::{Doomed, PruneOptions, Why};
use crate::document::key;
use crate::{Forgotten, Repository, Result};

/// Those that were forgotten longer ago than the grace period.
pub(super) fn expired(repository: &Repository, options: &PruneOptions) -> Result<Vec<Doomed>> {
    let entries = repository.storage().list(Some(&key("forgotten")?))?.into_iter();
    let is_over = |copy: Forgotten| copy.until(options.grace) <= options.now;
    Ok(entries
        .filter(|entry| Forgotten::parse(&entry.key).is_some_and(is_over))
        .map(|entry| Doomed { key: entry.key, size: entry.size, why: Why::Forgotten })
        .collect())
}
