//! Makes a snapshot of what a source yields.
//!
//! The calling thread goes through the source, looks up what the snapshot before has of it, and reads and
//! cuts what it has not. Several threads hash, compress and encrypt the pieces that are not stored yet; one
//! puts them into packs, one makes these durable and lists them in index objects; and one makes directories,
//! in the order of the source, waiting for the ids of the pieces of each file.
//!
//! They hand on in one direction only, and whoever waits, waits for those that come after it: so nobody waits
//! for ever. What is between reading and packing takes [`pipeline::IN_FLIGHT_BYTES`] at most, whatever the size of
//! files; beside it there are [`pipeline::IN_FLIGHT_EVENTS`] entries, a piece of 8 MiB for each thread that seals, the
//! directories on the way to where the source is, the index (48 bytes a blob), and for each new blob its id and, once
//! an index object lists it, another 48 bytes, which the index takes over at the end.
//!
//! The snapshot is written last, by the calling thread, when all others have ended well: then all that it
//! needs is durable and in an index.

mod archived;
mod budget;
mod builder;
mod chunks;
mod known;
mod parent;
mod pipeline;
mod problems;
mod progress;
mod reader;
mod sealing;
mod source;
mod stop;

pub use archived::Archived;
pub use problems::Problems;
pub use progress::ArchiveProgress;
pub use source::{Source, SourceContent, SourceFile, SourceItem};

use jiff::Timestamp;

use self::parent::Parent;
use self::pipeline::Pipeline;
use crate::indexer::Fence;
use crate::packer::PACK_BYTES;
use crate::{Index, ResticRepository, Result, SnapshotId};

/// How to archive, and what to say in the snapshot.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// On which host.
    pub host: String,
    /// Who.
    pub user: String,
    /// When the backup began.
    pub time: Timestamp,
    /// By which the snapshot can be found.
    pub tags: Vec<String>,
    /// What was to be backed up. restic groups snapshots by it.
    pub paths: Vec<String>,
    /// The snapshot to compare with.
    pub parent: Option<SnapshotId>,
    /// Read all files, also those that seem to be as they were.
    pub force: bool,
    /// The program that made it.
    pub program_version: String,
    /// Of zstd.
    pub level: i32,
    /// How many threads seal; 0 for as many as there are processors.
    pub workers: usize,
    /// A pack that has grown to so many bytes is finished.
    pub pack_bytes: usize,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self {
            host: String::new(),
            user: String::new(),
            time: Timestamp::now(),
            tags: Vec::new(),
            paths: Vec::new(),
            parent: None,
            force: false,
            program_version: String::new(),
            level: 1,
            workers: 0,
            pack_bytes: PACK_BYTES,
        }
    }
}

/// Archives what `source` yields as a snapshot.
///
/// What `index` lists is not stored again. It is the repository's, loaded under the lock that is still held (see
/// [`Index`]); however this ends, it lists what it did, and what is listed by index objects that were written since
/// and are durable. So a run of several archivings loads it once.
///
/// `fence` is asked before index objects and the snapshot are written; its error ends all. A file that cannot
/// be read is left out and counted, as is whatever the source has problems with. Any other error means that
/// there is no snapshot (but a whole one may be there if its storage failed while it was written); what was
/// stored until then is used by the next one.
///
/// [`crate::Error::Nothing`] if the source yields nothing.
pub fn archive(
    repository: &ResticRepository,
    index: &mut Index,
    source: &mut dyn Source,
    options: &ArchiveOptions,
    fence: Fence<'_>,
    progress: &dyn ArchiveProgress,
) -> Result<Archived> {
    let compared = options.parent.filter(|_| !options.force);
    let before = compared.and_then(|id| Some((id, repository.snapshot(&id).ok()?)));
    let unreadable = u64::from(compared.is_some() && before.is_none());
    let parent = Parent::new(repository, index, before.as_ref().map(|(_, snapshot)| snapshot));
    let pipeline = Pipeline { repository, index, options, fence, progress };
    let mut listed = Index::default();
    let stored = pipeline.run(source, parent, &mut listed);
    let absorbed = index.absorb(listed);
    let mut stored = stored?;
    absorbed?;
    stored.read.unreadable_parent_trees += unreadable;
    stored.account()?;

    fence()?;
    let snapshot = stored.snapshot(options, before.map(|(id, _)| id));
    let snapshot = repository.save_snapshot(&snapshot)?;
    Ok(stored.archived(snapshot))
}
