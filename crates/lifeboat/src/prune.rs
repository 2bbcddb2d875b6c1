//! Merges what the history need not hold apart any more, and removes the bytes that nothing needs.

use lifeboat_repository::{
    CompactPlan, CompactReport, Doomed, FilesPruned, ForgetReport, GRACE, NoCopies, PruneOptions,
    PrunePlan, PruneReport, Time, compact_as_planned, usage,
};

use crate::files::prune_files;
use crate::forget::{ForgetPlan, ForgetRequest, forget, plan_forget};
use crate::ladders::Ladders;
use crate::{OpenRepository, Progress, Renewed, Result, backups, renew_bases};

/// What a prune did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Objects.
    pub objects: PruneReport,
    /// The files part; `None` where there are no files. An error does not undo the rest:
    /// [`Error::locked_by`](crate::Error::locked_by) if somebody else uses it.
    pub files: Option<Result<FilesPruned>>,
    /// Temporary files of uploads that were killed, and that were removed.
    pub temporary_files: u64,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceUsed {
    /// Bytes of all objects.
    pub used_bytes: u64,
    /// Those of databases and manifests that nothing needs: prunes remove them. What a prune frees of the files part
    /// depends on which packs it writes anew, and shows in its plan: [`plan_files_prune`](crate::plan_files_prune).
    pub unneeded_bytes: u64,
}

/// Decides what is merged: what lies between the points that the ladders and the backups keep.
pub fn plan_compact(opened: &OpenRepository<'_>) -> Result<CompactPlan> {
    let ladders = ladders(opened)?;
    let (secrets, of) = (opened.secrets()?, |database: &_| ladders.get(database));
    let now = Time::now();
    Ok(lifeboat_repository::plan_compact(opened.repository(), Some(secrets), None, &of, now)?)
}

/// Merges. What takes no part any more is needed until a prune finds that out.
pub fn compact(
    opened: &OpenRepository<'_>,
    plan: &CompactPlan,
    progress: &dyn Progress,
) -> Result<CompactReport> {
    use lifeboat_repository::Progress as Told;
    if plan.is_empty() {
        return Ok(CompactReport::default());
    }
    opened.require_writable()?;
    let mut tell = |told: Told| match told {
        Told::Total(bytes) => progress.begin("merging", Some(bytes)),
        Told::Read(bytes) => progress.advance(bytes),
    };
    let secrets = Some(opened.secrets()?);
    let report = compact_as_planned(opened.repository(), plan, secrets, &NoCopies, &mut tell);
    progress.end();
    Ok(report?)
}

/// Decides what goes now, and what will go after the grace period.
pub fn plan_prune(opened: &OpenRepository<'_>, options: &PruneOptions) -> Result<PrunePlan> {
    let ladders = ladders(opened)?;
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    let of = |database: &_| ladders.get(database);
    Ok(lifeboat_repository::plan_prune(repository, secrets, &of, options)?)
}

/// What nothing needs any more, whether it goes now or later.
pub(crate) fn plan_removals(opened: &OpenRepository<'_>) -> Result<Vec<Doomed>> {
    let plan = plan_prune(opened, &PruneOptions::default())?;
    Ok(plan.remove().chain(&plan.announce).chain(&plan.waiting).cloned().collect())
}

/// How much is used, and how much of that need not be.
pub fn space_used(opened: &OpenRepository<'_>) -> Result<SpaceUsed> {
    let unneeded_bytes = plan_removals(opened)?.iter().map(|object| object.size).sum();
    Ok(SpaceUsed { used_bytes: usage(opened.repository())?.bytes, unneeded_bytes })
}

/// Carries a plan out, and prunes files, of which a plan must be made when nobody else uses them.
pub fn prune(
    opened: &OpenRepository<'_>,
    plan: &PrunePlan,
    options: &PruneOptions,
    progress: &dyn Progress,
) -> Result<Pruned> {
    opened.require_removable()?;
    let host = opened.context().host_name();
    let (repository, secrets) = (opened.repository(), opened.secrets()?);
    if plan.read_bytes() > 0 {
        progress.begin("reading what takes the place of others", None);
    }
    let objects = lifeboat_repository::prune(repository, secrets, plan, &host, options);
    progress.end();
    let objects = objects?;
    let temporary_files = opened.sweep(options.grace.max(GRACE))?;
    let files = prune_files(opened, options, progress).transpose();
    Ok(Pruned { objects, files, temporary_files })
}

fn ladders(opened: &OpenRepository<'_>) -> Result<Ladders> {
    let entries = backups(opened)?;
    let manifests = entries.iter().filter_map(|entry| entry.manifest.as_ref().ok());
    Ladders::of(opened.context(), manifests)
}

/// What a cleanup did.
#[derive(Debug)]
pub struct CleanupReport {
    /// What was to be forgotten.
    pub forget: ForgetPlan,
    /// What became of that.
    pub forgotten: ForgetReport,
    /// What was merged.
    pub compacted: CompactReport,
    /// What was to be pruned then.
    pub plan: PrunePlan,
    /// What was.
    pub pruned: Pruned,
    /// New bases.
    pub renewed: Renewed,
}

/// Forgets what the configured rules do not keep of this host's backups, merges, prunes, and writes new
/// bases where they are due.
pub fn cleanup(opened: &OpenRepository<'_>, progress: &dyn Progress) -> Result<CleanupReport> {
    let host = Some(opened.context().host_name());
    let request = ForgetRequest { host, ..ForgetRequest::default() };
    let mut report = forget_and_prune(opened, &request, progress)?;
    report.renewed = renew_bases(opened, progress)?;
    Ok(report)
}

pub(crate) fn forget_and_prune(
    opened: &OpenRepository<'_>,
    request: &ForgetRequest,
    progress: &dyn Progress,
) -> Result<CleanupReport> {
    let planned = plan_forget(opened, request)?;
    let forgotten = forget(opened, &planned)?;
    let compacted = compact(opened, &plan_compact(opened)?, progress)?;
    let verified = compacted.verified.clone();
    let options = PruneOptions { verified, ..PruneOptions::default() };
    let plan = plan_prune(opened, &options)?;
    let pruned = prune(opened, &plan, &options, progress)?;
    let (forget, renewed) = (planned, Renewed::default());
    Ok(CleanupReport { forget, forgotten, compacted, plan, pruned, renewed })
}
