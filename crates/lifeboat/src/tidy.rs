//! Keeps the history of one database short: merges what is no longer told apart, then announces and removes
//! what nobody needs.
//!
//! All of it follows from names, pins and manifests, so it does not matter who else is at work.

use std::time::Duration;

use lifeboat_repository::{
    CompactReport, DatabaseAddress, Finding, Ladder, LocalCopies, PruneOptions, PrunePlan,
    PruneReport, Time, compact, plan_prune, prune,
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

impl Tidied {
    /// The first thing that was found damaged. What it should take the place of stays.
    pub(crate) fn take_finding(&mut self) -> Option<Finding> {
        let found =
            [&mut self.compacted.findings, &mut self.plan.findings, &mut self.pruned.findings];
        found.into_iter().flat_map(|findings| findings.drain(..)).next()
    }
}

/// Merges what is due; where this host may remove, also removes what was announced for long enough and is still not needed, and announces
/// what is not needed for `grace` from now.
pub(crate) fn tidy(
    opened: &OpenRepository<'_>,
    database: &DatabaseAddress,
    ladder: &Ladder,
    grace: Duration,
    copies: &dyn LocalCopies,
) -> Result<Tidied> {
    opened.require_writable()?;
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    let ladder_of = |_: &DatabaseAddress| ladder.clone();
    let compacted = compact(
        repository,
        Some(secrets),
        Some(database),
        &ladder_of,
        Time::now(),
        copies,
        &mut |_| (),
    )?;
    if opened.is_append_only() {
        let (plan, pruned) = (PrunePlan::default(), PruneReport::default());
        return Ok(Tidied { compacted, plan, pruned });
    }
    let options = PruneOptions {
        grace,
        now: Time::now(),
        scope: Some(database.clone()),
        verified: compacted.verified.clone(),
    };
    let plan = plan_prune(repository, secrets, &ladder_of, &options)?;
    let host = opened.context().host_name();
    let pruned = prune(repository, secrets, &plan, &host, &options)?;
    Ok(Tidied { compacted, plan, pruned })
}
