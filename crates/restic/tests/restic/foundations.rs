//! Keys, configuration and the index.

use std::sync::Arc;

use lifeboat_restic::{
    BlobHandle, BlobKind, Config, Error, Index, IndexId, KeyId, MasterKey, ObjectId, PackId,
    ResticRepository, exists, list, list_key_files, remove_key_file, unlock, write_key_file,
};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::{PASSWORD, Place, display, have_restic, password};

fn id_of(name: &str) -> KeyId {
    name.parse().unwrap()
}

#[test]
fn opens_what_restic_made() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    place.restic(&["init"]);
    std::fs::write(place.path("file"), "some text in a file").unwrap();
    place.restic(&["backup", "file"]);

    let storage = place.storage();
    let (_, key) = unlock(&*storage, &password()).unwrap();
    let shown = place.restic(&["cat", "masterkey"]);
    let shown = MasterKey::from_json(shown.as_bytes()).unwrap();
    assert_eq!(*key.to_json().unwrap(), *shown.to_json().unwrap());

    let repository = ResticRepository::open(storage, key).unwrap();
    let config: Config = serde_json::from_str(&place.restic(&["cat", "config"])).unwrap();
    assert_eq!(repository.config(), &config);

    let index = Index::load(&repository).unwrap();
    let listed = place.restic(&["list", "blobs"]);
    let mut expected: Vec<_> = listed.lines().collect();
    expected.sort_unstable();
    let mut found = Vec::new();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        found.extend(index.blobs(kind).map(|(id, _)| format!("{kind} {id}")));
    }
    assert_eq!(found, expected);
    let packs: Vec<_> = list(&**repository.storage()).unwrap().iter().map(|pack| pack.id).collect();
    assert_eq!(index.packs(), packs);
    for (id, location) in index.blobs(BlobKind::Data) {
        let blob = BlobHandle { kind: BlobKind::Data, id };
        assert_eq!(index.find(&blob), Some(location));
        assert!(index.contains(&blob) && !index.contains(&BlobHandle { kind: BlobKind::Tree, id }));
    }
}

#[test]
fn restic_opens_what_was_made_here() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let repository = place.init();
    let config: Config = serde_json::from_str(&place.restic(&["cat", "config"])).unwrap();
    assert_eq!(repository.config(), &config);
    std::fs::write(place.path("file"), "some text in a file").unwrap();
    place.restic(&["backup", "file"]);
    place.restic(&["check", "--read-data"]);
    let keys = place.restic(&["key", "list"]);
    assert!(keys.contains("lifeboat") && keys.contains("pi"), "{keys}");
}

#[test]
fn every_key_file_opens_until_it_is_removed() {
    let storage = MemoryStorage::new();
    let key = MasterKey::random().unwrap();
    let other = SecretString::from("battery staple");
    let first = write_key_file(&storage, &key, &password(), "pi").unwrap();
    let second = write_key_file(&storage, &key, &other, "nas").unwrap();

    let hosts: Vec<_> = list_key_files(&storage)
        .unwrap()
        .into_iter()
        .map(|file| (file.id, file.hostname))
        .collect();
    let mut expected = [(first, "pi".to_owned()), (second, "nas".to_owned())];
    expected.sort();
    assert_eq!(hosts, expected);
    for (password, id) in [(&password(), first), (&other, second)] {
        let (opened, unlocked) = unlock(&storage, password).unwrap();
        assert_eq!((opened, unlocked.to_json().unwrap()), (id, key.to_json().unwrap()));
    }
    let wrong = unlock(&storage, &SecretString::from("wrong")).unwrap_err();
    assert!(matches!(wrong, Error::WrongPassword { .. }), "{wrong}");

    assert!(remove_key_file(&storage, &first).unwrap());
    assert!(!remove_key_file(&storage, &first).unwrap());
    assert!(matches!(unlock(&storage, &password()), Err(Error::WrongPassword { .. })));
    assert!(remove_key_file(&storage, &second).unwrap());
    assert!(matches!(unlock(&storage, &password()), Err(Error::NoRepository { .. })));
}

#[test]
fn a_damaged_key_file_hides_no_other() {
    let storage = MemoryStorage::new();
    let key = MasterKey::random().unwrap();
    // Sorts before any that are named by their hash.
    let damaged = id_of(&"0".repeat(64)).key().unwrap();
    storage.put(&damaged, b"{}").unwrap();
    let error = unlock(&storage, &password()).unwrap_err().to_string();
    assert!(error.contains(damaged.as_str()), "{error}");
    write_key_file(&storage, &key, &password(), "pi").unwrap();
    unlock(&storage, &password()).unwrap();
    assert!(list_key_files(&storage).is_err());
}

#[test]
fn a_repository_is_made_once_and_opened_with_its_key_only() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let key = MasterKey::random().unwrap();
    let config = Config::random().unwrap();
    assert!(!exists(&*storage).unwrap());
    let error = ResticRepository::open(storage.clone(), key.clone()).unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error}");

    ResticRepository::init(storage.clone(), key.clone(), &config).unwrap();
    assert!(exists(&*storage).unwrap());
    let error = ResticRepository::init(storage.clone(), key.clone(), &config).unwrap_err();
    assert!(matches!(error, Error::AlreadyInitialized { .. }), "{error}");

    assert_eq!(ResticRepository::open(storage.clone(), key).unwrap().config(), &config);
    let error = ResticRepository::open(storage, MasterKey::random().unwrap()).unwrap_err();
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
}

#[test]
fn other_versions_are_left_alone() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let config = Config { version: 1, ..Config::random().unwrap() };
    let error = ResticRepository::init(storage, MasterKey::random().unwrap(), &config).unwrap_err();
    assert!(matches!(error, Error::UnknownVersion { version: 1, .. }), "{error}");
    if !have_restic() {
        return;
    }
    let place = Place::new();
    place.restic(&["init", "--repository-version", "1"]);
    let (_, key) = unlock(&*place.storage(), &SecretString::from(PASSWORD)).unwrap();
    let error = ResticRepository::open(place.storage(), key).unwrap_err();
    assert!(matches!(error, Error::UnknownVersion { version: 1, .. }), "{error}");
    assert!(error.to_string().contains(&display(&place.root())), "{error}");
}

/// What an unreadable index lists would be stored twice, or taken for lost.
#[test]
fn an_unreadable_index_is_an_error() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let repository = place.init();
    std::fs::write(place.path("file"), "some text in a file").unwrap();
    place.restic(&["backup", "file"]);
    let [index] = list::<IndexId>(&**repository.storage()).unwrap()[..] else { panic!() };
    let path = place.root().join(index.id.key().unwrap().as_str());
    let bytes = std::fs::read(&path).unwrap();
    for at in [0, 20, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = Index::load(&repository).unwrap_err().to_string();
        assert!(error.contains(&index.id.to_string()), "{error}");
    }
    // Whole, but sealed with another key.
    std::fs::remove_file(&path).unwrap();
    let forged = IndexId::of(&bytes[1..]);
    std::fs::write(place.root().join(forged.key().unwrap().as_str()), &bytes[1..]).unwrap();
    let error = Index::load(&repository).unwrap_err().to_string();
    assert!(error.contains("not sealed"), "{error}");
    assert!(!list::<PackId>(&**repository.storage()).unwrap().is_empty());
}
