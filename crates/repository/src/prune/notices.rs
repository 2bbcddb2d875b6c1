//! What was announced.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use lifeboat_storage::Key;

use super::{PruneOptions, PrunePlan};
use crate::deletion::for_each_deletion;
use crate::{Error, Finding, Repository, Result, Secrets};

/// How long a notice stays whose objects are all gone: whoever reads the repository has noticed.
const REST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the notices say of the objects that are there.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Whether the objects that were announced are due.
    due: HashMap<String, bool>,
    /// Objects that a notice says take the place of others. They were read before it was written.
    pub(super) verified: BTreeSet<Key>,
    /// Notices of which nothing is there any more.
    pub(super) spent: Vec<Key>,
}

impl Notices {
    /// Whether an object is due; `None` if it was not announced.
    pub(super) fn is_due(&self, key: &Key) -> Option<bool> {
        self.due.get(key.as_str()).copied()
    }

    /// Reads them; `there` are the objects of the databases in the scope. Of what is gone nothing
    /// is kept, since that grows with time.
    pub(super) fn read(
        repository: &Repository,
        secrets: &Secrets,
        there: &HashSet<&str>,
        options: &PruneOptions,
        plan: &mut PrunePlan,
    ) -> Result<Self> {
        let mut notices = Self::default();
        let (storage, form) = (repository.storage(), repository.form());
        let prefix = options.scope.as_ref().map(|database| format!("{}/", database.key()));
        for_each_deletion(storage, form, secrets, &mut |key, read| {
            let notice = match read {
                Ok(notice) => notice,
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(error) => {
                    plan.findings.push(Finding { key: key.to_string(), error });
                    return Ok(());
                }
            };
            let (is_due, rested) =
                (notice.not_before <= options.now, notice.not_before.after(REST) <= options.now);
            let in_scope =
                |key: &String| prefix.as_ref().is_none_or(|scope| key.starts_with(scope));
            let mut spent = rested && notice.replaced_by.iter().all(in_scope);
            for object in notice.objects {
                let is_there = there.contains(object.key.as_str());
                spent &= in_scope(&object.key) && !is_there;
                if is_there {
                    *notices.due.entry(object.key).or_insert(is_due) |= is_due;
                }
            }
            let verified = notice.replaced_by.iter().filter(|key| there.contains(key.as_str()));
            notices.verified.extend(verified.filter_map(|key| key.parse::<Key>().ok()));
            if spent {
                notices.spent.push(key.clone());
            }
            Ok(())
        })?;
        Ok(notices)
    }
}
