//! Passwords, identities, recipients: who can read, and for whom is written.

use std::sync::Arc;

use lifeboat_repository::{Error, Recipient, Repository, Result, Time};
use lifeboat_storage::{
    Error as StorageError, Key, MemoryStorage, Storage, encrypt_bytes, unwrap_with_passphrase,
    wrap_with_passphrase, x25519,
};

use crate::common::{
    Database, START_MS, World, assert_restores, backup, checked, edit, key, open, other_password,
    password, put, read, restore, txid,
};

fn init(storage: impl Storage + 'static) -> Result<Repository> {
    Repository::init(Arc::new(storage), &password(), "test")
}

fn identity_key(memory: &MemoryStorage) -> Key {
    memory.list(Some(&key("identities"))).unwrap().remove(0).key
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
