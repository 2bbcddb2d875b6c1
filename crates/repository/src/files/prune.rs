//! Removes snapshots that nothing names any more, and what only they needed.
//!
//! All of it under one exclusive lock: nobody can begin a backup of files, bring a forgotten one back or read
//! meanwhile. The plan is made before the first snapshot goes, and made only if all that stays can be read as far
//! as its directories: what is damaged keeps everything that is left of it.

use lifeboat_restic::{Fence, PruneStats, ResticRepository, Snapshot, SnapshotId, TreeId};

use crate::{PruneOptions, Repository, Result, Secrets};

/// What a prune of the files part would do. Nothing has been changed yet.
#[derive(Debug, Default)]
pub struct FilesPrunePlan {
    /// Snapshots that go.
    pub snapshots: Vec<(SnapshotId, Snapshot)>,
    /// How many stay.
    pub kept_snapshots: u64,
    /// What becomes of the packs.
    pub packs: lifeboat_restic::PrunePlan,
    /// The trees of those that stay.
    kept_trees: Vec<TreeId>,
}

/// What a prune of the files part did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesPruned {
    /// Snapshots that were removed.
    pub snapshots: u64,
    /// Snapshots that the store keeps from being removed for now. What they need stays.
    pub protected_snapshots: u64,
    /// What became of the packs.
    pub packs: PruneStats,
}

impl FilesPruned {
    /// By how many bytes the packs have become fewer.
    pub fn freed_bytes(&self) -> u64 {
        self.packs.removed_bytes.saturating_sub(self.packs.written_bytes)
    }

    /// Objects that the store keeps from being removed for now: a later prune removes them.
    pub fn protected_objects(&self) -> u64 {
        let PruneStats { protected_packs, protected_indexes, .. } = self.packs;
        self.protected_snapshots + protected_packs + protected_indexes
    }
}

impl FilesPrunePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.packs.is_empty()
    }
}

impl Repository {
    /// Decides what goes of the files part: snapshots of ours that [`PromisedSnapshots`] does not keep, and what
    /// only they need. To be carried out it must be asked under the exclusive lock.
    ///
    /// [`lifeboat_restic::Error::Corrupt`] if a snapshot cannot be read, or something that one of those needs
    /// that stay.
    ///
    /// [`PromisedSnapshots`]: crate::PromisedSnapshots
    pub fn plan_files_prune(
        &self,
        files: &ResticRepository,
        secrets: &Secrets,
        options: &PruneOptions,
    ) -> Result<FilesPrunePlan> {
        let promised = self.promised_snapshots(secrets, options)?;
        let all = files.snapshots()?.require_all()?;
        let (kept, snapshots): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(id, snapshot)| promised.keeps(*id, snapshot, options));
        let kept_trees: Vec<TreeId> = kept.iter().map(|(_, snapshot)| snapshot.tree).collect();
        let roots = kept_trees.iter().copied();
        let packs = files.plan_prune(roots, &lifeboat_restic::PruneOptions::default())?;
        Ok(FilesPrunePlan { snapshots, kept_snapshots: kept.len() as u64, packs, kept_trees })
    }

    /// Carries it out, under the same lock, of which `fence` makes sure.
    pub fn prune_files(
        &self,
        files: &ResticRepository,
        plan: &FilesPrunePlan,
        fence: Fence<'_>,
    ) -> Result<FilesPruned> {
        self.require_writable()?;
        let mut pruned = FilesPruned::default();
        let mut protected = Vec::new();
        for (id, snapshot) in &plan.snapshots {
            fence()?;
            match files.remove_snapshot(id) {
                Ok(removed) => pruned.snapshots += u64::from(removed),
                Err(lifeboat_restic::Error::Storage(error)) if error.is_protected() => {
                    protected.push(snapshot.tree);
                }
                Err(error) => return Err(error.into()),
            }
        }
        pruned.protected_snapshots = protected.len() as u64;
        let options = lifeboat_restic::PruneOptions::default();
        pruned.packs = if protected.is_empty() {
            files.prune(&plan.packs, &options, fence)?
        } else {
            let roots = plan.kept_trees.iter().copied().chain(protected);
            files.prune(&files.plan_prune(roots, &options)?, &options, fence)?
        };
        Ok(pruned)
    }
}
