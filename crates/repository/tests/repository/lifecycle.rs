//! How a repository begins and is opened, and what is refused.

use std::sync::Arc;

use lifeboat_repository::{BackupId, Error, LtxName, Repository, Result, Time};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Meddle, Meddling};
use lifeboat_storage::{Key, LocalStorage, MemoryStorage, Storage, Upload};

use crate::common::{
    Database, START_MS, World, assert_restores, backup, checked, copy, edit, host_key, key, keys,
    open, other_password, password, put, read, txid,
};

fn init(storage: impl Storage + 'static) -> Result<Repository> {
    Repository::init(Arc::new(storage), &password(), "test")
}

fn open_plain(memory: &MemoryStorage) -> Result<Repository> {
    Repository::open(Arc::new(memory.clone()))
}

#[test]
fn a_repository_is_made_opened_and_unlocked() {
    let memory = MemoryStorage::new();
    assert!(matches!(open_plain(&memory), Err(Error::NoRepository { .. })));
    let made = init(memory.clone()).unwrap();
    let names: Vec<String> = keys(&memory).iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].starts_with("identities/0001-") && names[0].ends_with(".age"));
    assert_eq!(names[1..], ["lifeboat.json", "recipients/0001.json"]);

    let opened = open_plain(&memory).unwrap();
    assert_eq!(opened.marker(), made.marker());
    assert_eq!(opened.recipient().unwrap().generation, 1);
    assert!(opened.unlock(&password()).is_ok());
    assert!(opened.require_writable().is_ok());
    assert!(opened.backups().unwrap().is_empty() && opened.databases().unwrap().is_empty());
    let report = checked(&opened, &opened.unlock(&password()).unwrap());
    assert!(report.is_clean(), "{report:?}");

    let marker = String::from_utf8(read(&memory, &key("lifeboat.json"))).unwrap();
    let id = made.marker().id.to_string();
    let start = format!(r#"{{"lifeboat":1,"id":"{id}","form":"sealed","read":[],"write":[],"#);
    assert!(marker.starts_with(&start), "{marker}");
}

#[test]
fn a_second_init_is_refused() {
    let memory = MemoryStorage::new();
    init(memory.clone()).unwrap();
    let before = keys(&memory);
    assert!(matches!(init(memory.clone()), Err(Error::AlreadyInitialized { .. })));
    assert_eq!(keys(&memory), before);
}

#[test]
fn an_unfinished_init_is_replaced() {
    let recording = Faulty::new(MemoryStorage::new(), None);
    init(recording.clone()).unwrap();
    let operations = recording.operations();
    for kind in [FaultKind::FromThenOn, FaultKind::Tear] {
        for (at, operation) in operations.iter().enumerate() {
            let context = format!("{kind:?} at {at}, {operation:?}");
            let memory = MemoryStorage::new();
            let tried = init(Faulty::new(memory.clone(), Some(Fault { at, kind })));
            if tried.is_ok() {
                // The answer that was lost was the refusal to overwrite.
                assert!(kind == FaultKind::Tear && context.contains("recipients"), "{context}");
                continue;
            }
            let again = match memory.stat(&key("lifeboat.json")).unwrap() {
                // Only the answer was lost.
                Some(_) => open_plain(&memory).unwrap(),
                None => {
                    assert!(open_plain(&memory).is_err(), "{context}");
                    init(memory.clone()).unwrap()
                }
            };
            assert_eq!(keys(&memory).len(), 3, "{context}");
            if kind == FaultKind::Tear {
                again.unlock(&password()).expect(&context);
            }
        }
    }
}

#[test]
fn keys_are_not_replaced_where_data_is() {
    for data in ["backups/pi/x", "databases/pi/app/0000000000000001/pins/x"] {
        let memory = MemoryStorage::new();
        init(memory.clone()).unwrap();
        memory.put(&key(data), b"").unwrap();
        memory.remove(&key("lifeboat.json")).unwrap();
        let before = keys(&memory);
        for refused in [init(memory.clone()), open_plain(&memory)] {
            let error = refused.unwrap_err();
            assert_eq!(error.key(), Some(&key("lifeboat.json")), "{error:?}");
        }
        assert_eq!(keys(&memory), before);
    }
}

#[test]
fn an_empty_directory_is_no_data() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("databases/pi")).unwrap();
    let storage = LocalStorage::create(directory.path()).unwrap();
    let open = Repository::open(Arc::new(storage.clone()));
    assert!(matches!(open, Err(Error::NoRepository { .. })));
    assert!(init(storage).unwrap().databases().unwrap().is_empty());
}

#[test]
fn a_plain_restic_repository_is_refused() {
    let memory = MemoryStorage::new();
    memory.put(&key("config"), b"?").unwrap();
    assert!(matches!(init(memory.clone()), Err(Error::PlainRestic { .. })));
    assert!(matches!(open_plain(&memory), Err(Error::PlainRestic { .. })));
    assert_eq!(keys(&memory).len(), 1);
    // With a marker it is the files part of a repository of ours.
    memory.remove(&key("config")).unwrap();
    init(memory.clone()).unwrap();
    memory.put(&key("config"), b"?").unwrap();
    assert!(open_plain(&memory).is_ok());
}

#[test]
fn markers_of_newer_versions_are_refused() {
    let cases = [
        ("\"lifeboat\":1", "\"lifeboat\":2", "format version 2"),
        ("\"lifeboat\":1", "\"lifeboat\":99999999999", "format version 99999999999"),
        ("\"sealed\"", "\"folded\"", "form folded"),
        ("\"read\":[]", "\"read\":[\"chunks\"]", "chunks"),
    ];
    for (from, to, expected) in cases {
        let memory = MemoryStorage::new();
        init(memory.clone()).unwrap();
        edit(&memory, "lifeboat.json", from, to);
        let error = open_plain(&memory).unwrap_err();
        let Error::UnknownFeature { feature, .. } = &error else { panic!("{error:?}") };
        assert_eq!(feature, expected);
        assert!(matches!(init(memory), Err(Error::AlreadyInitialized { .. })));
    }
    // A newer marker need not have the members of this one.
    let memory = MemoryStorage::new();
    memory.put(&key("lifeboat.json"), b"{\"lifeboat\":2}").unwrap();
    assert!(matches!(open_plain(&memory), Err(Error::UnknownFeature { .. })));
}

#[test]
fn an_unknown_write_feature_refuses_writing_only() {
    let mut world = World::new();
    let mut app = Database::new("pi", "app", 4);
    let manifest = backup(&world.repository, &mut [&mut app]).unwrap();
    edit(&world.memory, "lifeboat.json", "\"write\":[]", "\"write\":[\"delegation\"]");
    world.repository = open(Arc::new(world.memory.clone()));
    let secrets = world.repository.unlock(&password()).unwrap();
    let name = world.repository.backups().unwrap().remove(0);
    assert_restores(&world.repository, &secrets, &name, &[&app]);
    assert!(world.check().is_clean());

    let before = keys(&world.memory);
    let repository = &world.repository;
    let time = Time::from_millis(START_MS);
    let ltx = LtxName { level: 0, min: txid(2), max: txid(2), time };
    let refused = [
        repository.require_writable().unwrap_err(),
        app.begin_lineage(repository).unwrap_err(),
        repository.begin_ltx(&app.lineage, ltx, 0).unwrap_err(),
        repository.write_pin(&app.lineage, txid(1), BackupId::random()).unwrap_err(),
        repository.write_manifest(&manifest, &host_key()).unwrap_err(),
    ];
    for error in refused {
        let Error::UnknownFeature { feature, .. } = &error else { panic!("{error:?}") };
        assert_eq!(feature, "delegation");
    }
    assert_eq!(keys(&world.memory), before);
}

#[test]
fn markers_are_parsed_strictly_but_may_say_more() {
    let memory = MemoryStorage::new();
    init(memory.clone()).unwrap();
    edit(&memory, "lifeboat.json", "\"read\"", "\"new\":{\"a\":[1]},\"read\"");
    assert!(open_plain(&memory).is_ok());
    for member in ["lifeboat", "id", "form", "read", "write", "created"] {
        let memory = copy(&memory);
        edit(&memory, "lifeboat.json", &format!("\"{member}\""), "\"zzz\"");
        let error = open_plain(&memory).unwrap_err();
        assert_eq!(error.key(), Some(&key("lifeboat.json")), "{member}: {error:?}");
    }
    for bytes in [&b""[..], b"{", b"[]", b"{}{}", b"\xff", &vec![b' '; 2 << 20]] {
        put(&memory, "lifeboat.json", bytes);
        assert_eq!(open_plain(&memory).unwrap_err().key(), Some(&key("lifeboat.json")));
    }
}

/// A storage that puts new bytes in place of old ones.
struct Overwriting(MemoryStorage);

impl Meddle for Overwriting {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> lifeboat_storage::Result<()> {
        self.0.remove(key)?;
        upload.publish(key)
    }
}

#[test]
fn a_storage_that_overwrites_is_refused() {
    let memory = MemoryStorage::new();
    assert!(matches!(
        init(Meddling::new(Overwriting(memory.clone()))),
        Err(Error::Overwrites { .. })
    ));
    assert!(memory.stat(&key("lifeboat.json")).unwrap().is_none());
}

#[test]
fn of_two_inits_at_once_one_makes_the_repository() {
    for _ in 0..5 {
        let memory = MemoryStorage::new();
        let results: Vec<_> = std::thread::scope(|scope| {
            let inits = [password(), other_password()].map(|password| {
                let storage = memory.clone();
                scope.spawn(move || Repository::init(Arc::new(storage), &password, ""))
            });
            inits.map(|init| init.join().unwrap()).into_iter().collect()
        });
        for (result, password) in results.into_iter().zip([password(), other_password()]) {
            if let Ok(repository) = result {
                assert!(repository.unlock(&password).is_ok());
            }
        }
    }
}
