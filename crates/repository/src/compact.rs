//! Merges the files of databases, so that their history gets coarser with age.
//!
//! What is merged is decided from names ([`plan_merges`]). A merge is an additional file: it is
//! written under a name of its own, and read back; its inputs stay until a prune has announced them
//! and their time is over. So nothing that anybody does meanwhile is disturbed by it:
//!
//! - **Killed at any moment** it leaves files that were not read back, or parts of one that is not
//!   whole. A prune announces what a merge replaces only once that was read; the next compaction
//!   makes what is missing.
//! - **Another compaction** makes merges of the same names from the same files. One of the two
//!   creates it, the other reads that one.
//! - **A prune** may take an input away that was announced long ago: the merge is left for the next
//!   time, which plans anew.
//! - **A backup, a replication** add files after those that are merged. **A forget** takes wanted
//!   transactions away: what lay between is merged the next time.
//! - **A restore, a follower** may use inputs or the merge, whichever their listing has.

mod base;
mod batches;
mod copies;
mod merge;
mod plan;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use lifeboat_ltx::Txid;
use lifeboat_storage::Key;

pub use self::base::{BaseDue, base_due};
pub use self::copies::{LocalCopies, NoCopies};
pub use self::merge::{MergeOutcome, NotMerged, merge};
pub use self::plan::{Merge, plan_merges};

use self::merge::Merger;
use crate::survey::{Surveyed, survey};
use crate::wanted::Named;
use crate::{
    DatabaseAddress, Finding, Ladder, LineageAddress, LtxFile, LtxName, ObjectRef, Progress,
    Repository, Result, Secrets, Time, promised,
};

/// The merges that are due.
#[derive(Debug, Default)]
pub struct CompactPlan {
    /// By lineage; those without merges are left out.
    pub lineages: Vec<LineageMerges>,
    /// What manifests say of the objects of these lineages.
    expected: HashMap<String, ObjectRef>,
}

/// The merges that a lineage is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageMerges {
    /// The lineage.
    pub lineage: LineageAddress,
    /// In an order in which they can be done.
    pub merges: Vec<Merge>,
}

impl CompactPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.lineages.is_empty()
    }

    /// All merges.
    pub fn merges(&self) -> impl Iterator<Item = &Merge> {
        self.lineages.iter().flat_map(|lineage| &lineage.merges)
    }
}

/// What a compaction did.
#[derive(Debug, Default)]
pub struct CompactReport {
    /// Files that were made, those included that somebody else made meanwhile.
    pub merges: u64,
    /// Files that they take the place of.
    pub merged_files: u64,
    /// Sealed bytes of the files that were made.
    pub written_bytes: u64,
    /// Merges that could not be made now: [`NotMerged`].
    pub skipped: u64,
    /// Of these, those that would have needed secrets.
    pub skipped_without_secrets: u64,
    /// What is damaged: the files before it stay.
    pub findings: Vec<Finding>,
    /// The objects that were written: what manifests say of them.
    pub objects: Vec<ObjectRef>,
    /// The objects of all files that were read back.
    pub verified: BTreeSet<Key>,
}

/// Plans and makes the merges that are due in `scope`, or in all databases.
///
/// Without secrets, what only manifests name is not known to be wanted (pins are), and files that
/// `copies` do not hold are not merged. `progress` is told the sealed bytes that are to be merged,
/// and of each merge that came to its end.
pub fn compact(
    repository: &Repository,
    secrets: Option<&Secrets>,
    scope: Option<&DatabaseAddress>,
    ladder_of: &dyn Fn(&DatabaseAddress) -> Ladder,
    now: Time,
    copies: &dyn LocalCopies,
    progress: &mut dyn FnMut(Progress),
) -> Result<CompactReport> {
    repository.require_writable()?;
    let plan = plan_compact(repository, secrets, scope, ladder_of, now)?;
    compact_as_planned(repository, &plan, secrets, copies, progress)
}

/// Decides which merges are due. Nothing is changed.
pub fn plan_compact(
    repository: &Repository,
    secrets: Option<&Secrets>,
    scope: Option<&DatabaseAddress>,
    ladder_of: &dyn Fn(&DatabaseAddress) -> Ladder,
    now: Time,
) -> Result<CompactPlan> {
    let mut plan = CompactPlan::default();
    let databases = survey(repository, scope)?;
    let named = match secrets {
        Some(secrets) => Named::read(repository, secrets, scope, |_, source| {
            let objects = source.objects.into_iter();
            plan.expected.extend(objects.map(|object| (object.key.clone(), object)));
        })?,
        None => Named::default(),
    };
    for (database, lineages) in databases {
        let ladder = ladder_of(&database);
        for surveyed in lineages {
            let wanted = named.wanted(&surveyed.lineage, &surveyed.listing);
            let merges = plan_merges(
                &counted_files(&surveyed, &wanted, &ladder, now),
                &wanted,
                &ladder,
                now,
            );
            if !merges.is_empty() {
                plan.lineages.push(LineageMerges { lineage: surveyed.lineage, merges });
            }
        }
    }
    let inputs = plan.lineages.iter().flat_map(|lineage| &lineage.merges);
    let objects = inputs.flat_map(|merge| &merge.inputs).flat_map(|input| &input.objects);
    let merged: BTreeSet<&str> = objects.map(|object| object.key.as_str()).collect();
    plan.expected.retain(|key, _| merged.contains(key.as_str()));
    Ok(plan)
}

/// The files of a lineage; of one that another has superseded, those up to the last promised point.
fn counted_files<'a>(
    surveyed: &'a Surveyed,
    wanted: &BTreeSet<Txid>,
    ladder: &Ladder,
    now: Time,
) -> Cow<'a, [LtxFile]> {
    let files = &surveyed.listing.files;
    if !surveyed.superseded {
        return Cow::Borrowed(files);
    }
    let promised = promised(&surveyed.points, wanted, ladder, now, true);
    files.iter().filter(|file| Some(&file.name.max) <= promised.last()).cloned().collect()
}

/// Makes the merges of a plan.
///
/// A merge that finds an object damaged is a [`Finding`] and those that need it are left out. Fails
/// where the storage does.
pub fn compact_as_planned(
    repository: &Repository,
    plan: &CompactPlan,
    secrets: Option<&Secrets>,
    copies: &dyn LocalCopies,
    progress: &mut dyn FnMut(Progress),
) -> Result<CompactReport> {
    repository.require_writable()?;
    let mut report = CompactReport::default();
    let bytes = |merge: &Merge| merge.inputs.iter().map(LtxFile::size).sum();
    progress(Progress::Total(plan.merges().map(bytes).sum()));
    for LineageMerges { lineage, merges } in &plan.lineages {
        let merger = Merger { repository, lineage, secrets, copies, expected: &plan.expected };
        let mut made: HashMap<LtxName, LtxFile> = HashMap::new();
        for merge in merges {
            let mut whole = merge.clone();
            for input in &mut whole.inputs {
                if let Some(file) = made.get(&input.name) {
                    *input = file.clone();
                }
            }
            if let Some(file) = report.add(&whole, merger.merge(&whole))? {
                made.insert(file.name, file);
            }
            progress(Progress::Read(bytes(merge)));
        }
    }
    Ok(report)
}

impl CompactReport {
    /// Counts what became of a merge; returns the file.
    fn add(&mut self, merge: &Merge, outcome: Result<MergeOutcome>) -> Result<Option<LtxFile>> {
        let file = match outcome {
            Ok(MergeOutcome::Made { file, objects }) => {
                self.written_bytes += file.size();
                self.objects.extend(objects);
                file
            }
            Ok(MergeOutcome::AlreadyThere(file)) => file,
            Ok(MergeOutcome::Skipped(reason)) => {
                self.skipped += 1;
                self.skipped_without_secrets += u64::from(reason == NotMerged::NoSecrets);
                return Ok(None);
            }
            Err(error) if error.is_damage() => {
                let named = merge.inputs.iter().find(|input| !input.objects.is_empty());
                let key = error.key().or(named.map(LtxFile::first_key)).map(ToString::to_string);
                self.findings.push(Finding { key: key.unwrap_or_default(), error });
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.merges += 1;
        self.merged_files += merge.inputs.len() as u64;
        self.verified.extend(file.objects.iter().map(|object| object.key.clone()));
        Ok(Some(file))
    }
}
