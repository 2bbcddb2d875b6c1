//! Puts the tree of a source back.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use lifeboat_files::{Decision, Entry, Kind, Put, PutOptions, PutReport};
use lifeboat_restic::Node;

use super::super::tree_walk::{Step, TreeWalk};
use super::FilesRestorePlan;
use super::ahead::{Ahead, Planned};
use super::content::Contents;
use super::extras::Protected;
use super::report::Problems;
use crate::error::chain;
use crate::{Error, OpenRepository, Progress, Result};

/// A tree that is being put back.
pub(super) struct TreeRestore<'a> {
    plan: &'a FilesRestorePlan,
    put: Put,
    ahead: Rc<RefCell<Ahead<'a>>>,
    contents: Contents<'a>,
    protected: Protected,
    problems: &'a mut Problems,
}

impl<'a> TreeRestore<'a> {
    /// Puts all of it back.
    pub(super) fn run(
        opened: &OpenRepository<'_>,
        plan: &'a FilesRestorePlan,
        options: PutOptions,
        problems: &'a mut Problems,
        progress: &'a dyn Progress,
    ) -> Result<PutReport> {
        let root = &plan.root;
        let walk = TreeWalk::new(&plan.stored, &root.tree, &root.within, plan.filter.clone())?;
        let overwrite = (!options.dry_run).then_some(options.overwrite);
        let ahead = Rc::new(RefCell::new(Ahead::new(walk, root, overwrite)));
        let contents = Contents::new(&plan.stored, &ahead, progress)?;
        let put = Put::open(&root.directory, options).map_err(Error::Put)?;
        let protected = Protected::of(opened, plan);
        let mut restore = Self { plan, put, ahead, contents, protected, problems };
        loop {
            let step = restore.ahead.borrow_mut().step();
            let Some(Planned { step, asked }) = step else { break };
            restore.step(step, asked);
        }
        Ok(restore.put.finish())
    }

    fn step(&mut self, step: Step, asked: bool) {
        match step {
            Step::Enter { path, node, chosen } => {
                let name = node.name.clone();
                let entry = entry(&path, *node);
                if chosen && !self.plan.root.only_leads(&path) {
                    self.put.enter(&name, &entry);
                } else {
                    self.put.pass(&name, &entry);
                }
            }
            Step::Leave { path, chosen, whole } => {
                if chosen && whole {
                    self.remove_extras(&path);
                }
                self.put.leave();
            }
            Step::End { path, whole } => {
                if whole {
                    self.remove_extras(&path);
                }
            }
            Step::Entry { path, node } if node.kind == Kind::File => self.file(&path, &node, asked),
            Step::Entry { path, node } => {
                let name = node.name.clone();
                self.put.other(&name, &entry(&path, *node));
            }
            Step::Problem { path, error } => {
                let place = self.plan.root.place(&path).unwrap_or(path);
                self.problems
                    .add(&place, format!("cannot be read from the backup: {}", chain(&error)));
            }
        }
    }

    fn file(&mut self, path: &Path, node: &Node, asked: bool) {
        let entry =
            Entry { path: path.to_owned(), kind: Kind::File, metadata: node.metadata.clone() };
        let contents = &mut self.contents;
        match self.put.file(&node.name, &entry) {
            Decision::Done(_) => contents.pass(node, asked),
            Decision::Write(file) => contents.write(file, node, asked),
            Decision::Compare(mut file) => {
                if contents.is_same(&mut file, node) {
                    file.keep();
                    contents.pass(node, asked);
                } else {
                    match file.replace() {
                        Decision::Write(file) => contents.write(file, node, asked),
                        _ => contents.pass(node, asked),
                    }
                }
            }
        }
    }

    /// Takes away what is in a directory and not in the backup, if that is wanted.
    fn remove_extras(&mut self, path: &Path) {
        let Self { put, plan, protected, .. } = self;
        if !plan.request.delete || plan.root.only_leads(path) {
            return;
        }
        put.remove_extras(|name| {
            let path = path.join(name);
            let place = plan.root.place(&path);
            plan.filter.choose(&path).itself && !place.is_some_and(|place| protected.has(&place))
        });
    }
}

fn entry(path: &Path, node: Node) -> Entry {
    Entry { path: path.to_owned(), kind: node.kind, metadata: node.metadata }
}
