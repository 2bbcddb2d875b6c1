//! Replicas that Litestream wrote by itself, in every layout and every version of its files.

use std::sync::Arc;

use lifeboat_ltx::{Decoder, Encoder, PageCoding};
use lifeboat_repository::{Error, LineageAddress, Repository, Secrets, Time, points};
use lifeboat_storage::{Child, MemoryStorage, Storage};

use crate::common::{Database, backup, checked, key, keys, password, read, restore, txid};

/// Level, name, bytes and time of an LTX file.
type Stored = (u8, String, Vec<u8>, Time);

/// A database with three transactions, and its files as Litestream writes them: it names no node and
/// states no checksums of the database.
fn history(coding: PageCoding) -> (Database, Vec<Stored>) {
    let memory = MemoryStorage::new();
    let repository = Repository::init_litestream(Arc::new(memory.clone())).unwrap();
    let mut database = Database::new("pi", "app", 9);
    for round in 1..=3 {
        database.change(round, 100 + round as u64);
        database.change(9 + round, 200 + round as u64);
        backup(&repository, &mut [&mut database]).unwrap();
    }
    let listing = repository.listing(&database.lineage).unwrap();
    let files = listing.files.iter().map(|file| {
        let bytes = read(&memory, &file.objects[0].key);
        let name = file.objects[0].key.file_name().to_owned();
        (file.name.level, name, rewrite(&bytes, coding), file.name.time)
    });
    (database, files.collect())
}

fn rewrite(bytes: &[u8], coding: PageCoding) -> Vec<u8> {
    let mut decoder = Decoder::new(bytes).unwrap();
    let mut header = decoder.header().clone();
    (header.node, header.checksum_before, header.checksum_after) = (0, None, None);
    let mut encoder = Encoder::with_coding(Vec::new(), &header, coding).unwrap();
    let mut page = Vec::new();
    while let Some((number, _)) = decoder.next_page(&mut page).unwrap() {
        encoder.write_page(number, &page).unwrap();
    }
    decoder.finish().unwrap();
    encoder.finish().unwrap().0
}

/// Where a level's files are: `{}` stands for the level.
fn place(memory: &MemoryStorage, layout: &str, files: &[Stored]) {
    for (level, name, bytes, time) in files {
        let level =
            if layout.contains("ltx/") { format!("{level}") } else { format!("{level:04x}") };
        let mut upload = memory.begin().unwrap();
        upload.set_modified(time.system());
        upload.write_all(bytes).unwrap();
        upload.publish(&key(&format!("{}/{name}", layout.replace("{}", &level)))).unwrap();
    }
}

fn open(memory: &MemoryStorage) -> Repository {
    Repository::open(Arc::new(memory.clone())).unwrap()
}

/// Every database that there is, with its one lineage.
fn lineages(repository: &Repository) -> Vec<LineageAddress> {
    let databases = repository.databases().unwrap().into_iter();
    let lineages = databases.map(|database| {
        let [lineage] = repository.lineages(&database).unwrap().try_into().unwrap();
        lineage
    });
    lineages.collect()
}

#[test]
fn every_point_is_read_in_every_layout_and_encoding() {
    for coding in [PageCoding::LegacyFrame, PageCoding::Lz4, PageCoding::Literal] {
        let (database, files) = history(coding);
        for layout in ["ltx/{}", "{}", "app.db/ltx/{}", "app.db/{}"] {
            let memory = MemoryStorage::new();
            place(&memory, layout, &files);
            let repository = open(&memory);
            assert!(repository.is_replica());
            let [lineage] = lineages(&repository).try_into().unwrap();
            if layout.starts_with("app") {
                assert_eq!(lineage.database().name(), "app.db");
            }
            let listing = repository.listing(&lineage).unwrap();
            let found = points(&listing.files);
            let times: Vec<_> = files.iter().map(|(.., time)| *time).collect();
            assert!(found.len() == 3 && found.iter().all(|point| times.contains(&point.time)));
            for (number, bytes) in &database.captures {
                let restored = restore(&repository, &Secrets::none(), &lineage, txid(*number));
                assert!(restored.unwrap() == *bytes, "{layout} {number}");
            }
            let report = checked(&repository, &Secrets::none());
            assert!(report.is_clean() && report.files == 3, "{report:?}");
        }
    }
}

/// Several side by side, each a database; what is beside them is none.
#[test]
fn a_directory_of_replicas_is_a_database_each() {
    let (_, files) = history(PageCoding::Lz4);
    let memory = MemoryStorage::new();
    for layout in ["app.db/ltx/{}", "web/{}", ".app.db-litestream/ltx/{}"] {
        place(&memory, layout, &files);
    }
    for other in ["notes.txt", "other/ltx/0/notes.txt", "other/ltx/10/x", "empty/0000/x.ltx"] {
        memory.put(&key(other), b"text").unwrap();
    }
    let repository = open(&memory);
    let found: Vec<_> =
        lineages(&repository).iter().map(|one| one.database().name().to_owned()).collect();
    assert_eq!(found, ["app.db", "web"]);
    let storage = repository.storage();
    let entries = storage.list(None).unwrap();
    assert_eq!(entries.len(), 6);
    assert!(entries.is_sorted_by_key(|entry| entry.key.clone()));
    for entry in &entries {
        assert_eq!(storage.stat(&entry.key).unwrap().as_ref(), Some(entry));
        assert_eq!(read(storage, &entry.key).len() as u64, entry.size);
    }
    let level = entries[0].key.parent().unwrap();
    let names = storage.list_names(Some(&level)).unwrap();
    assert!(matches!(names[0], Child::Object(_)), "{names:?}");
    assert!(storage.list(Some(&key("backups"))).unwrap().is_empty());
}

/// A file that Litestream appended to a lineage of ours, and one of ours without its repository.
#[test]
fn a_lineage_of_ours_is_read_without_its_repository() {
    let (database, mut files) = history(PageCoding::Lz4);
    let memory = MemoryStorage::new();
    files[0].2 = {
        let mut decoder = Decoder::new(files[0].2.as_slice()).unwrap();
        let mut header = decoder.header().clone();
        header.node = database.lineage.id().node();
        let mut encoder = Encoder::new(Vec::new(), &header).unwrap();
        let mut page = Vec::new();
        while let Some((number, _)) = decoder.next_page(&mut page).unwrap() {
            encoder.write_page(number, &page).unwrap();
        }
        encoder.finish().unwrap().0
    };
    let id = database.lineage.id();
    place(&memory, &format!("{id}/ltx/{{}}"), &files);
    let repository = open(&memory);
    let [lineage] = lineages(&repository).try_into().unwrap();
    assert_eq!(lineage.id(), id);
    let restored = restore(&repository, &Secrets::none(), &lineage, txid(3)).unwrap();
    assert!(restored == database.captures[&3]);
}

#[test]
fn nothing_is_written_to_a_replica() {
    let (_, files) = history(PageCoding::Lz4);
    let memory = MemoryStorage::new();
    place(&memory, "ltx/{}", &files);
    let before = keys(&memory);
    let repository = open(&memory);
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::LitestreamReplica { .. })), "{result:?}");
    };
    refused(repository.require_writable());
    let [lineage] = lineages(&repository).try_into().unwrap();
    let id = "0123456789abcdef".parse().unwrap();
    refused(repository.write_pin(&lineage, txid(1), id));
    let storage = repository.storage();
    assert!(storage.put(&key("lifeboat.json"), b"x").is_err());
    assert!(storage.remove(&storage.list(None).unwrap()[0].key).is_err());
    // Nor is a repository made between its files.
    let memory_again = Arc::new(memory.clone());
    refused(Repository::init_litestream(memory_again.clone()).map(drop));
    refused(Repository::init(memory_again, &password(), "test").map(drop));
    assert_eq!(keys(&memory), before);
}

/// A marker makes a repository, whatever else is there; a damaged one is not taken for a replica.
#[test]
fn a_repository_is_no_replica() {
    let (_, files) = history(PageCoding::Lz4);
    let memory = MemoryStorage::new();
    Repository::init_litestream(Arc::new(memory.clone())).unwrap();
    place(&memory, "ltx/{}", &files);
    assert!(!open(&memory).is_replica());
    memory.remove(&key("lifeboat.json")).unwrap();
    assert!(open(&memory).is_replica());
    memory.put(&key("backups/pi/x"), b"x").unwrap();
    let opened = Repository::open(Arc::new(memory));
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
}
