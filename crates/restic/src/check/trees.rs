//! Follows the trees of all roots, each directory once, and says what of which root is lost.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::packs::Packs;
use super::report::{CheckReport, Damages, LostPath};
use crate::tree_reader::TreeReader;
use crate::{BlobHandle, BlobKind, Index, Node, ResticRepository, Tree, TreeId};

/// The directories that roots lead to. Takes some 100 bytes for each.
#[derive(Debug)]
pub(super) struct Trees<'a> {
    repository: &'a ResticRepository,
    index: &'a Index,
    packs: &'a Packs,
    /// Every directory that was seen, with those that it is in.
    parents: HashMap<TreeId, Vec<TreeId>>,
    /// Directories that cannot be read, or have something that cannot.
    faulty: HashSet<TreeId>,
}

/// What is still to be looked at, to name what is lost.
enum Step {
    Tree(PathBuf, TreeId),
    Lost(LostPath),
}

impl<'a> Trees<'a> {
    pub(super) fn new(
        repository: &'a ResticRepository,
        index: &'a Index,
        packs: &'a Packs,
    ) -> Self {
        let (parents, faulty) = (HashMap::new(), HashSet::new());
        Self { repository, index, packs, parents, faulty }
    }

    /// Reads all directories that are to be found from here, if they were not read before.
    pub(super) fn follow(&mut self, root: TreeId, damages: &mut Damages, report: &mut CheckReport) {
        let mut waiting = Vec::new();
        self.parents.entry(root).or_insert_with(|| {
            waiting.push(root);
            Vec::new()
        });
        let mut reader = TreeReader::new(self.repository, self.index);
        while let Some(id) = waiting.pop() {
            report.trees += 1;
            match reader.read(id) {
                Ok(tree) => self.look_at(id, &tree, &mut waiting, damages, report),
                Err(error) => {
                    damages.add_error(format!("tree {id}"), &error);
                    self.faulty.insert(id);
                }
            }
        }
    }

    fn look_at(
        &mut self,
        id: TreeId,
        tree: &Tree,
        waiting: &mut Vec<TreeId>,
        damages: &mut Damages,
        report: &mut CheckReport,
    ) {
        for node in &tree.unreadable {
            damages.add(format!("tree {id}"), format!("{:?}: {}", node.name, node.problem));
            self.faulty.insert(id);
        }
        for node in &tree.nodes {
            report.blobs += node.content.len() as u64;
            let lost: Vec<_> = self.lost_blobs(node).map(|(blob, _)| blob).collect();
            if !lost.is_empty() {
                self.faulty.insert(id);
            }
            // What is wrong with packs was told with them.
            for blob in lost.iter().filter(|blob| !self.index.contains(blob)) {
                damages.add(blob, "no index lists it");
            }
            if let Some(subtree) = node.subtree {
                let parents = self.parents.entry(subtree).or_insert_with(|| {
                    waiting.push(subtree);
                    Vec::new()
                });
                parents.push(id);
            }
        }
    }

    fn lost_blobs<'n>(&'n self, node: &'n Node) -> impl Iterator<Item = (BlobHandle, String)> + 'n {
        let blobs = node.content.iter().map(|id| BlobHandle { kind: BlobKind::Data, id: *id });
        blobs.filter_map(|blob| Some((blob, self.packs.lost(self.index, &blob)?)))
    }

    /// The directories in or below which something is lost.
    pub(super) fn lost(&self) -> HashSet<TreeId> {
        let mut lost = HashSet::new();
        let mut waiting: Vec<TreeId> = self.faulty.iter().copied().collect();
        while let Some(id) = waiting.pop() {
            if lost.insert(id) {
                waiting.extend(self.parents.get(&id).into_iter().flatten());
            }
        }
        lost
    }

    /// What is lost below a root, in the order of the paths; whether there is more than `most`.
    pub(super) fn lost_paths(
        &self,
        root: TreeId,
        lost: &HashSet<TreeId>,
        most: usize,
    ) -> (Vec<LostPath>, bool) {
        let (mut paths, mut steps) = (Vec::new(), Vec::new());
        if lost.contains(&root) {
            steps.push(Step::Tree(PathBuf::from("/"), root));
        }
        while let Some(step) = steps.pop() {
            match step {
                Step::Lost(_) if paths.len() == most => return (paths, true),
                Step::Lost(path) => paths.push(path),
                Step::Tree(path, id) => steps.extend(self.steps(path, id, lost).into_iter().rev()),
            }
        }
        (paths, false)
    }

    fn steps(&self, path: PathBuf, id: TreeId, lost: &HashSet<TreeId>) -> Vec<Step> {
        let tree = match self.repository.tree(self.index, &id) {
            Ok(tree) => tree,
            Err(error) => {
                return vec![Step::Lost(LostPath { path, problem: error.with_sources() })];
            }
        };
        let unreadable = tree.unreadable.iter().map(|node| {
            let (path, problem) = (path.join(escaped(&node.name)), node.problem.clone());
            Step::Lost(LostPath { path, problem })
        });
        let nodes = tree.nodes.iter().filter_map(|node| {
            let path = path.join(&node.name);
            match node.subtree {
                Some(subtree) => lost.contains(&subtree).then_some(Step::Tree(path, subtree)),
                None => {
                    let (_, problem) = self.lost_blobs(node).next()?;
                    Some(Step::Lost(LostPath { path, problem }))
                }
            }
        });
        unreadable.chain(nodes).collect()
    }
}

/// A name that leads elsewhere, in a form in which it does not.
fn escaped(name: &std::ffi::OsStr) -> String {
    format!("{name:?}").replace('/', "\\x2f")
}
