//! The thread that goes through the source and reads.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Sender, SyncSender};

use lifeboat_files::{Entry, Problem};

use super::budget::{Budget, Permit};
use super::chunks::Chunks;
use super::parent::{Compared, Parent};
use super::source::{Source, SourceFile, SourceItem};
use super::stop::Stop;
use super::{ArchiveProgress, Problems};
use crate::chunker::Chunker;
use crate::{BlobId, Error, TreeId};

/// A piece of a file that is to be sealed.
pub(super) struct Job<'a> {
    /// Counted from 0, in the order of reading.
    pub(super) number: u64,
    pub(super) plain: Vec<u8>,
    pub(super) permit: Permit<'a>,
}

/// What happens to the tree that is built, in order.
pub(super) enum Event {
    /// A directory begins, which had this tree before.
    Enter(Entry, Option<TreeId>),
    /// The last one ends.
    Leave,
    /// A file with the pieces that it had before.
    Unmodified(Entry, Vec<BlobId>),
    /// A file that was read: the numbers of its pieces.
    File(Entry, Range<u64>),
    /// Anything else.
    Entry(Entry),
    /// These pieces are of a file that is left out.
    Unused(Range<u64>),
    /// All of the source was read. Without this, reading has failed.
    End,
}

/// So many of them are handed on at once: of files that are as they were there is little more to do than that.
pub(super) const EVENTS_AT_ONCE: usize = 64;

/// What was counted while reading.
#[derive(Debug, Default)]
pub(super) struct ReadStats {
    /// Entries that came.
    pub(super) seen: u64,
    /// Of these, how many could not be read.
    pub(super) dropped: u64,
    pub(super) files_new: u64,
    pub(super) files_changed: u64,
    pub(super) files_unmodified: u64,
    pub(super) read_bytes: u64,
    pub(super) left_out: u64,
    pub(super) vanished: u64,
    pub(super) changed_while_read: u64,
    pub(super) unreadable_parent_trees: u64,
    pub(super) problems: Problems,
}

/// All that reading needs.
pub(super) struct Reader<'a> {
    chunker: &'a Chunker,
    parent: Parent<'a>,
    budget: &'a Budget,
    jobs: Sender<Job<'a>>,
    events: SyncSender<Vec<Event>>,
    /// Those that are not handed on yet.
    batch: Vec<Event>,
    progress: &'a dyn ArchiveProgress,
    next_number: u64,
    stats: ReadStats,
}

type Step<T = ()> = Result<T, Stop>;

/// Why a file is not in the tree.
enum Unread {
    Vanished,
    Problem(Problem),
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        chunker: &'a Chunker,
        parent: Parent<'a>,
        budget: &'a Budget,
        jobs: Sender<Job<'a>>,
        events: SyncSender<Vec<Event>>,
        progress: &'a dyn ArchiveProgress,
    ) -> Self {
        let (batch, stats) = (Vec::with_capacity(EVENTS_AT_ONCE), ReadStats::default());
        Self { chunker, parent, budget, jobs, events, batch, progress, next_number: 0, stats }
    }

    /// Reads all of the source.
    pub(super) fn run(mut self, source: &mut dyn Source) -> Step<ReadStats> {
        while let Some(item) = source.next() {
            self.item(item)?;
        }
        source.finish().map_err(|source| Error::Source { source })?;
        self.send(Event::End)?;
        self.hand_on_events()?;
        self.stats.unreadable_parent_trees = self.parent.unreadable;
        Ok(self.stats)
    }

    fn item(&mut self, item: SourceItem) -> Step {
        match item {
            SourceItem::Enter(entry) => {
                let entry = self.whole(entry);
                let tree = self.parent.enter(name(&entry)?);
                self.send(Event::Enter(entry, tree))
            }
            SourceItem::Leave => {
                self.parent.leave();
                self.send(Event::Leave)
            }
            SourceItem::File(file) => self.file(file),
            SourceItem::Entry(entry) => {
                let entry = self.whole(entry);
                self.send(Event::Entry(entry))
            }
            SourceItem::LeftOut => {
                self.stats.left_out += 1;
                Ok(())
            }
            SourceItem::Vanished(_) => {
                self.stats.vanished += 1;
                Ok(())
            }
            SourceItem::Problem(problem) => {
                self.problem(problem);
                Ok(())
            }
        }
    }

    /// An entry of which there is no more to read.
    fn whole(&mut self, entry: Entry) -> Entry {
        self.begin(&entry);
        self.storable(entry)
    }

    fn begin(&mut self, entry: &Entry) {
        self.stats.seen += 1;
        self.progress.entry(entry);
    }

    /// The format has names of extended attributes as text.
    fn storable(&mut self, mut entry: Entry) -> Entry {
        let attributes = &mut entry.metadata.attributes;
        for attribute in attributes.extract_if(.., |attribute| attribute.name.to_str().is_none()) {
            self.problem(Problem {
                path: entry.path.clone(),
                operation: "keep an extended attribute of",
                source: io::Error::other(format!("its name {:?} is no UTF-8", attribute.name)),
            });
        }
        entry
    }

    fn file(&mut self, file: Box<dyn SourceFile>) -> Step {
        self.begin(file.entry());
        let compared = self.parent.compare(file.entry(), name(file.entry())?);
        if let Compared::Unmodified(content) = compared {
            self.stats.files_unmodified += 1;
            self.progress.content(file.entry().metadata.size);
            let entry = self.storable(file.into_entry());
            return self.send(Event::Unmodified(entry, content));
        }
        let first = self.next_number;
        let read = self.read(&*file)?;
        let numbers = first..self.next_number;
        match read {
            Ok(bytes) => {
                match compared {
                    Compared::New => self.stats.files_new += 1,
                    _ => self.stats.files_changed += 1,
                }
                let mut entry = self.storable(file.into_entry());
                // A file that became shorter or longer is as long as what there is of it.
                entry.metadata.size = bytes;
                self.send(Event::File(entry, numbers))
            }
            Err(unread) => {
                self.stats.dropped += 1;
                match unread {
                    Unread::Vanished => self.stats.vanished += 1,
                    Unread::Problem(problem) => self.problem(problem),
                }
                self.send(Event::Unused(numbers))
            }
        }
    }

    /// Hands the pieces of a file on; how many bytes they are.
    fn read(&mut self, file: &dyn SourceFile) -> Step<Result<u64, Unread>> {
        let metadata = &file.entry().metadata;
        let mut content = match file.open() {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Err(Unread::Vanished)),
            Err(problem) => return Ok(Err(Unread::Problem(problem))),
        };
        let mut bytes = 0;
        let mut chunks = Chunks::new(self.chunker, &mut *content, metadata.size);
        let failed = |source| {
            let path = file.entry().path.clone();
            Unread::Problem(Problem { path, operation: "read", source })
        };
        loop {
            match chunks.next() {
                Ok(None) => break,
                Ok(Some(plain)) => {
                    bytes += plain.len() as u64;
                    self.hand_on(plain)?;
                }
                Err(error) => return Ok(Err(failed(error))),
            }
        }
        match content.changed() {
            Ok(changed) => self.stats.changed_while_read += u64::from(changed),
            Err(error) => return Ok(Err(failed(error))),
        }
        Ok(Ok(bytes))
    }

    fn hand_on(&mut self, plain: Vec<u8>) -> Step {
        let bytes = plain.len() as u64;
        let permit = self.budget.take(plain.len()).ok_or(Stop::Elsewhere)?;
        let number = self.next_number;
        self.jobs.send(Job { number, plain, permit }).map_err(|_| Stop::Elsewhere)?;
        self.next_number += 1;
        self.stats.read_bytes += bytes;
        self.progress.content(bytes);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) {
        self.progress.problem(&problem);
        self.stats.problems.add(problem);
    }

    fn send(&mut self, event: Event) -> Step {
        self.batch.push(event);
        if self.batch.len() < EVENTS_AT_ONCE { Ok(()) } else { self.hand_on_events() }
    }

    fn hand_on_events(&mut self) -> Step {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(EVENTS_AT_ONCE));
        self.events.send(batch).map_err(|_| Stop::Elsewhere)
    }
}

/// The last component of a path, which only `/` has not.
pub(super) fn name(entry: &Entry) -> Result<&OsStr, Error> {
    entry.path.file_name().ok_or_else(|| Error::Disorder { path: entry.path.clone() })
}
