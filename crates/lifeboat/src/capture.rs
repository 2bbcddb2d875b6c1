//! Captures one database into one repository.
//!
//! In order: pin, find out what changed, encode that (or all), let go of the pin, seal it into a
//! file that has no name yet, write down what was captured, give the file its name, move on.
//! `state::database` says why a crash between any two of these loses nothing.

mod base;
mod basis;
mod facts;
pub(crate) mod find;
mod free_name;
mod lease;
mod objects;
mod out;
mod rebuild;
mod replicated;
pub(crate) mod take;

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{
    BackupId, DatabaseAddress, DatabaseSource, LineageAddress, LineageId, LtxName, Repository, Time,
};
use lifeboat_sqlite::{Encoded, Pin, pin};

pub(crate) use self::base::NewBase;
use self::objects::objects;
use self::out::Out;
use self::replicated::capture_replicated;
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
    let directory = directory_of(opened.context().state(), &target.name, &target.path)?;
    let files = match DatabaseStateFile::lock(&directory, &target.name) {
        Err(Error::Busy { name }) => {
            let source = capture_replicated(opened, target, backup)?.ok_or(Error::Busy { name })?;
            let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ok((DatabaseSource { duration_ms, ..source }, ChangedBy::Replicated));
        }
        files => files?,
    };
    let capture = Capture::new(opened, target, &files, options, progress)?;
    capture.require_lease()?;
    let pin = pin(&target.path, &files.scratch())?;
    if pin.is_copy() {
        progress.note(&Note::PrivateCopy { source: target.name.clone() });
    }
    let taken = capture.take(&pin)?;
    // The application's writers and checkpoints go on while what was read is compressed and stored.
    drop(pin);
    let (lineage, by) = (taken.lineage.clone(), taken.by);
    let mut source = capture.store(taken)?;
    opened.repository().write_pin(&lineage, source.txid, backup)?;
    let ledger = files.ledger(&capture.repository_id);
    source.objects = objects(opened, &lineage, source.txid, &ledger)?;
    source.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((source, by))
}

/// Brings a repository up to a pinned state, without pinning the point for a backup. No transaction is
/// begun if the local state stands there already.
pub(crate) fn store(
    opened: &OpenRepository<'_>,
    target: &DatabaseTarget,
    files: &DatabaseStateFile,
    pin: Pin,
    progress: &dyn Progress,
) -> Result<()> {
    let capture = Capture::new(opened, target, files, CaptureOptions::default(), progress)?;
    let taken = capture.take(&pin)?;
    drop(pin);
    capture.store(taken).map(drop)
}

/// Brings a repository up to the present state of a database, as [`store`] does, and adds a base of that
/// state; the bytes of the base, `None` where one was stored anyway.
pub(crate) fn store_with_base(
    opened: &OpenRepository<'_>,
    target: &DatabaseTarget,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let directory = directory_of(opened.context().state(), &target.name, &target.path)?;
    let files = DatabaseStateFile::lock(&directory, &target.name)?;
    let capture = Capture::new(opened, target, &files, CaptureOptions::default(), progress)?;
    capture.require_lease()?;
    let pin = pin(&target.path, &files.scratch())?;
    let taken = capture.take(&pin)?;
    if taken.whole {
        drop(pin);
        return capture.store(taken).map(|_| None);
    }
    let base = NewBase {
        repository: capture.repository,
        source: &target.name,
        lineage: taken.lineage.clone(),
        txid: taken.name.max,
        time: taken.name.time,
        checksum: taken.checksum,
        scratch: files.scratch(),
        ledger: files.ledger(&capture.repository_id),
    };
    let encoded = base.read(&pin, progress)?;
    drop(pin);
    // What the base holds is there before it: the chain leads on beneath.
    capture.store(taken)?;
    base.store(encoded).map(Some)
}

struct Capture<'a> {
    opened: &'a OpenRepository<'a>,
    repository: &'a Repository,
    repository_id: String,
    node: &'a str,
    host: String,
    target: &'a DatabaseTarget,
    files: &'a DatabaseStateFile,
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

impl<'a> Capture<'a> {
    fn new(
        opened: &'a OpenRepository<'a>,
        target: &'a DatabaseTarget,
        files: &'a DatabaseStateFile,
        options: CaptureOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let context = opened.context();
        Ok(Self {
            opened,
            repository: opened.repository(),
            repository_id: opened.id(),
            node: &context.host().node,
            host: context.host_name(),
            target,
            files,
            address: DatabaseAddress::new(&context.host_name(), &target.name)?,
            options,
            progress,
        })
    }

    /// Stores what was taken: sealed, written down, made visible.
    fn store(&self, taken: Taken) -> Result<DatabaseSource> {
        let Taken { mut state, lineage, name, checksum, facts, seen, encoded, whole, from, .. } =
            taken;
        let (mut pages, mut stored_bytes) = (0, 0);
        if let Some(encoded) = encoded {
            pages = encoded.pages;
            let begin = |bytes| Ok(self.repository.begin_ltx(&lineage, name, bytes)?);
            let sealed = encoded.out.seal(begin)?;
            self.progress.end();
            stored_bytes = sealed.objects().iter().map(|object| object.size).sum();
            let ledger = self.files.ledger(&self.repository_id);
            if whole {
                ledger.replace(sealed.objects())?;
            } else {
                ledger.append(sealed.objects())?;
            }
            let captured =
                Captured { txid: Some(name.max), time: name.time, checksum: Some(checksum), seen };
            self.files.record(&mut state, Pending { captured, whole })?;
            sealed.publish()?;
            let position = Position { txid: name.max, checksum };
            self.files.settle(&mut state, Some((&self.repository_id, position)))?;
        } else if seen.is_some() && seen != state.captured.seen {
            // The same pages, at a later moment.
            state.captured.seen = seen;
            self.files.save(&state)?;
        }
        let source =
            describe_at(self.target, state.lineage, (name.max, name.time), checksum, facts)?;
        let changed_from = from.map(|from| from.txid);
        Ok(DatabaseSource { changed_pages: pages, changed_from, stored_bytes, ..source })
    }
}

/// What a manifest says of the last capture of a database, but for the objects that lead there.
pub(crate) fn describe(
    target: &DatabaseTarget,
    state: &DatabaseState,
    facts: &Facts,
) -> Result<DatabaseSource> {
    let (txid, checksum) = (state.captured.txid, state.captured.checksum);
    let point = (txid.unwrap_or(Txid::FIRST), state.captured.time);
    describe_at(target, state.lineage, point, checksum.unwrap_or(Checksum::EMPTY), facts.clone())
}

fn describe_at(
    target: &DatabaseTarget,
    lineage: LineageId,
    (txid, time): (Txid, Time),
    checksum: Checksum,
    facts: Facts,
) -> Result<DatabaseSource> {
    let path = &target.path;
    let metadata = path.metadata().map_err(Error::file("look at", path))?;
    Ok(DatabaseSource {
        name: target.name.clone(),
        path: path.display().to_string(),
        lineage,
        txid,
        time,
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
        points: None,
        changed_pages: 0,
        changed_from: None,
        stored_bytes: 0,
        duration_ms: 0,
        objects: Vec::new(),
    })
}
