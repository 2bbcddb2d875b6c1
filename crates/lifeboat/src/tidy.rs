//! Keeps the history of databases short: merges what is no longer told apart, then removes what nobody
//! needs.

use std::time::Duration;

use lifeboat_repository::{
    CompactReport, DatabaseAddress, LocalCopies, NoCopies, PruneOptions, PrunePlan, PruneReport,
    Time,
};

use crate::{OpenRepository, Result};

/// What was done.
#[derive(Debug)]
pub(crate) struct Tidied {
    pub(crate) compacted: CompactReport,
    /// What was to be pruned then.
    pub(crate) plan: PrunePlan,
    /// What was.
    pub(crate) pruned: PruneReport,
}

/// Merges what is due of one database, or of all.
///
/// Whatever is decided follows from names, pins and manifests, so it does not matter who else is at work.
pub fn compact(
    opened: &OpenRepository<'_>,
    scope: Option<&DatabaseAddress>,
) -> Result<CompactReport> {
    compact_with(opened, scope, &NoCopies)
}

fn compact_with(
    opened: &OpenRepository<'_>,
    scope: Option<&DatabaseAddress>,
    copies: &dyn LocalCopies,
) -> Result<CompactReport> {
    opened.require_writable()?;
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    let ladder = |database: &DatabaseAddress| opened.context().ladder_of(database);
    let now = Time::now();
    let report = lifeboat_repository::compact(
        repository,
        Some(secrets),
        scope,
        &ladder,
        now,
        copies,
        &mut |_| (),
    )?;
    Ok(report)
}

/// Merges, announces and removes what is due of one database, or of all.
pub(crate) fn tidy(
    opened: &OpenRepository<'_>,
    scope: Option<&DatabaseAddress>,
    grace: Duration,
    copies: &dyn LocalCopies,
) -> Result<Tidied> {
    let compacted = compact_with(opened, scope, copies)?;
    let options = PruneOptions { grace, now: Time::now() };
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    let plan = lifeboat_repository::plan_prune(repository, secrets, options)?;
    let host = opened.context().host_name();
    let pruned = lifeboat_repository::prune(repository, &plan, &host, options)?;
    Ok(Tidied { compacted, plan, pruned })
}
