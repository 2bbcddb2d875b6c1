//! How a repository begins, is opened and unlocked, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{
    Database, START_MS, World, assert_restores, backup, checked, copy, host_key, key, keys, open,
    password, read, restore, txid,
};
use lifeboat_repository::{BackupId, Error, LtxName, Recipient, Repository, Result, Time};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{
    Error as StorageError, Key, LocalStorage, MemoryStorage, Storage, encrypt_bytes,
    unwrap_with_passphrase, wrap_with_passphrase, x25519,
};

fn init(storage: impl Storage + 'static) -> Result<Repository> {
    Repository::init(Arc::new(storage), &password(), "test")
}

fn open_plain(memory: &MemoryStorage) -> Result<Repository> {
    Repository::open(Arc::new(memory.clone()))
}

fn other_password() -> SecretString {
    SecretString::from("battery staple".to_owned())
}

fn identity_key(memory: &MemoryStorage) -> Key {
    memory.list(Some(&key("identities"))).unwrap().remove(0).key
}

/// Replaces an object.
fn put(memory: &MemoryStorage, name: &str, bytes: &[u8]) {
    memory.remove(&key(name)).unwrap();
    memory.put(&key(name), bytes).unwrap();
}

fn edit(memory: &MemoryStorage, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(read(memory, &key(name))).unwrap();
    let edited = text.replace(from, to);
    assert_ne!(edited, text, "{from}");
    put(memory, name, edited.as_bytes());
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
fn a_wrong_password_is_told_from_a_missing_and_a_damaged_identity() {
    let memory = MemoryStorage::new();
    let repository = init(memory.clone()).unwrap();
    let refused = || repository.unlock(&other_password()).unwrap_err();
    assert!(matches!(refused(), Error::WrongPassword { .. }));

    let own = identity_key(&memory);
    memory.damage(&own, |bytes| bytes.truncate(40));
    let error = repository.unlock(&password()).unwrap_err();
    assert!(matches!(&error, Error::Sealed { key, .. } if *key == own), "{error:?}");

    memory.remove(&own).unwrap();
    assert!(matches!(refused(), Error::NoIdentity { .. }));

    // One for a person's key is not for a password to open.
    let person = x25519::Identity::generate();
    let wrapped = encrypt_bytes(b"AGE-SECRET-KEY-1\n", &[person.to_public()]).unwrap();
    memory.put(&own, &wrapped).unwrap();
    assert!(matches!(refused(), Error::NoIdentity { .. }));
}

#[test]
fn the_password_of_any_identity_unlocks() {
    let memory = MemoryStorage::new();
    let repository = init(memory.clone()).unwrap();
    let own = identity_key(&memory);
    let text = unwrap_with_passphrase(&read(&memory, &own), &password()).unwrap();
    let second = wrap_with_passphrase(&text, &other_password()).unwrap();
    let second_key = key("identities/0001-ffffffffffffffff.age");
    memory.put(&second_key, &second).unwrap();
    assert!(repository.unlock(&password()).is_ok());
    assert!(repository.unlock(&other_password()).is_ok());
    // One that is damaged keeps nobody from using another.
    memory.damage(&second_key, |bytes| bytes.truncate(100));
    assert!(repository.unlock(&password()).is_ok());
    // Objects of foreign names are not looked at.
    memory.remove(&second_key).unwrap();
    for foreign in
        ["identities/a.age", "identities/0001-0.age", "identities/x/0001-0000000000000000.age"]
    {
        memory.put(&key(foreign), b"?").unwrap();
    }
    assert!(matches!(repository.unlock(&other_password()), Err(Error::WrongPassword { .. })));
}

#[test]
fn an_identity_without_a_secret_is_corrupt() {
    for text in ["", "# label: x\n", "AGE-SECRET-KEY-1XYZ\n", "\u{0}\n"] {
        let memory = MemoryStorage::new();
        let repository = init(memory.clone()).unwrap();
        let own = identity_key(&memory);
        put(&memory, own.as_str(), &wrap_with_passphrase(text.as_bytes(), &password()).unwrap());
        let error = repository.unlock(&password()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { key, .. } if *key == own), "{text}: {error:?}");
    }
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
        ("\"sealed\"", "\"litestream\"", "form litestream"),
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
        repository.begin_ltx(&app.lineage, ltx).unwrap_err(),
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

#[test]
fn another_recipient_is_noticed_but_keeps_nobody_from_reading() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 4);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let own = world.repository.recipient().unwrap().clone();
    let theirs = x25519::Identity::generate().to_public().to_string();
    edit(&world.memory, "recipients/0001.json", &own.recipient, &theirs);
    let repository = open(Arc::new(world.memory.clone()));
    let error = repository.unlock(&password()).unwrap_err();
    let Error::RecipientChanged { expected, found, .. } = &error else { panic!("{error:?}") };
    assert_eq!((expected, found), (&own.recipient, &theirs));

    let secrets = repository.unlock_to_read(&password()).unwrap();
    let name = repository.backups().unwrap().remove(0);
    assert_restores(&repository, &secrets, &name, &[&app]);
    let report = checked(&repository, &secrets);
    assert_eq!(report.restorable.len(), 1);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].key, "recipients/0001.json");
}

#[test]
fn a_damaged_recipient_refuses_writing_only() {
    type Damage = fn(&mut Vec<u8>);
    let damage: [(&str, Damage); 4] = [
        ("empty", Vec::clear),
        ("a changed key", |bytes| {
            let at = bytes.windows(4).position(|four| four == b"age1").unwrap();
            bytes[at + 10] ^= 1;
        }),
        ("another generation", |bytes| bytes[14] = b'2'),
        ("cut short", |bytes| bytes.truncate(20)),
    ];
    let world = World::new();
    let mut app = Database::new("pi", "app", 4);
    backup(&world.repository, &mut [&mut app]).unwrap();
    for (what, damage) in damage {
        let (memory, repository) = world.copy();
        memory.damage(&key("recipients/0001.json"), damage);
        let secrets = repository.unlock_to_read(&password()).unwrap();
        assert!(restore(&repository, &secrets, &app.lineage, txid(1)).is_ok(), "{what}");
        let error = app.begin_lineage(&repository).unwrap_err();
        assert_eq!(error.key(), Some(&key("recipients/0001.json")), "{what}: {error:?}");
        assert!(repository.recipient().is_err() && repository.unlock(&password()).is_err());
        let report = checked(&repository, &secrets);
        assert_eq!(report.findings[0].key, "recipients/0001.json", "{what}");
        assert_eq!(report.restorable.len(), 1, "{what}");
    }
}

#[test]
fn the_highest_generation_is_written_for_and_all_are_read() {
    let world = World::new();
    let mut old = Database::new("pi", "old", 4);
    backup(&world.repository, &mut [&mut old]).unwrap();
    let first = identity_key(&world.memory);
    let text = unwrap_with_passphrase(&read(&world.memory, &first), &password()).unwrap();
    let next = x25519::Identity::generate();
    let next_secret = {
        use lifeboat_storage::secrecy::ExposeSecret;
        next.to_string().expose_secret().to_owned()
    };
    let text = format!("{}{next_secret}\n", String::from_utf8(text).unwrap());
    let wrapped = wrap_with_passphrase(text.as_bytes(), &password()).unwrap();
    world.memory.put(&key("identities/0002-0000000000000000.age"), &wrapped).unwrap();
    let recipient = Recipient {
        generation: 2,
        recipient: next.to_public().to_string(),
        created: Time::from_millis(START_MS),
    };
    let json = serde_json::to_vec(&recipient).unwrap();
    world.memory.put(&key("recipients/0002.json"), &json).unwrap();
    for foreign in [
        "recipients/9.json",
        "recipients/0003.txt",
        "recipients/x/0004.json",
        "recipients/0000.json",
    ] {
        world.memory.put(&key(foreign), b"?").unwrap();
    }

    let repository = open(Arc::new(world.memory.clone()));
    assert_eq!(repository.recipient().unwrap(), &recipient);
    let secrets = repository.unlock(&password()).unwrap();
    let mut new = Database::new("pi", "new", 4);
    new.clock_ms += 1000;
    backup(&repository, &mut [&mut new]).unwrap();
    let report = checked(&repository, &secrets);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.restorable.len(), 2);
    // Whoever has the old secrets only reads what is old.
    assert!(restore(&repository, &world.secrets, &old.lineage, txid(1)).is_ok());
    let error = restore(&repository, &world.secrets, &new.lineage, txid(1)).unwrap_err();
    assert!(matches!(error, Error::Sealed { source: StorageError::NotForUs, .. }), "{error:?}");
}

/// A storage that puts new bytes in place of old ones.
#[derive(Clone, Debug)]
struct Overwriting(MemoryStorage);

impl Storage for Overwriting {
    fn location(&self) -> String {
        self.0.location()
    }
    fn begin(&self) -> lifeboat_storage::Result<Box<dyn lifeboat_storage::Upload>> {
        self.0.begin()
    }
    fn read(
        &self,
        key: &Key,
        range: Option<std::ops::Range<u64>>,
    ) -> lifeboat_storage::Result<Box<dyn std::io::Read + Send>> {
        self.0.read(key, range)
    }
    fn stat(&self, key: &Key) -> lifeboat_storage::Result<Option<lifeboat_storage::Entry>> {
        self.0.stat(key)
    }
    fn list(
        &self,
        directory: Option<&Key>,
    ) -> lifeboat_storage::Result<Vec<lifeboat_storage::Entry>> {
        self.0.list(directory)
    }
    fn list_names(
        &self,
        directory: Option<&Key>,
    ) -> lifeboat_storage::Result<Vec<lifeboat_storage::Child>> {
        self.0.list_names(directory)
    }
    fn remove(&self, key: &Key) -> lifeboat_storage::Result<bool> {
        self.0.remove(key)
    }
    fn put(&self, key: &Key, bytes: &[u8]) -> lifeboat_storage::Result<()> {
        self.0.remove(key)?;
        self.0.put(key, bytes)
    }
}

#[test]
fn a_storage_that_overwrites_is_refused() {
    let memory = MemoryStorage::new();
    assert!(matches!(init(Overwriting(memory.clone())), Err(Error::Overwrites { .. })));
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
