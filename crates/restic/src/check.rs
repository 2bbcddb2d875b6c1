//! Looks for damage, and says which snapshots it takes what from. Changes nothing.
//!
//! Snapshots are listed before the index is read, and that before packs are listed: the opposite of the order in
//! which they are written. So what a backup adds meanwhile is never taken for missing. What a prune removes
//! meanwhile would be: a check holds a lock, at least a shared one.

mod pack;
mod packs;
mod report;
mod subset;
mod trees;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use self::pack::{PackFindings, verify};
use self::packs::Packs;
use self::report::Damages;
pub use self::report::{CheckReport, Damage, LostPath, LostRoot, Root};
pub use self::subset::Subset;
use self::trees::Trees;
use crate::{
    Index, Listed, ObjectId as _, PackId, ResticRepository, Result, Snapshots, TreeId, list,
};

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Which packs are read to their ends; `None`: only directories are.
    pub read_data: Option<Subset>,
    /// How many lost paths of a root are named.
    pub most_paths: usize,
    /// How many packs are read at the same time.
    pub threads: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { read_data: None, most_paths: 10, threads: processors.clamp(2, 4) }
    }
}

impl ResticRepository {
    /// Looks for damage: in snapshots, the index, the directories that `roots` lead to, and in the packs, of
    /// which at least the sizes are compared. `progress` is told how many bytes more of packs were read, of how
    /// many that will be.
    ///
    /// What cannot be read is a finding. An error is what keeps from looking: a listing that fails.
    pub fn check(
        &self,
        roots: &[Root],
        options: &CheckOptions,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<CheckReport> {
        let (mut report, mut damages) = (CheckReport::default(), Damages::default());
        let snapshots = self.snapshots()?;
        for (id, error) in &snapshots.unreadable {
            damages.add_error(id.key()?, error);
        }
        let (index, unreadable) = Index::load_readable(self)?;
        for (id, error) in &unreadable {
            damages.add(id.key()?, error.with_sources());
        }
        let listed = list::<PackId>(&**self.storage())?;
        let mut packs = Packs::new(&index, &listed);
        packs.compare(&mut damages)?;
        count(&packs, &listed, &mut report);
        if let Some(subset) = options.read_data {
            let chosen: Vec<_> =
                listed.into_iter().filter(|pack| packs.expected.contains_key(&pack.id)).collect();
            let chosen = subset.choose(&chosen)?;
            self.read_packs(&index, &mut packs, &chosen, options, progress, &mut damages)?;
            report.packs_read = chosen.len() as u64;
            report.read_bytes = chosen.iter().map(|pack| pack.size).sum();
        }
        let mut trees = Trees::new(self, &index, &packs);
        for root in roots {
            trees.follow(root.tree, &mut damages, &mut report);
        }
        report.lost = lost(roots, &snapshots, &trees, options.most_paths);
        report.roots = roots.len() as u64;
        damages.finish(&mut report);
        Ok(report)
    }

    fn read_packs(
        &self,
        index: &Index,
        packs: &mut Packs,
        chosen: &[Listed<PackId>],
        options: &CheckOptions,
        progress: &(dyn Fn(u64, u64) + Sync),
        damages: &mut Damages,
    ) -> Result<()> {
        let total = chosen.iter().map(|pack| pack.size).sum();
        let (waiting, found) = (Mutex::new(chosen.iter()), Mutex::new(Vec::new()));
        let work = || {
            while let Some(pack) = next(&waiting) {
                let expected = packs.expected.get(&pack.id).copied().unwrap_or_default();
                let findings = verify(self, index, *pack, expected);
                progress(pack.size, total);
                if !findings.problems.is_empty() {
                    found.lock().unwrap_or_else(PoisonError::into_inner).push((pack.id, findings));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..options.threads.min(chosen.len()) {
                scope.spawn(work);
            }
            work();
        });
        for (id, PackFindings { problems, damaged }) in
            found.into_inner().unwrap_or_else(PoisonError::into_inner)
        {
            let key = id.key()?;
            problems.into_iter().for_each(|problem| damages.add(&key, problem));
            packs.damaged.extend(damaged.into_iter().map(|blob| (id, blob)));
        }
        Ok(())
    }
}

fn next<'packs>(
    waiting: &Mutex<std::slice::Iter<'packs, Listed<PackId>>>,
) -> Option<&'packs Listed<PackId>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn count(packs: &Packs, listed: &[Listed<PackId>], report: &mut CheckReport) {
    report.packs = listed.len() as u64;
    for pack in listed.iter().filter(|pack| !packs.expected.contains_key(&pack.id)) {
        report.unreferenced_packs += 1;
        report.unreferenced_bytes += pack.size;
    }
}

/// The roots of which something is lost, be it only the snapshot.
fn lost(
    roots: &[Root],
    snapshots: &Snapshots,
    trees: &Trees<'_>,
    most_paths: usize,
) -> Vec<LostRoot> {
    let readable: HashMap<_, TreeId> =
        snapshots.readable.iter().map(|(id, snapshot)| (*id, snapshot.tree)).collect();
    let lost_trees = trees.lost();
    let mut lost = Vec::new();
    for &Root { snapshot, tree } in roots {
        let is_there = snapshots.unreadable.iter().any(|(id, _)| *id == snapshot);
        let problem = match readable.get(&snapshot) {
            Some(found) if *found == tree => None,
            Some(found) => Some(format!("it names tree {found}, {tree} expected")),
            None if is_there => Some("it cannot be read".to_owned()),
            None => Some("it is missing".to_owned()),
        };
        let (paths, more_paths) = trees.lost_paths(tree, &lost_trees, most_paths);
        if problem.is_some() || !paths.is_empty() || more_paths {
            lost.push(LostRoot { snapshot, problem, paths, more_paths });
        }
    }
    lost
}
