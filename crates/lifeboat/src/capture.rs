//! Captures one database into one repository.
//!
//! In order: pin, scan, encode what changed (or all), let go of the pin, seal it into a file that
//! has no name yet, write down what was captured, give the file its name, move on.
//! `state::database` says why a crash between any two of these loses nothing.

mod basis;
mod facts;
mod out;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use lifeboat_ltx::{Checksum, Header, Txid, WalRange};
use lifeboat_repository::{
    BackupId, DatabaseAddress, DatabaseSource, LineageAddress, LineageId, LtxName, ORIGIN_VERSION,
    ObjectRef, Origin, Parent, Repository, Time,
};
use lifeboat_sqlite::{
    Bitmap, Changes, Encoded, HashKey, Image, PageArray, PageArrayWriter, Pin, encode_base,
    encode_changes, pin, scan,
};

use self::basis::Basis;
use self::facts::Facts;
use self::out::Out;
use crate::error::chain;
use crate::names::directory_of;
use crate::state::{Captured, DatabaseState, DatabaseStateFile, Pending, Position};
use crate::{DatabaseTarget, Error, Note, OpenRepository, Progress, Result};

const LEVEL_CAPTURE: u8 = 0;
const LEVEL_MERGED: u8 = 1;
const LEVEL_BASE: u8 = 9;

/// Captures a database and pins the point for a backup.
pub(crate) fn capture(
    opened: &OpenRepository<'_>,
    target: &DatabaseTarget,
    backup: BackupId,
    progress: &dyn Progress,
) -> Result<DatabaseSource> {
    let began = Instant::now();
    let context = opened.context();
    let directory = directory_of(context.state(), &target.name, &target.path)?;
    let capture = Capture {
        repository: opened.repository(),
        repository_id: opened.id(),
        node: &context.host().node,
        host: context.host_name(),
        target,
        files: DatabaseStateFile::lock(&directory, &target.name)?,
        address: DatabaseAddress::new(&context.host_name(), &target.name)?,
        progress,
    };
    let pin = pin(&target.path, &capture.files.scratch())?;
    if pin.is_copy() {
        progress.note(&Note::PrivateCopy { source: target.name.clone() });
    }
    let taken = capture.take(&pin)?;
    // The application's writers and checkpoints go on while what was read is compressed and stored.
    drop(pin);
    let lineage = taken.lineage.clone();
    let mut source = capture.store(taken)?;
    opened.repository().write_pin(&lineage, source.txid, backup)?;
    source.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(source)
}

struct Capture<'a> {
    repository: &'a Repository,
    repository_id: String,
    node: &'a str,
    host: String,
    target: &'a DatabaseTarget,
    files: DatabaseStateFile,
    address: DatabaseAddress,
    progress: &'a dyn Progress,
}

/// What was read of a database, and what has to be done with it.
struct Taken {
    state: DatabaseState,
    lineage: LineageAddress,
    name: LtxName,
    checksum: Checksum,
    facts: Facts,
    /// What was encoded; `None` where the repository holds this state already.
    encoded: Option<Encoded<Out>>,
    /// Whether that is the whole database, with a page array of its own.
    whole: bool,
    /// The repository's position before.
    from: Option<Position>,
}

impl Capture<'_> {
    /// Reads what the repository lacks of the pinned state.
    fn take(&self, pin: &Pin) -> Result<Taken> {
        let image = pin.image()?;
        let basis = self.basis(&image)?;
        let parent = basis.parent();
        match self.take_on(pin, &image, basis) {
            Err(Error::Database(error @ lifeboat_sqlite::Error::PageArray { .. })) => {
                self.progress.end();
                let reason = format!("page array unusable: {}", chain(&error));
                self.take_on(pin, &image, Basis::NewLineage { reason, parent })
            }
            taken => taken,
        }
    }

    fn take_on(&self, pin: &Pin, image: &Image<'_>, basis: Basis) -> Result<Taken> {
        match basis {
            Basis::NewLineage { reason, parent } => {
                self.note_whole(&reason);
                self.files.clear()?;
                self.take_first(pin, image, reason, parent)
            }
            Basis::Whole { state, array, reason } => {
                self.note_whole(&reason);
                self.take_whole(pin, image, state, &array)
            }
            Basis::Continues { state, array, position } => {
                self.take_changes(pin, image, state, &array, position)
            }
        }
    }

    fn note_whole(&self, reason: &str) {
        let source = self.target.name.clone();
        self.progress.note(&Note::WholeDatabase { source, reason: reason.to_owned() });
    }

    /// The first capture of a lineage: a base, in one pass.
    fn take_first(
        &self,
        pin: &Pin,
        image: &Image<'_>,
        reason: String,
        parent: Option<Parent>,
    ) -> Result<Taken> {
        let page_size = image.page_size().get();
        let lineage = self.address.lineage(LineageId::random())?;
        self.repository.write_origin(&lineage, &self.origin(page_size, reason, parent))?;
        let state = DatabaseState {
            path: self.target.path.clone(),
            name: self.target.name.clone(),
            lineage: lineage.id(),
            page_size,
            captured: Captured { txid: None, time: Time::from_millis(0), checksum: None },
            pending: None,
            positions: BTreeMap::new(),
        };
        self.encode_whole(pin, image, state, lineage, base_name(Txid::FIRST, Time::now()), None)
    }

    /// The whole database within a lineage that goes on.
    fn take_whole(
        &self,
        pin: &Pin,
        image: &Image<'_>,
        state: DatabaseState,
        array: &PageArray,
    ) -> Result<Taken> {
        let lineage = self.address.lineage(state.lineage)?;
        if !self.repository.listing(&lineage)?.has_origin {
            let reason = "continued in another repository".to_owned();
            self.repository.write_origin(&lineage, &self.origin(state.page_size, reason, None))?;
        }
        let changes = self.scan(image, &state, array)?;
        let name = base_name(next_txid(&state, &changes)?, point_time(&state));
        self.encode_whole(pin, image, state, lineage, name, Some(changes.checksum))
    }

    fn encode_whole(
        &self,
        pin: &Pin,
        image: &Image<'_>,
        state: DatabaseState,
        lineage: LineageAddress,
        name: LtxName,
        checksum_after: Option<Checksum>,
    ) -> Result<Taken> {
        let mut header = header(image, &lineage, name);
        header.checksum_after = checksum_after;
        let mut secret = [0; 192];
        getrandom::fill(&mut secret)
            .map_err(|error| Error::file("draw a key for", &self.files.pages())(error.into()))?;
        let pages = self.files.new_pages();
        let array = PageArrayWriter::create(&pages, image.page_size(), HashKey::new(secret))?;
        let out = self.out(pin, &lineage, name, image.size())?;
        self.begin("storing", image.size());
        let advance = |bytes| self.progress.advance(bytes);
        let encoded = encode_base(image, &header, out, array, workers(), &advance)?;
        let facts = Facts::of(pin, image, &PageArray::open(&pages)?, &Bitmap::new(0))?;
        let checksum = encoded.checksum;
        let encoded = Some(encoded);
        Ok(Taken { state, lineage, name, checksum, facts, encoded, whole: true, from: None })
    }

    /// What changed since the repository's position.
    fn take_changes(
        &self,
        pin: &Pin,
        image: &Image<'_>,
        state: DatabaseState,
        array: &PageArray,
        position: Position,
    ) -> Result<Taken> {
        let lineage = self.address.lineage(state.lineage)?;
        let mut changes = self.scan(image, &state, array)?;
        let txid = next_txid(&state, &changes)?;
        let facts = Facts::of(pin, image, array, &changes.pages)?;
        let first = if position.txid == txid { txid } else { following(position.txid, &state)? };
        let level = if first == txid { LEVEL_CAPTURE } else { LEVEL_MERGED };
        let time = if position.txid == txid { state.captured.time } else { point_time(&state) };
        let name = LtxName { level, min: first, max: txid, time };
        let checksum = changes.checksum;
        let encoded = if position.txid == txid {
            None
        } else {
            self.files.behind(&self.repository_id, &position, &mut changes.pages)?;
            let mut header = header(image, &lineage, name);
            header.checksum_before = Some(position.checksum);
            header.checksum_after = Some(checksum);
            let bytes = u64::from(changes.pages.len()) * u64::from(image.page_size().get());
            let out = self.out(pin, &lineage, name, bytes)?;
            self.begin("storing", bytes);
            let advance = |bytes| self.progress.advance(bytes);
            Some(encode_changes(image, &header, &changes.pages, checksum, out, &advance)?)
        };
        let from = Some(position);
        Ok(Taken { state, lineage, name, checksum, facts, encoded, whole: false, from })
    }

    fn scan(&self, image: &Image<'_>, state: &DatabaseState, array: &PageArray) -> Result<Changes> {
        self.begin("scanning", image.size());
        let before = state.captured.checksum.unwrap_or(Checksum::EMPTY);
        let advance = |bytes| self.progress.advance(bytes);
        let changes = scan(image, array, before, &self.files.changes(), workers(), &advance);
        self.progress.end();
        Ok(changes?)
    }

    fn begin(&self, what: &str, bytes: u64) {
        self.progress.begin(&format!("{what} {}", self.target.name), Some(bytes));
    }

    /// Where the encoded pages go: right into the repository, or, where writers wait for the pin,
    /// to a spool first.
    fn out(&self, pin: &Pin, lineage: &LineageAddress, name: LtxName, bytes: u64) -> Result<Out> {
        if pin.blocks_writers() {
            if let Some(spool) = Out::spool(&self.files.scratch(), bytes)? {
                return Ok(spool);
            }
            self.progress.note(&Note::NoRoomToSpool { source: self.target.name.clone() });
        }
        Ok(Out::Repository(Box::new(self.repository.begin_ltx(lineage, name)?)))
    }

    fn origin(&self, page_size: u32, reason: String, parent: Option<Parent>) -> Origin {
        Origin {
            version: ORIGIN_VERSION,
            host: self.host.clone(),
            name: self.target.name.clone(),
            path: self.target.path.display().to_string(),
            page_size,
            parent,
            reason,
            created: Time::now(),
            node: self.node.to_owned(),
        }
    }

    /// Stores what was taken: sealed, written down, made visible.
    fn store(&self, taken: Taken) -> Result<DatabaseSource> {
        let Taken { mut state, lineage, name, checksum, facts, encoded, whole, from } = taken;
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
                Captured { txid: Some(name.max), time: name.time, checksum: Some(checksum) };
            self.files.record(&mut state, Pending { captured, whole })?;
            sealed.publish()?;
            let position = Position { txid: name.max, checksum, objects: objects.clone() };
            self.files.settle(&mut state, Some((&self.repository_id, position)))?;
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

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

fn base_name(txid: Txid, time: Time) -> LtxName {
    LtxName { level: LEVEL_BASE, min: Txid::FIRST, max: txid, time }
}

/// The transaction of this capture: that of the last one if nothing changed since.
fn next_txid(state: &DatabaseState, changes: &Changes) -> Result<Txid> {
    match state.captured.txid {
        Some(last) if changes.none() => Ok(last),
        Some(last) => following(last, state),
        None => Ok(Txid::FIRST),
    }
}

fn following(txid: Txid, state: &DatabaseState) -> Result<Txid> {
    txid.next().ok_or_else(|| Error::State {
        path: state.path.clone(),
        detail: "its transaction numbers are used up".into(),
    })
}

/// A point's time is the clock's, but later than the last one, whatever the clock does.
///
/// So every file gets a name of its own, even one of a transaction that was captured before: the
/// former may have come through although its backup was killed before it could write that down.
fn point_time(state: &DatabaseState) -> Time {
    Time::now().max(Time::from_millis(state.captured.time.millis() + 1))
}

fn header(image: &Image<'_>, lineage: &LineageAddress, name: LtxName) -> Header {
    let mut header = Header::new(image.page_size(), image.page_count(), name.range());
    header.timestamp_ms = name.time.millis();
    header.node = lineage.id().node();
    if name.level == LEVEL_CAPTURE {
        // Litestream takes up a replica only if its newest capture states an offset.
        header.wal = WalRange { offset: 32, size: 0, salts: [0, 0] };
    }
    header
}
