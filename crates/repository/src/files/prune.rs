//! Removes snapshots that nothing names any more, and what only they needed.
//!
//! All of it under one exclusive lock: nobody can begin a backup of files, bring a forgotten one back or read
//! meanwhile. The plan is made before the first snapshot goes, and made only if all that stays can be read as far
//! as its directories: what is damaged keeps everything that is left of it.

use lifeboat_restic::{Fence, PruneStats, ResticRepository, Snapshot, SnapshotId};

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
}

/// What a prune of the files part did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesPruned {
    /// Snapshots that were removed.
    pub snapshots: u64,
    /// What became of the packs.
    pub packs: PruneStats,
}

impl FilesPruned {
    /// By how many bytes the packs have become fewer.
    pub fn freed_bytes(&self) -> u64 {
        self.packs.removed_bytes.saturating_sub(self.packs.written_bytes)
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
        let roots = kept.iter().map(|(_, snapshot)| snapshot.tree);
        let packs = files.plan_prune(roots, &lifeboat_restic::PruneOptions::default())?;
        Ok(FilesPrunePlan { snapshots, kept_snapshots: kept.len() as u64, packs })
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
        for (id, _) in &plan.snapshots {
            fence()?;
            pruned.snapshots += u64::from(files.remove_snapshot(id)?);
        }
        pruned.packs =
            files.prune(&plan.packs, &lifeboat_restic::PruneOptions::default(), fence)?;
        Ok(pruned)
    }
}
