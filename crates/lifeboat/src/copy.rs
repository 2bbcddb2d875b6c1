//! Copies backups to another repository.

mod chosen;
mod remember;

use lifeboat_repository::{
    BackupCopy, BackupId, BackupName, BackupType, Copier, CopyEnd, FilesCopy, Manifest, Source,
};
use lifeboat_restic::{CopyOptions, LockKind, SnapshotCopier};

pub use self::chosen::select_copies;
pub(crate) use self::chosen::{newest_own, select_newer};
use self::remember::{known_objects, remember};
use crate::files::{FilesPart, look};
use crate::{Error, OpenRepository, Progress, Result};

/// Which backups are copied. Those that the target has are left out, whatever is asked for.
#[derive(Debug, Clone, Default)]
pub struct CopyRequest {
    /// Ids, or beginnings of them; none: all that fit the rest.
    pub backups: Vec<String>,
    /// Only backups of this host; `None`: of this one. Those of another are signed by this one when they are
    /// copied, so it must be named.
    pub host: Option<String>,
    /// Only backups that hold this source.
    pub source: Option<String>,
    /// Only backups of one of these types.
    pub types: Vec<BackupType>,
    /// Only backups with all tags of one of these lists; the tags of a list are separated by commas.
    pub tags: Vec<String>,
    /// Only the newest of all these.
    pub latest: Option<usize>,
}

/// Which backups will be copied. Nothing has been changed yet.
#[derive(Debug)]
pub struct CopyPlan {
    /// Those that the target lacks, the oldest first.
    pub backups: Vec<Manifest>,
    /// How many of those that are meant the target has.
    pub there: u64,
    /// Those that cannot be read.
    pub unreadable: Vec<CopyFailure>,
    /// The host, as configured, if it is another one: readers of the target must believe this host's signature.
    pub other_host: Option<String>,
}

impl CopyPlan {
    /// One backup, which the target lacks.
    pub(crate) fn of(backup: Manifest) -> Self {
        Self { backups: vec![backup], there: 0, unreadable: Vec::new(), other_host: None }
    }
}

/// A backup that was not copied.
#[derive(Debug)]
pub struct CopyFailure {
    /// Which.
    pub backup: BackupId,
    /// Why.
    pub error: Error,
}

/// What a backup would take.
#[derive(Debug)]
pub struct PlannedCopy {
    /// What it is called.
    pub name: BackupName,
    /// What would be copied, or why it cannot be.
    pub copy: Result<BackupCopy>,
}

/// What was copied.
#[derive(Debug, Default)]
pub struct CopyReport {
    /// The manifests of the copies.
    pub copied: Vec<Manifest>,
    /// Backups that could not be copied.
    pub failures: Vec<CopyFailure>,
    /// Files in the target are cut at other places: what is backed up there directly shares little with what was
    /// copied.
    pub cut_otherwise: bool,
}

impl CopyReport {
    /// Bytes that were added to the target.
    pub fn stored_bytes(&self) -> u64 {
        self.copied.iter().flat_map(|manifest| &manifest.sources).map(Source::stored_bytes).sum()
    }
}

/// Says what the backups of a plan would take. Nothing is written.
pub fn plan_copy(
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    plan: &CopyPlan,
) -> Result<Vec<PlannedCopy>> {
    let mut copier = Copier::new(end(from)?, end(to)?);
    // Without locks: what somebody removes meanwhile shows as damage at worst.
    let source = if has_files(plan) { look(from)? } else { None };
    if let Some(source) = source {
        let between = SnapshotCopier::open(source, look(to)?)?;
        let (fence, options) = (&|| Ok(()), CopyOptions::default());
        copier = copier.with_files(FilesCopy { copier: between, fence, options });
    }
    let mut planned = Vec::new();
    for manifest in &plan.backups {
        let copy = match copier.estimate(manifest).map_err(Error::from) {
            Err(error) if !keeps_one_only(&error) => return Err(error),
            copy => copy,
        };
        planned.push(PlannedCopy { name: manifest.name(to.repository().form())?, copy });
    }
    Ok(planned)
}

/// Copies the backups of a plan, the oldest first. One that cannot be read whole, or that the target cannot hold,
/// does not keep the others from it; a storage that fails ends all, and what was copied is there.
pub fn copy(
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    plan: CopyPlan,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    copy_from(from, None, to, plan, progress)
}

/// The same; `held` is the files part of `from`, if it is in hand, with its lock and its index. Then `from` is taken
/// for farther away than `to`: it is asked for nothing of files that `to` has.
pub(crate) fn copy_from(
    from: &OpenRepository<'_>,
    held: Option<&FilesPart>,
    to: &OpenRepository<'_>,
    plan: CopyPlan,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    to.require_writable()?;
    let needs_files = has_files(&plan) && to.repository().form().is_sealed();
    let mut report = CopyReport { failures: plan.unreadable, ..CopyReport::default() };
    let opened = match held {
        None if needs_files => FilesPart::open(from, LockKind::Shared)?,
        _ => None,
    };
    let source = held.or(opened.as_ref()).filter(|_| needs_files);
    // Without one although a manifest names what is in it: each of those that do fails by itself.
    let files = source.map(|source| Files::open(source, held.is_some(), to)).transpose()?;
    let fence = || files.as_ref().map_or(Ok(()), Files::still_ours);
    let mut copier = Copier::new(end(from)?, end(to)?);
    if let Some(files) = &files {
        let between = files.copier()?;
        report.cut_otherwise = !between.cuts_alike();
        let options = CopyOptions::default();
        copier = copier.with_files(FilesCopy { copier: between, fence: &fence, options });
    }
    let host_key = &to.context().host().key;
    for manifest in plan.backups {
        copier.learn(known_objects(to, &manifest)?);
        progress.begin(&format!("copying {}", manifest.id.short()), None);
        let copied = copier.copy(&manifest, host_key, &|bytes| progress.advance(bytes));
        progress.end();
        match copied.map_err(Error::from) {
            Ok(copy) => {
                remember(to, &copy)?;
                report.copied.push(copy);
            }
            Err(error) if keeps_one_only(&error) => {
                report.failures.push(CopyFailure { backup: manifest.id, error });
            }
            Err(error) => return Err(error),
        }
    }
    to.pins().keep()?;
    Ok(report)
}

/// The files parts of both, with locks that keep others from removing anything.
struct Files<'a> {
    source: &'a FilesPart,
    source_is_far: bool,
    target: FilesPart,
}

impl<'a> Files<'a> {
    fn open(source: &'a FilesPart, source_is_far: bool, to: &OpenRepository<'_>) -> Result<Self> {
        let target = FilesPart::to_write_like(to, &source.repository)?;
        Ok(Self { source, source_is_far, target })
    }

    fn copier(&self) -> Result<SnapshotCopier> {
        let (source, target) = (self.source.repository.clone(), self.target.repository.clone());
        let copier = SnapshotCopier::with_index(source, self.source.index()?, Some(target))?;
        Ok(if self.source_is_far { copier.far_source() } else { copier })
    }

    /// The lock of a source that stopped answering is lost after a while. What is copied of it waits on this machine;
    /// and what somebody removed there would show as damage.
    fn still_ours(&self) -> lifeboat_restic::Result<()> {
        if !self.source_is_far {
            self.source.lock.still_ours()?;
        }
        self.target.lock.still_ours()
    }
}

fn end<'a>(opened: &'a OpenRepository<'_>) -> Result<CopyEnd<'a>> {
    Ok(CopyEnd { repository: opened.repository(), secrets: opened.secrets()? })
}

fn has_files(plan: &CopyPlan) -> bool {
    let mut sources = plan.backups.iter().flat_map(|manifest| &manifest.sources);
    sources.any(|source| source.stored().is_some())
}

/// Whether an error keeps one backup from being copied, and says nothing of the others.
fn keeps_one_only(error: &Error) -> bool {
    use lifeboat_repository::Error as Repository;
    error.is_damage()
        || error.is_taken_name()
        || matches!(
            error,
            Error::Repository(
                Repository::NoFiles { .. }
                    | Repository::EmptyDatabase { .. }
                    | Repository::UnknownFeature { .. }
            )
        )
}
