//! Small repositories: databases of random pages, captured without SQLite.

mod chronicle;
mod clock;
mod database;
pub(crate) mod forgetting;
pub(crate) mod promise;
pub(crate) mod rounds;
pub(crate) mod sound;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use lifeboat_ltx::{Merge, Txid};
use lifeboat_repository::{
    BackupId, BackupName, CheckOptions, CheckReport, DatabaseAddress, HostKey, LineageAddress,
    LineageId, LtxFile, MANIFEST_VERSION, Manifest, ObjectRef, Repository, Result, Secrets, Source,
    Time, check, open_ltx,
};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::testing::FaultKind;
use lifeboat_storage::{Key, MemoryStorage, Storage};

pub(crate) use chronicle::Chronicle;
pub(crate) use clock::{Clocked, clocked};
pub(crate) use database::Database;

pub(crate) const PAGE_BYTES: usize = 512;
/// Some four pages: with it, bases of tests have parts.
pub(crate) const PART_BYTES: u64 = 2048;
pub(crate) const START_MS: i64 = 1_795_229_340_123;
pub(crate) const SECOND_MS: i64 = 1000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// What happens to each operation in turn.
pub(crate) const KINDS: [FaultKind; 3] = [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear];

pub(crate) fn password() -> SecretString {
    SecretString::from("correct horse".to_owned())
}

pub(crate) fn other_password() -> SecretString {
    SecretString::from("battery staple".to_owned())
}

pub(crate) fn host_key() -> HostKey {
    HostKey::from_bytes(&[7; 32])
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn txid(number: u64) -> Txid {
    Txid::new(number).unwrap()
}

/// Replaces an object.
pub(crate) fn put(memory: &MemoryStorage, name: &str, bytes: &[u8]) {
    memory.remove(&key(name)).unwrap();
    memory.put(&key(name), bytes).unwrap();
}

pub(crate) fn edit(memory: &MemoryStorage, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(read(memory, &key(name))).unwrap();
    let edited = text.replace(from, to);
    assert_ne!(edited, text, "{from}");
    put(memory, name, edited.as_bytes());
}

/// A repository in memory, with its secrets.
pub(crate) struct World {
    pub(crate) memory: MemoryStorage,
    pub(crate) repository: Repository,
    pub(crate) secrets: Arc<Secrets>,
}

/// Made and unlocked once for all tests: a password is meant to take time.
static EMPTY: LazyLock<(MemoryStorage, Arc<Secrets>)> = LazyLock::new(|| {
    let memory = MemoryStorage::new();
    let repository = Repository::init(Arc::new(memory.clone()), &password(), "test").unwrap();
    let secrets = repository.unlock(&password()).unwrap();
    (memory, Arc::new(secrets))
});

impl World {
    pub(crate) fn new() -> Self {
        let memory = copy(&EMPTY.0);
        let repository = open(Arc::new(memory.clone()));
        Self { memory, repository, secrets: EMPTY.1.clone() }
    }

    /// The same repository over a storage of its own.
    pub(crate) fn copy(&self) -> (MemoryStorage, Repository) {
        let memory = copy(&self.memory);
        let repository = open(Arc::new(memory.clone()));
        (memory, repository)
    }

    pub(crate) fn check(&self) -> CheckReport {
        checked(&self.repository, &self.secrets)
    }
}

/// Opens with the parts of tests.
pub(crate) fn open(storage: Arc<dyn Storage>) -> Repository {
    Repository::open(storage).unwrap().with_part_bytes(PART_BYTES)
}

/// A storage of its own with the same objects, as old as they are.
pub(crate) fn copy(from: &dyn Storage) -> MemoryStorage {
    let to = MemoryStorage::new();
    for entry in from.list(None).unwrap() {
        let mut upload = to.begin().unwrap();
        upload.set_modified(entry.modified);
        std::io::Write::write_all(&mut upload, &read(from, &entry.key)).unwrap();
        upload.publish(&entry.key).unwrap();
    }
    to
}

pub(crate) fn read(storage: &dyn Storage, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut storage.read(key, None).unwrap(), &mut bytes).unwrap();
    bytes
}

pub(crate) fn keys(storage: &dyn Storage) -> Vec<Key> {
    storage.list(None).unwrap().into_iter().map(|entry| entry.key).collect()
}

/// Checks with every object read.
pub(crate) fn checked(repository: &Repository, secrets: &Secrets) -> CheckReport {
    check(repository, secrets, CheckOptions::all(), &mut |_| {}).unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(crate) fn new_lineage(host: &str, name: &str) -> LineageAddress {
    DatabaseAddress::new(host, name).unwrap().lineage(LineageId::random()).unwrap()
}

/// Backs databases up as `lifeboat backup` does: origins of new lineages, captures, pins, manifest.
pub(crate) fn backup(repository: &Repository, databases: &mut [&mut Database]) -> Result<Manifest> {
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

pub(crate) fn manifest_of(id: BackupId, clock_ms: i64, sources: Vec<Source>) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        id,
        revision: 1,
        host: "pi".to_owned(),
        hostname: "pi.local".to_owned(),
        label: None,
        backup_type: None,
        tags: vec!["daily".to_owned()],
        started: Time::from_millis(clock_ms),
        finished: Time::from_millis(clock_ms + 5),
        tool: "lifeboat 0.1.0".to_owned(),
        problems: Vec::new(),
        forgotten: Vec::new(),
        sources,
    }
}

/// A database at a transaction, decoded and verified to the end.
pub(crate) fn restore(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &LineageAddress,
    to: Txid,
) -> Result<Vec<u8>> {
    let listing = repository.listing(lineage)?;
    let plan = listing.plan(lineage, to)?;
    apply(repository, secrets, lineage, &plan, &HashMap::new())
}

pub(crate) fn apply(
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
pub(crate) fn assert_restores(
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
