//! The thread that makes directories of what was read.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};

use lifeboat_files::Entry;

use super::budget::Budget;
use super::known::Known;
use super::reader::{Event, name};
use super::sealing::Parcel;
use super::stop::Stop;
use crate::blob::BlobSealer;
use crate::tree::TreeEncoder;
use crate::{BlobHandle, BlobId, BlobKind, Error, Node, TreeId};

/// What was counted while building.
#[derive(Debug, Default)]
pub(super) struct TreeStats {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) others: u64,
    pub(super) directories_new: u64,
    pub(super) directories_changed: u64,
    pub(super) directories_unmodified: u64,
    /// Of all files, read or not.
    pub(super) size_bytes: u64,
}

/// All that building needs.
pub(super) struct Builder<'a> {
    sealer: BlobSealer<'a>,
    known: &'a Known<'a>,
    budget: &'a Budget,
    ids: Receiver<Option<(u64, BlobId)>>,
    parcels: Sender<Parcel<'a>>,
    /// Ids of pieces that nobody has asked for yet.
    early: HashMap<u64, BlobId>,
    /// The directories on the way to where the source is; `/` is the first.
    open: Vec<Directory>,
    stats: TreeStats,
}

struct Directory {
    path: PathBuf,
    encoder: TreeEncoder,
    /// What it is in the directory above; `/` is in none.
    entry: Option<Entry>,
    /// The tree it had before.
    before: Option<TreeId>,
}

type Step<T = ()> = Result<T, Stop>;

impl<'a> Builder<'a> {
    pub(super) fn new(
        sealer: BlobSealer<'a>,
        known: &'a Known<'a>,
        budget: &'a Budget,
        ids: Receiver<Option<(u64, BlobId)>>,
        parcels: Sender<Parcel<'a>>,
    ) -> Self {
        let (early, open, stats) = (HashMap::new(), Vec::new(), TreeStats::default());
        Self { sealer, known, budget, ids, parcels, early, open, stats }
    }

    /// Builds until no more comes; the tree of `/`.
    pub(super) fn run(mut self, events: &Receiver<Vec<Event>>) -> Step<(TreeId, TreeStats)> {
        self.open.push(Directory::new(PathBuf::from("/"), None, None));
        while !self.batch(events.recv().map_err(|_| Stop::Elsewhere)?)? {}
        let last = self.open.pop().filter(|_| self.open.is_empty());
        let root = last.ok_or_else(|| Error::Disorder { path: PathBuf::from("/") })?;
        if root.encoder.is_empty() {
            return Err(Error::Nothing.into());
        }
        let tree = self.store(root.encoder.finish())?;
        Ok((tree, self.stats))
    }

    /// Whether these were the last.
    fn batch(&mut self, events: Vec<Event>) -> Step<bool> {
        for event in events {
            if matches!(event, Event::End) {
                return Ok(true);
            }
            self.event(event)?;
        }
        Ok(false)
    }

    fn event(&mut self, event: Event) -> Step {
        match event {
            Event::Enter(entry, before) => self.enter(entry, before),
            Event::Leave => self.leave(),
            Event::Unmodified(entry, content) => self.file(entry, content),
            Event::File(entry, numbers) => {
                let content = self.content(numbers)?;
                self.file(entry, content)
            }
            Event::Entry(entry) => {
                self.stats.others += 1;
                self.push(entry, Vec::new(), None)
            }
            Event::Unused(numbers) => self.content(numbers).map(drop),
            Event::End => Ok(()),
        }
    }

    fn enter(&mut self, entry: Entry, before: Option<TreeId>) -> Step {
        self.check_place(&entry)?;
        self.open.push(Directory::new(entry.path.clone(), Some(entry), before));
        Ok(())
    }

    fn leave(&mut self) -> Step {
        let left = self.open.pop();
        let Some(Directory { path, encoder, entry, before }) = left else {
            return Err(Error::Disorder { path: PathBuf::from("/") }.into());
        };
        let entry = entry.ok_or(Error::Disorder { path })?;
        let tree = self.store(encoder.finish())?;
        match before {
            None => self.stats.directories_new += 1,
            Some(before) if before == tree => self.stats.directories_unmodified += 1,
            Some(_) => self.stats.directories_changed += 1,
        }
        self.stats.directories += 1;
        self.push(entry, Vec::new(), Some(tree))
    }

    fn file(&mut self, entry: Entry, content: Vec<BlobId>) -> Step {
        self.stats.files += 1;
        self.stats.size_bytes += entry.metadata.size;
        self.push(entry, content, None)
    }

    /// Adds a node to the last directory.
    fn push(&mut self, entry: Entry, content: Vec<BlobId>, subtree: Option<TreeId>) -> Step {
        let directory = self.check_place(&entry)?;
        let name = name(&entry)?.to_owned();
        let node = Node { name, kind: entry.kind, metadata: entry.metadata, content, subtree };
        Ok(directory.encoder.push(&node)?)
    }

    /// The last directory, which must be the one that `entry` is in.
    fn check_place(&mut self, entry: &Entry) -> Step<&mut Directory> {
        let parent = entry.path.parent();
        let directory = self.open.last_mut().filter(|directory| parent == Some(&*directory.path));
        Ok(directory.ok_or_else(|| Error::Disorder { path: entry.path.clone() })?)
    }

    /// The ids of pieces, waiting until they are sealed.
    fn content(&mut self, numbers: Range<u64>) -> Step<Vec<BlobId>> {
        numbers.map(|number| self.id(number)).collect()
    }

    fn id(&mut self, number: u64) -> Step<BlobId> {
        loop {
            if let Some(id) = self.early.remove(&number) {
                return Ok(id);
            }
            // All senders are gone, or one of them has failed.
            let (number, id) = self.ids.recv().ok().flatten().ok_or(Stop::Elsewhere)?;
            self.early.insert(number, id);
        }
    }

    /// Stores a directory, unless it is there.
    fn store(&mut self, plain: Vec<u8>) -> Step<TreeId> {
        let id = BlobId::of(&plain);
        let handle = BlobHandle { kind: BlobKind::Tree, id };
        if self.known.claim(handle) {
            let blob = self.sealer.seal(handle, &plain)?;
            let plain_bytes = plain.len() as u64;
            drop(plain);
            let permit = self.budget.take(blob.sealed.len()).ok_or(Stop::Elsewhere)?;
            self.parcels.send(Parcel { blob, plain_bytes, permit }).map_err(|_| Stop::Elsewhere)?;
        }
        Ok(id.into())
    }
}

impl Directory {
    fn new(path: PathBuf, entry: Option<Entry>, before: Option<TreeId>) -> Self {
        Self { path, encoder: TreeEncoder::new(), entry, before }
    }
}
