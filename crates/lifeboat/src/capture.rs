//! Captures one database into one repository.
//!
//! In order: pin, find out what changed, encode that (or all), let go of the pin, seal it into a
//! file that has no name yet, write down what was captured, give the file its name, move on.
//! `state::database` says why a crash between any two of these loses nothing.

mod basis;
mod facts;
mod find;
mod free_name;
mod lease;
mod out;
mod rebuild;
mod take;

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{
    BackupId, DatabaseAddress, DatabaseSource, LineageAddress, LtxName, ObjectRef, Repository,
};
use lifeboat_sqlite::{Encoded, pin};

use self::out::Out;
use crate::names::directory_of;
use crate::state::{Captured, DatabaseState, DatabaseStateFile, Facts, Pending, Position, Seen};
use crate::{ChangedBy, DatabaseTarget, Error, Note, OpenRepository, Progress, Result};

/// How to capture.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CaptureOptions {
    /// Read every page, even where it is proved that it did not change.
    pub(crate) rescan: bool,
    /// Store the whole database in any case.
    pub(crate) base: bool,
    /// A host that holds the lease is gone: do not wait for it.
    pub(crate) take_over: bool,
}

/// Captures a database and pins the point for a backup; also says how it found out what changed.
pub(crate) fn capture(
    opened: &OpenRepository<'_>,
    target: &DatabaseTarget,
    backup: BackupId,
    options: CaptureOptions,
    progress: &dyn Progress,
) -> Result<(DatabaseSource, ChangedBy)> {
    let began = Instant::now();
    let context = opened.context();
    let directory = directory_of(context.state(), &target.name, &target.path)?;
    let capture = Capture {
        opened,
        repository: opened.repository(),
        repository_id: opened.id(),
        node: &context.host().node,
        host: context.host_name(),
        target,
        files: DatabaseStateFile::lock(&directory, &target.name)?,
        address: DatabaseAddress::new(&context.host_name(), &target.name)?,
        options,
        progress,
    };
    capture.require_lease()?;
    let pin = pin(&target.path, &capture.files.scratch())?;
    if pin.is_copy() {
        progress.note(&Note::PrivateCopy { source: target.name.clone() });
    }
    let taken = capture.take(&pin)?;
    // The application's writers and checkpoints go on while what was read is compressed and stored.
    drop(pin);
    let (lineage, by) = (taken.lineage.clone(), taken.by);
    let mut source = capture.store(taken)?;
    opened.repository().write_pin(&lineage, source.txid, backup)?;
    source.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((source, by))
}

struct Capture<'a> {
    opened: &'a OpenRepository<'a>,
    repository: &'a Repository,
    repository_id: String,
    node: &'a str,
    host: String,
    target: &'a DatabaseTarget,
    files: DatabaseStateFile,
    address: DatabaseAddress,
    options: CaptureOptions,
    progress: &'a dyn Progress,
}

/// What was read of a database, and what has to be done with it.
struct Taken {
    state: DatabaseState,
    lineage: LineageAddress,
    name: LtxName,
    checksum: Checksum,
    facts: Facts,
    by: ChangedBy,
    /// What the next capture is held against.
    seen: Option<Seen>,
    /// What was encoded; `None` where the repository holds this state already.
    encoded: Option<Encoded<Out>>,
    /// Whether that is the whole database, with a page array of its own.
    whole: bool,
    /// The repository's position before.
    from: Option<Position>,
}

impl Capture<'_> {
    /// Stores what was taken: sealed, written down, made visible.
    fn store(&self, taken: Taken) -> Result<DatabaseSource> {
        let Taken { mut state, lineage, name, checksum, facts, seen, encoded, whole, from, .. } =
            taken;
        let from_txid = from.as_ref().map(|from| from.txid);
        let mut objects = from.map(|from| from.objects).unwrap_or_default();
        let (mut pages, mut added) = (0, Vec::new());
        if let Some(encoded) = encoded {
            pages = encoded.pages;
            let sealed = encoded.out.seal(|| Ok(self.repository.begin_ltx(&lineage, name)?))?;
            self.progress.end();
            added = sealed.objects().to_vec();
            objects.extend(added.iter().cloned());
            let captured =
                Captured { txid: Some(name.max), time: name.time, checksum: Some(checksum), seen };
            self.files.record(&mut state, Pending { captured, whole })?;
            sealed.publish()?;
            let position = Position { txid: name.max, checksum, objects: objects.clone() };
            self.files.settle(&mut state, Some((&self.repository_id, position)))?;
        } else if seen.is_some() && seen != state.captured.seen {
            // The same pages, at a later moment.
            state.captured.seen = seen;
            self.files.save(&state)?;
        }
        self.source(&lineage, name, checksum, facts, objects, &added, pages, from_txid)
    }

    #[expect(clippy::too_many_arguments, reason = "each is one member of the document")]
    fn source(
        &self,
        lineage: &LineageAddress,
        name: LtxName,
        checksum: Checksum,
        facts: Facts,
        objects: Vec<ObjectRef>,
        added: &[ObjectRef],
        changed_pages: u32,
        changed_from: Option<Txid>,
    ) -> Result<DatabaseSource> {
        let path = &self.target.path;
        let metadata = path.metadata().map_err(Error::file("look at", path))?;
        Ok(DatabaseSource {
            name: self.target.name.clone(),
            path: path.display().to_string(),
            lineage: lineage.id(),
            txid: name.max,
            time: name.time,
            page_size: facts.page_size,
            page_count: facts.page_count,
            size_bytes: u64::from(facts.page_size) * u64::from(facts.page_count),
            checksum,
            journal_mode: facts.journal_mode,
            schema_sha256: facts.schema_sha256,
            tables: facts.tables,
            mode: format!("{:04o}", metadata.mode() & 0o7777),
            uid: metadata.uid(),
            gid: metadata.gid(),
            changed_pages,
            changed_from,
            stored_bytes: added.iter().map(|object| object.size).sum(),
            duration_ms: 0,
            objects,
        })
    }
}
