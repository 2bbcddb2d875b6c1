//! Form `litestream`: the same repository, in the open and under Litestream's names.

use std::sync::Arc;

use lifeboat_ltx::{Decoder, Encoder, PageCoding};
use lifeboat_repository::{
    BackupName, DatabaseUsage, Error, Form, LtxFile, Repository, Secrets, Time, points, usage,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common;
use crate::common::{
    Database, assert_restores, backup, checked, host_key, key, keys, noise, password, read,
    restore, txid,
};

/// A repository with three backups of a database that grew.
struct World {
    memory: MemoryStorage,
    repository: Repository,
    database: Database,
    names: Vec<BackupName>,
}

impl World {
    fn new() -> Self {
        let memory = MemoryStorage::new();
        let repository = Repository::init_litestream(Arc::new(memory.clone())).unwrap();
        let mut database = Database::new("pi", "app", 9);
        let mut names = Vec::new();
        for round in 1..=3 {
            database.change(round, 100 + round as u64);
            database.change(9 + round, 200 + round as u64);
            let manifest = backup(&repository, &mut [&mut database]).unwrap();
            names.push(manifest.name(Form::Litestream).unwrap());
        }
        Self { memory, repository, database, names }
    }

    fn files(&self) -> Vec<LtxFile> {
        self.repository.listing(&self.database.lineage).unwrap().files
    }

    /// Writes each LTX file anew: pages coded in another way, the header as `change` leaves it.
    fn rewrite(&self, coding: PageCoding, change: impl Fn(&mut lifeboat_ltx::Header)) {
        for file in self.files() {
            let rewrite = |bytes: &mut Vec<u8>| {
                let mut decoder = Decoder::new(bytes.as_slice()).unwrap();
                let mut header = decoder.header().clone();
                change(&mut header);
                let mut encoder = Encoder::with_coding(Vec::new(), &header, coding).unwrap();
                let mut page = Vec::new();
                while let Some((number, _)) = decoder.next_page(&mut page).unwrap() {
                    encoder.write_page(number, &page).unwrap();
                }
                decoder.finish().unwrap();
                *bytes = encoder.finish().unwrap().0;
            };
            assert!(self.memory.damage(&file.objects[0].key, rewrite));
        }
    }

    /// Every point restores; no manifest is asked.
    fn assert_points_restore(&self) {
        for (number, bytes) in &self.database.captures {
            let lineage = &self.database.lineage;
            let found = restore(&self.repository, &Secrets::none(), lineage, txid(*number));
            assert!(found.unwrap() == *bytes, "{number}");
        }
    }
}

#[test]
fn backups_are_made_listed_restored_and_checked_without_any_secret() {
    let world = World::new();
    let secrets = Secrets::none();
    let mut names = world.repository.backups().unwrap();
    names.reverse();
    assert_eq!(names, world.names);
    for name in &names {
        assert_restores(&world.repository, &secrets, name, &[&world.database]);
        assert_eq!(world.repository.manifest(name, &secrets).unwrap().key, host_key().public());
    }
    let origin = world.repository.origin(&world.database.lineage, &secrets).unwrap();
    assert_eq!(origin.name, "app");
    let report = checked(&world.repository, &secrets);
    assert!(report.is_clean() && report.unfinished.is_empty(), "{report:?}");
    assert_eq!((report.restorable.len(), report.files), (3, 3));
    let usage = usage(&world.repository).unwrap();
    let DatabaseUsage { base_bytes, history_bytes, ltx_objects, .. } =
        usage.databases[&("pi".to_owned(), "app".to_owned())];
    assert!(base_bytes > history_bytes && history_bytes > 0 && ltx_objects == 3);
}

/// Also for people: what there is, and what there is not.
#[test]
fn objects_have_the_names_and_times_that_litestream_looks_for() {
    let world = World::new();
    let lineage = world.database.lineage.key();
    let mut expected = vec!["lifeboat.json".to_owned(), format!("{lineage}/origin.json.zst")];
    for name in &world.names {
        expected.push(name.key().unwrap().to_string());
        assert!(name.key().unwrap().as_str().ends_with(".1.json.zst"), "{name:?}");
    }
    expected.push(format!("{lineage}/ltx/9/0000000000000001-0000000000000001.ltx"));
    for number in [2, 3] {
        expected.push(format!("{lineage}/ltx/0/{number:016x}-{number:016x}.ltx"));
    }
    let found = keys(&world.memory).into_iter().map(|key| key.to_string());
    let mut found: Vec<_> = found.filter(|key| !key.contains("/pins/")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    for file in world.files() {
        let bytes = read(&world.memory, &file.objects[0].key);
        let header = Decoder::new(bytes.as_slice()).unwrap().header().clone();
        assert_eq!(file.name.time.millis(), header.timestamp_ms);
        assert_eq!(Time::from_system(file.objects[0].modified), file.name.time);
        assert_eq!(bytes[4..8], [0, 0, 0, 2], "the fields for checksums stay empty");
        assert_eq!(header.wal.offset, if file.name.level == 0 { 32 } else { 0 });
    }
    let listed: Vec<_> = points(&world.files()).iter().map(|point| point.txid.get()).collect();
    assert_eq!(listed, [1, 2, 3]);
}

#[test]
fn pages_are_compressed() {
    let memory = MemoryStorage::new();
    let repository = Repository::init_litestream(Arc::new(memory)).unwrap();
    let mut database = Database::new("pi", "app", 0);
    database.pages = (0..40).map(|page| noise(page, 16).repeat(32)).collect();
    backup(&repository, &mut [&mut database]).unwrap();
    let file = repository.listing(&database.lineage).unwrap().files.remove(0);
    assert!(file.size() * 5 < database.captures[&1].len() as u64, "{} bytes", file.size());
}

/// Litestream 0.5.0 to 0.5.16 wrote LZ4 frames; it writes no node id and no checksums of ours.
#[test]
fn files_as_litestream_wrote_them_are_read() {
    for coding in [PageCoding::LegacyFrame, PageCoding::Lz4, PageCoding::Literal] {
        let world = World::new();
        world.rewrite(coding, |header| {
            (header.node, header.checksum_before, header.checksum_after) = (0, None, None);
        });
        world.assert_points_restore();
    }
    let world = World::new();
    world.rewrite(PageCoding::Lz4, |header| header.node += 1);
    let error = restore(&world.repository, &Secrets::none(), &world.database.lineage, txid(3));
    assert!(matches!(error, Err(Error::Corrupt { .. })), "{error:?}");
}

/// A copy without times restores by transaction. That its points moved in time is told.
#[test]
fn lost_times_are_told() {
    let world = World::new();
    let file = world.files().remove(1);
    let bytes = read(&world.memory, &file.objects[0].key);
    world.memory.remove(&file.objects[0].key).unwrap();
    world.memory.put(&file.objects[0].key, &bytes).unwrap();
    world.assert_points_restore();
    let report = checked(&world.repository, &Secrets::none());
    assert_eq!(report.restorable.len(), 3);
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.key, file.objects[0].key.as_str());
    assert!(finding.error.to_string().contains("its header says"), "{finding:?}");
}

/// The pages of an LTX file, if it is sound.
fn pages_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes).ok()?;
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    while decoder.next_page(&mut page).ok()?.is_some() {
        pages.extend_from_slice(&page);
    }
    decoder.finish().ok()?;
    Some(pages)
}

/// Nothing is authenticated by age here. With a manifest its SHA-256 tells every change; without one
/// the file's own checksum tells every change of a page.
#[test]
fn no_byte_of_a_file_is_changed_unnoticed() {
    for named in [true, false] {
        let world = World::new();
        for key in keys(&world.memory) {
            if !named && (key.as_str().contains("/pins/") || key.as_str().starts_with("backups/")) {
                world.memory.remove(&key).unwrap();
            }
        }
        for file in world.files() {
            let object = &file.objects[0].key;
            let whole = read(&world.memory, object);
            for at in 0..whole.len() {
                world.memory.damage(object, |bytes| bytes[at] ^= 1 << (at % 8));
                let report = checked(&world.repository, &Secrets::none());
                let told = report.findings.iter().any(|finding| finding.key == object.as_str());
                let same = || pages_of(&read(&world.memory, object)) == pages_of(&whole);
                assert!(told || (!named && same()), "byte {at} of {object}: {report:?}");
                world.memory.damage(object, |bytes| bytes[at] ^= 1 << (at % 8));
            }
        }
        assert!(checked(&world.repository, &Secrets::none()).is_clean());
    }
}

#[test]
fn documents_do_not_change_unnoticed() {
    let world = World::new();
    let origin = format!("{}/origin.json.zst", world.database.lineage.key());
    let manifest = world.names[0].key().unwrap();
    for object in [key(&origin), manifest] {
        let whole = read(&world.memory, &object);
        for at in 0..whole.len() {
            world.memory.damage(&object, |bytes| bytes[at] ^= 1 << (at % 8));
            let report = checked(&world.repository, &Secrets::none());
            let told = report.findings.iter().any(|finding| finding.key == object.as_str());
            let content =
                lifeboat_storage::decompress_bytes(&read(&world.memory, &object), 1 << 20);
            let same = content.is_ok_and(|content| {
                content == lifeboat_storage::decompress_bytes(&whole, 1 << 20).unwrap()
            });
            assert!(told || same, "byte {at} of {object}");
            world.memory.damage(&object, |bytes| bytes[at] ^= 1 << (at % 8));
        }
    }
}

/// Whoever puts an open document into a sealed repository has put nothing there, and the reverse.
#[test]
fn objects_of_the_other_form_do_not_count() {
    let world = World::new();
    let sealed = common::World::new();
    let mut database = Database::new("pi", "app", 9);
    backup(&sealed.repository, &mut [&mut database]).unwrap();
    for (from, to) in [(&world.memory, &sealed.memory), (&sealed.memory, &world.memory)] {
        for entry in from.list(None).unwrap() {
            let plain = ["backups/", "databases/"];
            if plain.iter().any(|prefix| entry.key.as_str().starts_with(prefix)) {
                let _ = to.put(&entry.key, &read(from, &entry.key));
            }
        }
    }
    assert_eq!(world.repository.backups().unwrap().len(), 3);
    assert_eq!(sealed.repository.backups().unwrap().len(), 1);
    let listing = world.repository.listing(&database.lineage).unwrap();
    assert!(listing.files.is_empty() && !listing.has_origin, "{listing:?}");
    let listing = sealed.repository.listing(&world.database.lineage).unwrap();
    assert!(listing.files.is_empty() && !listing.has_origin, "{listing:?}");
}

#[test]
fn a_repository_is_made_once_where_nothing_is() {
    let memory = MemoryStorage::new();
    let made = Repository::init_litestream(Arc::new(memory.clone())).unwrap();
    assert_eq!(made.form(), Form::Litestream);
    assert_eq!(keys(&memory), [key("lifeboat.json")]);
    for result in [
        Repository::init_litestream(Arc::new(memory.clone())),
        Repository::init(Arc::new(memory.clone()), &password(), ""),
    ] {
        assert!(matches!(result, Err(Error::AlreadyInitialized { .. })), "{result:?}");
    }
    let restic = MemoryStorage::new();
    restic.put(&key("config"), b"x").unwrap();
    let result = Repository::init_litestream(Arc::new(restic));
    assert!(matches!(result, Err(Error::PlainRestic { .. })), "{result:?}");
}

/// Whatever operation fails, the next try makes it.
#[test]
fn an_init_that_failed_is_done_again() {
    for at in 0..20 {
        let faulty = Faulty::new(MemoryStorage::new(), None);
        faulty.reset(Some(Fault { at, kind: FaultKind::Once }));
        let first = Repository::init_litestream(Arc::new(faulty.clone()));
        let operations = faulty.operations().len();
        faulty.reset(None);
        match first {
            Ok(_) => return assert!(operations <= at && at > 5, "{at}"),
            Err(_) => {
                Repository::init_litestream(Arc::new(faulty.clone()))
                    .or_else(|_| Repository::open(Arc::new(faulty)))
                    .unwrap();
            }
        }
    }
    panic!("more than 20 operations");
}
