//! Removes the bytes that nothing needs any more.

use std::time::Duration;

use lifeboat_repository::{GRACE, Ladder, PruneOptions, PrunePlan, PruneReport};

use crate::forget::{ForgetPlan, ForgetRequest, forget, plan_forget};
use crate::{OpenRepository, Renewed, Result, Silent, renew_bases};

/// What a prune did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Objects.
    pub objects: PruneReport,
    /// Temporary files of uploads that were killed, and that were removed.
    pub temporary_files: u64,
}

/// Decides what goes now, and what will go after `grace`.
pub fn plan_prune(opened: &OpenRepository<'_>, grace: Duration) -> Result<PrunePlan> {
    let options = PruneOptions { grace, ..PruneOptions::default() };
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    Ok(lifeboat_repository::plan_prune(repository, secrets, &|_| Ladder::default(), &options)?)
}

/// Carries a plan out.
pub fn prune(opened: &OpenRepository<'_>, plan: &PrunePlan, grace: Duration) -> Result<Pruned> {
    opened.require_writable()?;
    let options = PruneOptions { grace, ..PruneOptions::default() };
    let host = opened.context().host_name();
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    let objects = lifeboat_repository::prune(repository, secrets, plan, &host, &options)?;
    let temporary_files = opened.context().sweep_repository(grace.max(GRACE))?;
    Ok(Pruned { objects, temporary_files })
}

/// What a cleanup did.
#[derive(Debug)]
pub struct CleanupReport {
    /// What was forgotten.
    pub forgotten: ForgetPlan,
    /// What was to be pruned then.
    pub plan: PrunePlan,
    /// What was.
    pub pruned: Pruned,
    /// New bases.
    pub renewed: Renewed,
}

/// Forgets what the configured rules do not keep of this host's backups, then prunes, and writes new bases
/// where they are due.
pub fn cleanup(opened: &OpenRepository<'_>) -> Result<CleanupReport> {
    let host = Some(opened.context().host_name());
    let mut report = forget_and_prune(opened, &ForgetRequest { host, ..ForgetRequest::default() })?;
    report.renewed = renew_bases(opened, &Silent)?;
    Ok(report)
}

pub(crate) fn forget_and_prune(
    opened: &OpenRepository<'_>,
    request: &ForgetRequest,
) -> Result<CleanupReport> {
    let forgotten = plan_forget(opened, request)?;
    forget(opened, &forgotten)?;
    let plan = plan_prune(opened, GRACE)?;
    let pruned = prune(opened, &plan, GRACE)?;
    Ok(CleanupReport { forgotten, plan, pruned, renewed: Renewed::default() })
}
