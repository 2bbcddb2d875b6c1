//! Captures one database into one repository.
//!
//! In order: pin, scan, store the changed pages (or all of them) under no name, write down what was
//! captured, give the stored file its name, move on. `state::database` says why a crash between any
//! two of these loses nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::Instant;

use lifeboat_ltx::{Checksum, Header, Txid, TxidRange, WalRange};
use lifeboat_repository::{
    BackupId, DatabaseAddress, DatabaseSource, LineageAddress, LineageId, LtxName, ORIGIN_VERSION,
    ObjectRef, Origin, Parent, Repository, SealedLtx, Time,
};
use lifeboat_sqlite::{
    Bitmap, Changes, HashKey, Image, PageArray, PageArrayWriter, Pin, count_rows, encode_base,
    encode_changes, pin, scan,
};

use crate::names::directory_of;
use crate::space::free_bytes;
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
    let files = DatabaseStateFile::lock(&directory, &target.name)?;
    let pin = pin(&target.path, &files.scratch())?;
    if pin.is_copy() {
        progress.note(&Note::PrivateCopy { source: target.name.clone() });
    }
    let address = DatabaseAddress::new(&context.host_name(), &target.name)?;
    let mut capture = Capture {
        repository: opened.repository(),
        repository_id: opened.id(),
        node: &context.host().node,
        host: context.host_name(),
        target,
        files,
        address,
        progress,
    };
    let mut source = capture.run(pin)?;
    let lineage = capture.address.lineage(source.lineage)?;
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

/// What a capture continues.
enum Basis {
    /// A lineage begins; the text says why.
    NewLineage { reason: String, parent: Option<Parent> },
    /// The lineage goes on, but the repository needs the whole database; the text says why.
    Whole { state: DatabaseState, array: PageArray, reason: String },
    /// The lineage goes on where the repository stands.
    Continues { state: DatabaseState, array: PageArray, position: Position },
}

/// What was found out about the image while the pin was held.
struct Facts {
    page_size: u32,
    page_count: u32,
    journal_mode: String,
    schema_sha256: Option<String>,
    tables: BTreeMap<String, Option<u64>>,
}

/// A file without a name yet, and what it holds.
struct Stored {
    sealed: SealedLtx,
    pages: u32,
    checksum: Checksum,
    facts: Facts,
}

impl Capture<'_> {
    fn run(&mut self, pin: Pin) -> Result<DatabaseSource> {
        match self.basis(&pin.image()?)? {
            Basis::NewLineage { reason, parent } => {
                self.note_whole(&reason);
                self.files.clear()?;
                self.begin(pin, reason, parent)
            }
            Basis::Whole { state, array, reason } => {
                self.note_whole(&reason);
                self.whole(pin, state, &array)
            }
            Basis::Continues { state, array, position } => {
                self.changes(pin, state, &array, position)
            }
        }
    }

    fn note_whole(&self, reason: &str) {
        let source = self.target.name.clone();
        self.progress.note(&Note::WholeDatabase { source, reason: reason.to_owned() });
    }

    fn basis(&self, image: &Image<'_>) -> Result<Basis> {
        let new = |reason: String, parent| Ok(Basis::NewLineage { reason, parent });
        let state = match self.files.load() {
            Ok(Some(state)) => state,
            Ok(None) => return new("first backup of this database on this host".into(), None),
            Err(error @ (Error::State { .. } | Error::Database(_))) => {
                return new(format!("the local state cannot be used: {}", crate::error::chain(&error)), None);
            }
            Err(error) => return Err(error),
        };
        let parent = state.captured.txid.map(|txid| Parent { lineage: state.lineage, txid });
        if state.path != self.target.path {
            return new(format!("the name stood for {}", state.path.display()), parent);
        }
        if state.page_size != image.page_size().get() {
            let reason =
                format!("the page size changed from {} to {}", state.page_size, image.page_size());
            return new(reason, parent);
        }
        let array = match PageArray::open(&self.files.pages()) {
            Ok(array) => array,
            Err(error) => {
                let reason = format!("the page array cannot be used: {}", crate::error::chain(&error));
                return new(reason, parent);
            }
        };
        let Some(position) = state.positions.get(&self.repository_id).cloned() else {
            let reason = "the repository does not hold this database yet".into();
            return Ok(Basis::Whole { state, array, reason });
        };
        match self.missing(state.lineage, &position)? {
            None => Ok(Basis::Continues { state, array, position }),
            Some(reason) => Ok(Basis::Whole { state, array, reason }),
        }
    }

    /// What the repository should hold of a lineage and does not.
    fn missing(&self, lineage: LineageId, position: &Position) -> Result<Option<String>> {
        let lineage = self.address.lineage(lineage)?;
        let listing = self.repository.listing(&lineage)?;
        let Some(txid) = position.txid else { return Ok(Some("nothing was stored before".into())) };
        if let Err(error) = listing.plan(&lineage, txid) {
            return Ok(Some(error.to_string()));
        }
        let sizes: BTreeMap<&str, u64> = listing
            .files
            .iter()
            .flat_map(|file| &file.objects)
            .map(|object| (object.key.as_str(), object.size))
            .collect();
        let damaged = position.objects.iter().find(|object| {
            sizes.get(object.key.as_str()).is_some_and(|size| *size != object.size)
        });
        Ok(damaged.map(|object| format!("{} has another size than it had", object.key)))
    }

    /// The first capture of a lineage: a base, in one pass.
    fn begin(&self, pin: Pin, reason: String, parent: Option<Parent>) -> Result<DatabaseSource> {
        let page_size = pin.image()?.page_size().get();
        let lineage = self.address.lineage(LineageId::random())?;
        self.repository.write_origin(&lineage, &self.origin(page_size, reason, parent))?;
        let mut state = DatabaseState {
            path: self.target.path.clone(),
            name: self.target.name.clone(),
            lineage: lineage.id(),
            page_size,
            captured: Captured { txid: None, time: Time::from_millis(0), checksum: None },
            pending: None,
            positions: BTreeMap::new(),
        };
        let name = base_name(Txid::FIRST, Time::now());
        let stored = self.store_base(pin, &lineage, name, None)?;
        self.publish(&mut state, &lineage, name, stored, Vec::new(), true)
    }

    /// The whole database within a lineage that goes on.
    fn whole(&self, pin: Pin, mut state: DatabaseState, array: &PageArray) -> Result<DatabaseSource> {
        let lineage = self.address.lineage(state.lineage)?;
        if !self.repository.listing(&lineage)?.has_origin {
            let reason = "continued in another repository".to_owned();
            self.repository.write_origin(&lineage, &self.origin(state.page_size, reason, None))?;
        }
        let changes = self.scan(&pin.image()?, &state, array)?;
        let name = base_name(next_txid(&state, &changes)?, point_time(&state, &changes));
        let stored = self.store_base(pin, &lineage, name, Some(changes.checksum))?;
        self.publish(&mut state, &lineage, name, stored, Vec::new(), true)
    }

    /// What changed since the repository's position.
    fn changes(
        &self,
        pin: Pin,
        mut state: DatabaseState,
        array: &PageArray,
        position: Position,
    ) -> Result<DatabaseSource> {
        let lineage = self.address.lineage(state.lineage)?;
        let mut changes = self.scan(&pin.image()?, &state, array)?;
        let txid = next_txid(&state, &changes)?;
        let Some(first) = position.txid.and_then(Txid::next) else { return Err(self.exhausted()) };
        if position.txid == Some(txid) {
            let facts = self.facts(&pin, array, &changes.pages)?;
            drop(pin);
            let time = state.captured.time;
            return self.source(&lineage, txid, time, changes.checksum, facts, position.objects, 0, 0, Some(txid));
        }
        self.files.behind(&self.repository_id, &position, &mut changes.pages)?;
        let level = if first == txid { LEVEL_CAPTURE } else { LEVEL_MERGED };
        let name = LtxName { level, min: first, max: txid, time: point_time(&state, &changes) };
        let stored = self.store_changes(pin, &lineage, name, array, &changes, position.checksum)?;
        self.publish(&mut state, &lineage, name, stored, position.objects, false)
    }

    fn exhausted(&self) -> Error {
        Error::State { path: self.files.scratch(), detail: "the transaction numbers are used up".into() }
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

    fn scan(&self, image: &Image<'_>, state: &DatabaseState, array: &PageArray) -> Result<Changes> {
        self.progress.begin(&format!("scanning {}", self.target.name), Some(image.size()));
        let before = state.captured.checksum.unwrap_or(Checksum::EMPTY);
        let advance = |bytes| self.progress.advance(bytes);
        let changes = scan(image, array, before, &self.files.changes(), workers(), &advance);
        self.progress.end();
        Ok(changes?)
    }

    fn store_base(
        &self,
        pin: Pin,
        lineage: &LineageAddress,
        name: LtxName,
        checksum: Option<Checksum>,
    ) -> Result<Stored> {
        let image = pin.image()?;
        let mut header = header(&image, lineage, name);
        header.checksum_after = checksum;
        let mut secret = [0; 192];
        getrandom::fill(&mut secret)
            .map_err(|error| Error::file("draw a key for", &self.files.pages())(error.into()))?;
        let new_pages = self.files.new_pages();
        let array = PageArrayWriter::create(&new_pages, image.page_size(), HashKey::new(secret))?;
        self.progress.begin(&format!("storing {}", self.target.name), Some(image.size()));
        let advance = |bytes| self.progress.advance(bytes);
        let facts = || self.facts(&pin, &PageArray::open(&new_pages)?, &Bitmap::new(0));
        let stored = if let Some(spool) = self.spool(&pin, image.size())? {
            let encoded = encode_base(&image, &header, spool, array, workers(), &advance)?;
            let facts = facts()?;
            drop(image);
            drop(pin);
            let sealed = self.seal_spool(encoded.out, lineage, name)?;
            Stored { sealed, pages: encoded.pages, checksum: encoded.checksum, facts }
        } else {
            let out = self.repository.begin_ltx(lineage, name)?;
            let encoded = encode_base(&image, &header, out, array, workers(), &advance)?;
            let facts = facts()?;
            let sealed = encoded.out.finish()?;
            Stored { sealed, pages: encoded.pages, checksum: encoded.checksum, facts }
        };
        self.progress.end();
        Ok(stored)
    }

    fn store_changes(
        &self,
        pin: Pin,
        lineage: &LineageAddress,
        name: LtxName,
        array: &PageArray,
        changes: &Changes,
        before: Option<Checksum>,
    ) -> Result<Stored> {
        let image = pin.image()?;
        let mut header = header(&image, lineage, name);
        header.checksum_before = before;
        header.checksum_after = Some(changes.checksum);
        let (pages, checksum) = (&changes.pages, changes.checksum);
        let bytes = u64::from(pages.len()) * u64::from(image.page_size().get());
        self.progress.begin(&format!("storing {}", self.target.name), Some(bytes));
        let advance = |bytes| self.progress.advance(bytes);
        let facts = self.facts(&pin, array, pages)?;
        let stored = if let Some(spool) = self.spool(&pin, bytes)? {
            let encoded = encode_changes(&image, &header, pages, checksum, spool, &advance)?;
            drop(image);
            drop(pin);
            let sealed = self.seal_spool(encoded.out, lineage, name)?;
            Stored { sealed, pages: encoded.pages, checksum, facts }
        } else {
            let out = self.repository.begin_ltx(lineage, name)?;
            let encoded = encode_changes(&image, &header, pages, checksum, out, &advance)?;
            Stored { sealed: encoded.out.finish()?, pages: encoded.pages, checksum, facts }
        };
        self.progress.end();
        Ok(stored)
    }

    /// Where writers wait for the pin, a file to copy the pages into at full speed.
    fn spool(&self, pin: &Pin, bytes: u64) -> Result<Option<File>> {
        if !pin.blocks_writers() {
            return Ok(None);
        }
        let scratch = self.files.scratch();
        if free_bytes(&scratch)? < bytes + bytes / 50 + (1 << 20) {
            self.progress.note(&Note::NoRoomToSpool { source: self.target.name.clone() });
            return Ok(None);
        }
        let path = scratch.join("spool.ltx");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        // It lives as long as its descriptor: nothing is left if this process is killed.
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(Some(file))
    }

    fn seal_spool(&self, mut spool: File, lineage: &LineageAddress, name: LtxName) -> Result<SealedLtx> {
        let path = self.files.scratch().join("spool.ltx");
        let failed = |operation| Error::file(operation, &path);
        spool.rewind().map_err(failed("rewind"))?;
        let mut out = self.repository.begin_ltx(lineage, name)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = spool.read(&mut buffer).map_err(failed("read"))?;
            if read == 0 {
                return Ok(out.finish()?);
            }
            out.write_all(&buffer[..read])
                .map_err(|error| lifeboat_storage::Error::from_stream("write", error))?;
        }
    }

    /// Writes down what was captured, then makes it visible.
    fn publish(
        &self,
        state: &mut DatabaseState,
        lineage: &LineageAddress,
        name: LtxName,
        stored: Stored,
        mut objects: Vec<ObjectRef>,
        whole: bool,
    ) -> Result<DatabaseSource> {
        let Stored { sealed, pages, checksum, facts } = stored;
        let former = objects.is_empty().then_some(()).map_or_else(
            || state.positions.get(&self.repository_id).and_then(|position| position.txid),
            |()| None,
        );
        let added = sealed.objects().to_vec();
        let stored_bytes = added.iter().map(|object| object.size).sum();
        objects.extend(added);
        let captured =
            Captured { txid: Some(name.max), time: name.time, checksum: Some(checksum) };
        self.files.record(state, Pending { captured, whole })?;
        sealed.publish()?;
        self.files.settle(state, Some((&self.repository_id, objects.clone())))?;
        self.source(lineage, name.max, name.time, checksum, facts, objects, pages, stored_bytes, former)
    }

    fn facts(&self, pin: &Pin, array: &PageArray, changed: &Bitmap) -> Result<Facts> {
        let image = pin.image()?;
        // A schema that SQLite cannot read does not keep the pages from being stored.
        let schema = pin.schema().ok();
        let mut tables = BTreeMap::new();
        for table in schema.iter().flat_map(|schema| &schema.tables) {
            tables.insert(table.name.clone(), count_rows(&image, array, changed, table.root)?);
        }
        Ok(Facts {
            page_size: image.page_size().get(),
            page_count: image.page_count(),
            journal_mode: pin.journal_mode().to_string(),
            schema_sha256: schema.map(|schema| schema.sha256),
            tables,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each is one member of the document")]
    fn source(
        &self,
        lineage: &LineageAddress,
        txid: Txid,
        time: Time,
        checksum: Checksum,
        facts: Facts,
        objects: Vec<ObjectRef>,
        changed_pages: u32,
        stored_bytes: u64,
        changed_from: Option<Txid>,
    ) -> Result<DatabaseSource> {
        let path = &self.target.path;
        let metadata = path.metadata().map_err(Error::file("look at", path))?;
        Ok(DatabaseSource {
            name: self.target.name.clone(),
            path: path.display().to_string(),
            lineage: lineage.id(),
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
            changed_pages,
            changed_from,
            stored_bytes,
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

fn next_txid(state: &DatabaseState, changes: &Changes) -> Result<Txid> {
    let next = match state.captured.txid {
        Some(last) if changes.none() => Some(last),
        Some(last) => last.next(),
        None => Some(Txid::FIRST),
    };
    next.ok_or_else(|| Error::State {
        path: state.path.clone(),
        detail: "the transaction numbers are used up".into(),
    })
}

/// A point's time is the clock's, but later than the point before it, whatever the clock does.
fn point_time(state: &DatabaseState, changes: &Changes) -> Time {
    if changes.none() {
        return state.captured.time;
    }
    Time::now().max(Time::from_millis(state.captured.time.millis() + 1))
}

fn header(image: &Image<'_>, lineage: &LineageAddress, name: LtxName) -> Header {
    let range = TxidRange::new(name.min, name.max).unwrap_or(TxidRange::single(name.max));
    let mut header = Header::new(image.page_size(), image.page_count(), range);
    header.timestamp_ms = name.time.millis();
    header.node = lineage.id().node();
    if name.level == LEVEL_CAPTURE {
        // Litestream takes up a replica only if its newest capture states an offset.
        header.wal = WalRange { offset: 32, size: 0, salts: [0, 0] };
    }
    header
}
