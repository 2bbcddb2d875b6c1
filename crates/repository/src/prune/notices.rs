//! What was announced.

use std::collections::HashMap;

use lifeboat_storage::Key;

use super::PrunePlan;
use crate::deletion::{Deletion, deletions};
use crate::{Error, Finding, Repository, Result, Secrets, Time};

/// The objects that notices name, and whether they are due.
pub(super) struct Notices(HashMap<String, bool>);

impl Notices {
    /// Whether an object is due; `None` if it was not announced.
    pub(super) fn is_due(&self, key: &Key) -> Option<bool> {
        self.0.get(key.as_str()).copied()
    }

    pub(super) fn read(
        repository: &Repository,
        secrets: &Secrets,
        now: Time,
        plan: &mut PrunePlan,
    ) -> Result<Self> {
        let mut named = HashMap::new();
        for key in deletions(repository.storage(), repository.form())? {
            match Deletion::read(repository.storage(), repository.form(), &key, secrets) {
                Ok(notice) => {
                    let is_due = notice.not_before <= now;
                    for object in notice.objects {
                        *named.entry(object.key).or_insert(is_due) |= is_due;
                    }
                }
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(error) => plan.findings.push(Finding { key: key.to_string(), error }),
            }
        }
        Ok(Self(named))
    }
}
