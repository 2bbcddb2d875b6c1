//! Small repositories: databases of random pages, captured without SQLite.
#![allow(dead_code, unreachable_pub, reason = "every test uses another part of it")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Encoder, Header, Merge, PageSize, Txid, TxidRange, WalRange,
    page_checksum,
};
use lifeboat_repository::{
    BackupId, BackupName, CheckOptions, CheckReport, DatabaseAddress, DatabaseSource, HostKey,
    LineageAddress, LineageId, LtxFile, LtxName, LtxWriter, MANIFEST_VERSION, Manifest,
    ORIGIN_VERSION, ObjectRef, Origin, Repository, Result, Secrets, Source, Time, check, open_ltx,
};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{Key, MemoryStorage, Storage};

pub const PAGE_BYTES: usize = 512;
/// Some four pages: with it, bases of tests have parts.
pub const PART_BYTES: u64 = 2048;
pub const START_MS: i64 = 1_795_229_340_123;

pub fn password() -> SecretString {
    SecretString::from("correct horse".to_owned())
}

pub fn host_key() -> HostKey {
    HostKey::from_bytes(&[7; 32])
}

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub fn txid(number: u64) -> Txid {
    Txid::new(number).unwrap()
}

/// A repository in memory, with its secrets.
pub struct World {
    pub memory: MemoryStorage,
    pub repository: Repository,
    pub secrets: Secrets,
}

impl World {
    pub fn new() -> Self {
        let memory = MemoryStorage::new();
        let repository = Repository::init(Arc::new(memory.clone()), &password(), "test").unwrap();
        let secrets = repository.unlock(&password()).unwrap();
        Self { memory, repository: repository.with_part_bytes(PART_BYTES), secrets }
    }

    /// The same repository over a storage of its own.
    pub fn copy(&self) -> (MemoryStorage, Repository) {
        let memory = copy(&self.memory);
        let repository = open(Arc::new(memory.clone()));
        (memory, repository)
    }

    pub fn check(&self) -> CheckReport {
        checked(&self.repository, &self.secrets)
    }
}

/// Opens with the parts of tests.
pub fn open(storage: Arc<dyn Storage>) -> Repository {
    Repository::open(storage).unwrap().with_part_bytes(PART_BYTES)
}

/// A storage of its own with the same objects.
pub fn copy(from: &dyn Storage) -> MemoryStorage {
    let to = MemoryStorage::new();
    for entry in from.list(None).unwrap() {
        to.put(&entry.key, &read(from, &entry.key)).unwrap();
    }
    to
}

pub fn read(storage: &dyn Storage, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut storage.read(key, None).unwrap(), &mut bytes).unwrap();
    bytes
}

pub fn keys(storage: &dyn Storage) -> Vec<Key> {
    storage.list(None).unwrap().into_iter().map(|entry| entry.key).collect()
}

/// Checks with every object read.
pub fn checked(repository: &Repository, secrets: &Secrets) -> CheckReport {
    check(repository, secrets, CheckOptions { read_data: true }, &mut |_| {}).unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

/// A database, and what a host remembers of its captures.
#[derive(Clone)]
pub struct Database {
    pub host: String,
    pub name: String,
    pub lineage: LineageAddress,
    pub pages: Vec<Vec<u8>>,
    /// The last capture, 0 before the first.
    pub last: u64,
    pub clock_ms: i64,
    /// What the database was at each capture.
    pub captures: BTreeMap<u64, Vec<u8>>,
    captured: Vec<Vec<u8>>,
    known: HashMap<String, ObjectRef>,
    /// Remembered before the last object of a file gets its name.
    pending: Option<(LtxName, Vec<ObjectRef>)>,
}

impl Database {
    pub fn new(host: &str, name: &str, pages: u64) -> Self {
        Self {
            host: host.to_owned(),
            name: name.to_owned(),
            lineage: new_lineage(host, name),
            pages: (1..=pages).map(|page| noise(page, PAGE_BYTES)).collect(),
            last: 0,
            clock_ms: START_MS,
            captures: BTreeMap::new(),
            captured: Vec::new(),
            known: HashMap::new(),
            pending: None,
        }
    }

    /// Gives a page other bytes; the one after the last grows the database.
    pub fn change(&mut self, page: usize, seed: u64) {
        if page > self.pages.len() {
            self.pages.push(Vec::new());
        }
        self.pages[page - 1] = noise(seed, PAGE_BYTES);
    }

    pub fn checksum(&self) -> Checksum {
        database_checksum(&self.pages)
    }

    pub fn begin_lineage(&self, repository: &Repository) -> Result<()> {
        let origin = Origin {
            version: ORIGIN_VERSION,
            host: self.host.clone(),
            name: self.name.clone(),
            path: "/var/lib/app.db".to_owned(),
            page_size: 512,
            parent: None,
            reason: "first backup".to_owned(),
            created: Time::from_millis(self.clock_ms),
            node: "test".to_owned(),
        };
        repository.write_origin(&self.lineage, &origin)
    }

    /// Captures what the database is now: the first time as a base, later as a delta.
    pub fn capture(&mut self, repository: &Repository) -> Result<()> {
        if let Some((name, objects)) = self.pending.take()
            && repository.listing(&self.lineage)?.files.iter().any(|file| file.name == name)
        {
            // A former try succeeded, though it was not told so.
            self.captured_as(name, objects);
            return Ok(());
        }
        if self.last == 0 {
            return self.write_base(repository, 1);
        }
        self.clock_ms += 60_000;
        let name = self.name_of(0, self.last + 1, self.last + 1);
        let changed: Vec<u32> = (1_u32..)
            .zip(&self.pages)
            .filter(|(number, page)| self.captured.get(*number as usize - 1) != Some(page))
            .map(|(number, _)| number)
            .collect();
        let mut header = self.header(&name);
        header.checksum_before = Some(database_checksum(&self.captured));
        header.checksum_after = Some(self.checksum());
        header.wal = WalRange { offset: 32, size: 0, salts: [0, 0] };
        self.write(repository, name, &header, &changed)
    }

    /// Writes a base of what the database is now, which must be the state at this TXID.
    pub fn write_base(&mut self, repository: &Repository, at: u64) -> Result<()> {
        self.clock_ms += 60_000;
        let mut name = self.name_of(9, 1, at);
        if let Some(point) =
            repository.listing(&self.lineage)?.files.iter().find(|file| file.name.max == name.max)
        {
            name.time = point.name.time;
        }
        let all: Vec<u32> = (1_u32..).zip(&self.pages).map(|(number, _)| number).collect();
        self.write(repository, name, &self.header(&name), &all)
    }

    fn name_of(&self, level: u8, min: u64, max: u64) -> LtxName {
        let time = Time::from_millis(self.clock_ms);
        LtxName { level, min: txid(min), max: txid(max), time }
    }

    fn header(&self, name: &LtxName) -> Header {
        let commit = u32::try_from(self.pages.len()).unwrap();
        let range = TxidRange::new(name.min, name.max).unwrap();
        let mut header = Header::new(PageSize::new(512).unwrap(), commit, range);
        header.timestamp_ms = name.time.millis();
        header.node = self.lineage.id().node();
        header
    }

    fn write(
        &mut self,
        repository: &Repository,
        name: LtxName,
        header: &Header,
        pages: &[u32],
    ) -> Result<()> {
        let writer = repository.begin_ltx(&self.lineage, name)?;
        let sealed = encode(writer, header, pages, &self.pages)?.finish()?;
        self.pending = Some((name, sealed.objects().to_vec()));
        let objects = sealed.publish()?;
        self.pending = None;
        self.captured_as(name, objects);
        Ok(())
    }

    fn captured_as(&mut self, name: LtxName, objects: Vec<ObjectRef>) {
        self.last = name.max.get();
        self.clock_ms = self.clock_ms.max(name.time.millis());
        self.captured = self.pages.clone();
        self.captures.insert(self.last, self.pages.concat());
        self.known.extend(objects.into_iter().map(|object| (object.key.clone(), object)));
    }

    /// What a manifest says of the last capture.
    pub fn source(&self, repository: &Repository) -> Result<Source> {
        let listing = repository.listing(&self.lineage)?;
        let plan = listing.plan(&self.lineage, txid(self.last))?;
        let objects = plan.iter().flat_map(|file| &file.objects);
        Ok(Source::Database(Box::new(DatabaseSource {
            name: self.name.clone(),
            path: "/var/lib/app.db".to_owned(),
            lineage: self.lineage.id(),
            txid: txid(self.last),
            time: plan[plan.len() - 1].name.time,
            page_size: 512,
            page_count: u32::try_from(self.pages.len()).unwrap(),
            size_bytes: (self.pages.len() * PAGE_BYTES) as u64,
            checksum: self.checksum(),
            journal_mode: "wal".to_owned(),
            schema_sha256: None,
            tables: BTreeMap::from([("a".to_owned(), Some(3)), ("b".to_owned(), None)]),
            mode: "0644".to_owned(),
            uid: 1000,
            gid: 1000,
            changed_pages: 1,
            changed_from: Txid::new(self.last - 1),
            stored_bytes: 1,
            duration_ms: 5,
            objects: objects.map(|object| self.known[object.key.as_str()].clone()).collect(),
        })))
    }
}

pub fn new_lineage(host: &str, name: &str) -> LineageAddress {
    DatabaseAddress::new(host, name).unwrap().lineage(LineageId::random()).unwrap()
}

/// Writes the given pages of a database to an LTX file.
fn encode(
    writer: LtxWriter,
    header: &Header,
    numbers: &[u32],
    pages: &[Vec<u8>],
) -> Result<LtxWriter> {
    let failed = LtxWriter::explain;
    let mut encoder = Encoder::new(writer, header).map_err(failed)?;
    for number in numbers {
        encoder.write_page(*number, &pages[*number as usize - 1]).map_err(failed)?;
    }
    Ok(encoder.finish().map_err(failed)?.0)
}

fn database_checksum(pages: &[Vec<u8>]) -> Checksum {
    let mut checksum = DatabaseChecksum::new();
    for (number, page) in (1..).zip(pages) {
        checksum.toggle(page_checksum(number, page));
    }
    checksum.value()
}

/// Backs databases up as `lifeboat backup` does: origins of new lineages, captures, pins, manifest.
pub fn backup(repository: &Repository, databases: &mut [&mut Database]) -> Result<Manifest> {
    let id = BackupId::random();
    let mut sources = Vec::new();
    for database in &mut *databases {
        if database.last == 0 {
            database.begin_lineage(repository)?;
        }
        if database.captured != database.pages {
            database.capture(repository)?;
        }
        sources.push(database.source(repository)?);
    }
    for database in &*databases {
        repository.write_pin(&database.lineage, txid(database.last), id)?;
    }
    let clock_ms = databases.iter().map(|database| database.clock_ms).max().unwrap_or(START_MS);
    let mut manifest = manifest_of(id, clock_ms, sources);
    if let Some(database) = databases.first() {
        manifest.host.clone_from(&database.host);
    }
    repository.write_manifest(&manifest, &host_key())?;
    Ok(manifest)
}

pub fn manifest_of(id: BackupId, clock_ms: i64, sources: Vec<Source>) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        id,
        revision: 1,
        host: "pi".to_owned(),
        hostname: "pi.local".to_owned(),
        label: None,
        tags: vec!["daily".to_owned()],
        started: Time::from_millis(clock_ms),
        finished: Time::from_millis(clock_ms + 5),
        tool: "lifeboat 0.1.0".to_owned(),
        problems: Vec::new(),
        sources,
    }
}

/// A database at a transaction, decoded and verified to the end.
pub fn restore(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &LineageAddress,
    to: Txid,
) -> Result<Vec<u8>> {
    let listing = repository.listing(lineage)?;
    let plan = listing.plan(lineage, to)?;
    apply(repository, secrets, lineage, &plan, &HashMap::new())
}

pub fn apply(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &LineageAddress,
    plan: &[&LtxFile],
    expected: &HashMap<String, ObjectRef>,
) -> Result<Vec<u8>> {
    let mut readers = Vec::new();
    let mut decoders = Vec::new();
    for file in plan {
        let node = lineage.id().node();
        let (decoder, reader) = open_ltx(repository.storage(), file, node, expected, secrets)?;
        decoders.push(decoder);
        readers.push(reader);
    }
    let explain = |error| match error {
        lifeboat_ltx::Error::Input { number, source } => readers[number - 1].explain(*source),
        error => readers[0].explain(error),
    };
    let mut merge = Merge::new(decoders).map_err(explain)?;
    let mut bytes = vec![0; merge.header().commit as usize * PAGE_BYTES];
    let mut page = Vec::new();
    while let Some((number, _)) = merge.next_page(&mut page).map_err(explain)? {
        let at = (number as usize - 1) * PAGE_BYTES;
        bytes[at..at + PAGE_BYTES].copy_from_slice(&page);
    }
    merge.finish().map_err(explain)?;
    Ok(bytes)
}

/// Restores all of a backup and compares it with what the databases were.
pub fn assert_restores(
    repository: &Repository,
    secrets: &Secrets,
    name: &BackupName,
    databases: &[&Database],
) {
    let manifest = repository.manifest(name, secrets).unwrap().manifest;
    for source in manifest.sources.iter().filter_map(Source::database) {
        let database =
            databases.iter().find(|database| database.lineage.id() == source.lineage).unwrap();
        let bytes = restore(repository, secrets, &database.lineage, source.txid).unwrap();
        assert!(bytes == database.captures[&source.txid.get()], "{}", source.name);
    }
}

/// Whether tools that we did not write are here. Where LIFEBOAT_REQUIRE_ORACLES is set, they must be.
pub fn have(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        let mut command = std::process::Command::new(tool);
        let run = command.arg("--version").stdout(std::process::Stdio::null()).status();
        !run.is_ok_and(|status| status.success())
    });
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
    false
}
