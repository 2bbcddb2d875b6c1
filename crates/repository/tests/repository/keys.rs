//! Keys: added, removed, and new generations, whatever fails in between.

use std::sync::{Arc, Mutex};

use lifeboat_repository::{
    Credential, Error, Holder, KeyHolder, Recipient, Repository, Result, Secrets, Wrapping,
};
use lifeboat_storage::secrecy::{ExposeSecret, SecretString};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Meddle, Meddling};
use lifeboat_storage::{Entry, Key, MemoryStorage, Storage, encrypt_bytes, x25519};

use crate::common::{
    Database, World, backup, checked, copy, key, open, password, read, restore, txid,
};

fn second_password() -> SecretString {
    SecretString::from("battery staple".to_owned())
}

/// A repository with a backup, a second password and a person.
struct Shared {
    world: World,
    app: Database,
    person: x25519::Identity,
}

impl Shared {
    fn new() -> Self {
        let world = World::new();
        let mut app = Database::new("pi", "app", 4);
        backup(&world.repository, &mut [&mut app]).unwrap();
        let person = x25519::Identity::generate();
        let secrets = &world.secrets;
        let add = |holder, label| world.repository.add_key(secrets, holder, label).unwrap();
        let second = second_password();
        add(Holder::Password(&second), "second");
        add(Holder::Person(&person.to_public()), "owner");
        Self { world, app, person }
    }

    fn by_person(&self) -> Credential<'_> {
        Credential::Identities(std::slice::from_ref(&self.person))
    }

    fn assert_reads(&self, repository: &Repository, secrets: &Secrets) {
        assert!(restore(repository, secrets, &self.app.lineage, txid(1)).is_ok());
    }
}

fn rotate(repository: &Repository, credential: Credential<'_>) -> Result<Recipient> {
    let (secrets, names) = repository.unlock_every(credential)?;
    let plan = repository.plan_rotation(&secrets, &names, credential)?;
    repository.rotate(&plan, &secrets, credential)
}

fn again(memory: &MemoryStorage) -> Repository {
    open(Arc::new(memory.clone()))
}

fn labels(repository: &Repository, secrets: Option<&Secrets>) -> Vec<(u32, Option<String>)> {
    let label = |wrapping: Option<Wrapping>| wrapping.and_then(|wrapping| wrapping.label);
    let keys = repository.keys(secrets).unwrap().into_iter();
    let mut labels: Vec<_> = keys.map(|key| (key.name.generation, label(key.wrapping))).collect();
    labels.sort();
    labels
}

fn some(generation: u32, label: &str) -> (u32, Option<String>) {
    (generation, Some(label.to_owned()))
}

#[test]
fn every_holder_opens_all_and_only_who_can_sees_what_keys_say() {
    let shared = Shared::new();
    let repository = again(&shared.world.memory);
    let by_first = repository.unlock(&password()).unwrap();
    let by_second = repository.unlock(&second_password()).unwrap();
    let by_person = repository.unlock(shared.by_person()).unwrap();
    for secrets in [&by_first, &by_second, &by_person] {
        shared.assert_reads(&repository, secrets);
    }
    let stranger = [x25519::Identity::generate()];
    let refused = repository.unlock(Credential::Identities(&stranger)).unwrap_err();
    assert!(matches!(refused, Error::WrongIdentity { .. }), "{refused:?}");

    assert_eq!(labels(&repository, None), vec![(1, None); 3]);
    let seen = |secrets| labels(&repository, Some(secrets));
    assert_eq!(seen(&by_first), [(1, None), some(1, "owner"), some(1, "test")]);
    assert_eq!(seen(&by_second), [(1, None), some(1, "owner"), some(1, "second")]);
    assert_eq!(seen(&by_person), [(1, None), (1, None), some(1, "owner")]);
    let keys = repository.keys(Some(&by_first)).unwrap();
    assert_eq!(keys.iter().filter(|key| key.in_use).count(), 1);
    let person = keys.iter().find(|key| matches!(key.holder, KeyHolder::Person)).unwrap();
    let said = person.wrapping.as_ref().unwrap();
    assert_eq!(said.recipient, Some(shared.person.to_public().to_string()));
    assert!(said.created.is_some());

    repository.remove_key(person.name).unwrap();
    assert!(repository.unlock(shared.by_person()).is_err());
}

#[test]
fn a_damaged_key_is_listed_as_such() {
    let shared = Shared::new();
    let name = shared.world.repository.keys(None).unwrap()[0].name;
    shared.world.memory.damage(&name.key().unwrap(), |bytes| bytes.truncate(30));
    let keys = shared.world.repository.keys(None).unwrap();
    let damaged: Vec<_> =
        keys.iter().filter(|key| matches!(key.holder, KeyHolder::Unreadable(_))).collect();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].name, name);
}

#[test]
fn a_new_generation_is_for_the_key_in_use_and_the_persons() {
    for by_person in [false, true] {
        let shared = Shared::new();
        let own = password();
        let credential = if by_person { shared.by_person() } else { Credential::Password(&own) };
        let repository = again(&shared.world.memory);
        let recipient = rotate(&repository, credential).unwrap();

        let repository = again(&shared.world.memory);
        assert_eq!(repository.recipient().unwrap(), &recipient);
        assert_eq!(recipient.generation, 2);
        let mut new = Database::new("pi", "new", 4);
        new.clock_ms += 1000;
        backup(&repository, &mut [&mut new]).unwrap();

        let secrets = repository.unlock(credential).unwrap();
        let person = repository.unlock(shared.by_person()).unwrap();
        for secrets in [&secrets, &person] {
            assert_eq!(secrets.generations(), 2);
            shared.assert_reads(&repository, secrets);
            assert!(restore(&repository, secrets, &new.lineage, txid(1)).is_ok());
        }
        assert!(checked(&repository, &secrets).is_clean());
        // The password that was not at hand reads what it could, and is told.
        let behind = repository.unlock_to_read(&second_password()).unwrap();
        assert_eq!(behind.generations(), 1);
        shared.assert_reads(&repository, &behind);
        assert!(restore(&repository, &behind, &new.lineage, txid(1)).is_err());
        let refused = repository.unlock(&second_password()).unwrap_err();
        assert!(matches!(refused, Error::RecipientChanged { .. }), "{refused:?}");
        assert!(repository.add_key(&behind, Holder::Password(&own), "x").is_err());
        assert!(rotate(&repository, Credential::Password(&second_password())).is_err());

        // What newer keys replace is gone.
        let expected = if by_person {
            vec![(1, None), (1, None), some(2, "owner")]
        } else {
            vec![(1, None), some(2, "owner"), some(2, "test")]
        };
        assert_eq!(labels(&repository, Some(&secrets)), expected);
    }
}

/// Whatever fails: the key opens everything, what is sealed next is its own, and the next rotation
/// succeeds. By a person at every operation; passwords, which take their time, at some.
#[test]
fn a_rotation_may_fail_anywhere() {
    let shared = Shared::new();
    let other = x25519::Identity::generate();
    let holder = Holder::Person(&other.to_public());
    shared.world.repository.add_key(&shared.world.secrets, holder, "other").unwrap();
    let own = password();
    let mut half_done = 0;
    for (rotating, step) in [(shared.by_person(), 1), (Credential::Password(&own), 15)] {
        let recording = Faulty::new(copy(&shared.world.memory), None);
        rotate(&open(Arc::new(recording.clone())), rotating).unwrap();
        for kind in [FaultKind::FromThenOn, FaultKind::Tear] {
            for (at, operation) in recording.operations().iter().enumerate().step_by(step) {
                let context = format!("{rotating:?}, {kind:?} at {at}, {operation:?}");
                let memory = copy(&shared.world.memory);
                let faulty = Faulty::new(memory.clone(), None);
                let repository = open(Arc::new(faulty.clone()));
                faulty.reset(Some(Fault { at, kind }));
                let _ = rotate(&repository, rotating);
                half_done += assert_goes_on(&shared, &memory, rotating, &other, &context);
            }
        }
    }
    assert!(half_done > 2);
}

/// Returns how many keys the failed rotation left.
fn assert_goes_on(
    shared: &Shared,
    memory: &MemoryStorage,
    rotating: Credential<'_>,
    other: &x25519::Identity,
    context: &str,
) -> usize {
    let other = Credential::Identities(std::slice::from_ref(other));
    let repository = again(memory);
    let generation = repository.recipient().unwrap().generation;
    for credential in [rotating, other] {
        let secrets = repository.unlock(credential).expect(context);
        shared.assert_reads(&repository, &secrets);
        assert_eq!(secrets.generations(), generation as usize, "{context}");
    }
    let keys = repository.keys(None).unwrap();
    let half_done = keys.iter().filter(|key| key.name.generation > generation).count();
    let mut new = Database::new("pi", "new", 2);
    new.clock_ms += 1000;
    backup(&repository, &mut [&mut new]).unwrap();

    let next = rotate(&repository, rotating).expect(context);
    assert_eq!(next.generation, generation + 1, "{context}");
    let repository = again(memory);
    for credential in [rotating, other] {
        let secrets = repository.unlock(credential).expect(context);
        assert_eq!(secrets.generations(), next.generation as usize, "{context}");
        shared.assert_reads(&repository, &secrets);
        assert!(restore(&repository, &secrets, &new.lineage, txid(1)).is_ok(), "{context}");
    }
    // What the failed one left is replaced.
    let keys = repository.keys(None).unwrap();
    let newest = keys.iter().filter(|key| key.name.generation >= next.generation).count();
    let expected = if matches!(rotating, Credential::Password(_)) { 3 } else { 2 };
    assert_eq!(newest, expected, "{context}");
    half_done
}

#[test]
fn of_two_rotations_at_once_one_counts() {
    let shared = Shared::new();
    let (own, other) = (password(), second_password());
    let repository = again(&shared.world.memory);
    let (secrets, names) = repository.unlock_every(&other).unwrap();
    let by_other = Credential::Password(&other);
    let late = repository.plan_rotation(&secrets, &names, by_other).unwrap();
    rotate(&again(&shared.world.memory), Credential::Password(&own)).unwrap();
    let before = labels(&repository, None);
    let refused = repository.rotate(&late, &secrets, by_other).unwrap_err();
    assert!(matches!(refused, Error::GenerationTaken { generation: 2, .. }), "{refused:?}");
    assert_eq!(labels(&repository, None), before);
    assert!(again(&shared.world.memory).unlock(&own).is_ok());
}

/// Who can write to the storage can encrypt for everyone, and knows no secret.
#[test]
fn a_forged_key_for_a_person_gains_nothing() {
    let shared = Shared::new();
    let repository = again(&shared.world.memory);
    let former = repository.recipient().unwrap().clone();
    let evil = x25519::Identity::generate();
    let text = |first: &x25519::Identity| {
        format!(
            "# label: owner\n# recipient: {}\n{}\n{}\n",
            evil.to_public(),
            first.to_string().expose_secret(),
            evil.to_string().expose_secret(),
        )
    };
    let forged = |name: &str| {
        let current: x25519::Recipient = former.recipient.parse().unwrap();
        let recipients = [shared.person.to_public(), current];
        let bytes = encrypt_bytes(text(&evil).as_bytes(), &recipients).unwrap();
        shared.world.memory.put(&key(name), &bytes).unwrap();
    };

    // Nobody vouches for what it says, and no rotation wraps for it.
    forged("identities/0001-00000000000000aa.age");
    let own = password();
    let (secrets, names) = repository.unlock_every(&own).unwrap();
    let plan = repository.plan_rotation(&secrets, &names, Credential::Password(&own)).unwrap();
    let persons: Vec<_> = plan.persons.iter().map(|person| &person.recipient).collect();
    assert_eq!(persons, [&shared.person.to_public().to_string()]);
    assert_eq!(plan.left_behind.len(), 2);

    // With a recipient of their own, a person is not made to write for it.
    forged("identities/0002-00000000000000aa.age");
    let recipient = Recipient {
        generation: 2,
        recipient: evil.to_public().to_string(),
        created: former.created,
    };
    let json = serde_json::to_vec(&recipient).unwrap();
    shared.world.memory.put(&key("recipients/0002.json"), &json).unwrap();
    let repository = again(&shared.world.memory);
    let secrets = repository.unlock_to_read(shared.by_person()).unwrap();
    let refused = repository.require_successor(&secrets, &former.recipient).unwrap_err();
    assert!(matches!(refused, Error::RecipientChanged { .. }), "{refused:?}");
    shared.assert_reads(&repository, &secrets);
    // A password is known to its owner only: what it opens is the owner's.
    assert!(matches!(repository.unlock(&own), Err(Error::RecipientChanged { .. })));
}

#[test]
fn a_true_rotation_is_known_from_its_key() {
    let shared = Shared::new();
    let former = shared.world.repository.recipient().unwrap().recipient.clone();
    rotate(&again(&shared.world.memory), Credential::Password(&password())).unwrap();
    let repository = again(&shared.world.memory);
    let secrets = repository.unlock(shared.by_person()).unwrap();
    assert!(repository.require_successor(&secrets, &former).is_ok());
}

#[test]
fn a_repository_for_a_person_has_no_password() {
    let memory = MemoryStorage::new();
    let person = x25519::Identity::generate();
    let storage = Arc::new(memory.clone());
    let holders = [(Holder::Person(&person.to_public()), "owner")];
    let repository = Repository::init_for(storage, &holders).unwrap();
    let mut app = Database::new("pi", "app", 4);
    backup(&repository, &mut [&mut app]).unwrap();
    assert!(matches!(repository.unlock(&password()), Err(Error::NoIdentity { .. })));
    let credential = Credential::Identities(std::slice::from_ref(&person));
    let secrets = repository.unlock(credential).unwrap();
    assert!(restore(&repository, &secrets, &app.lineage, txid(1)).is_ok());
    // Its owner adds a password, which opens the same.
    repository.add_key(&secrets, Holder::Password(&password()), "laptop").unwrap();
    let secrets = repository.unlock(&password()).unwrap();
    assert!(restore(&repository, &secrets, &app.lineage, txid(1)).is_ok());
    let text = read(&memory, &repository.keys(None).unwrap()[0].name.key().unwrap());
    assert!(text.starts_with(b"age-encryption.org/v1\n"));
}

/// Another host adds a password between two listings.
struct Joined {
    memory: MemoryStorage,
    join: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Meddle for Joined {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }

    fn list(&self, directory: Option<&Key>) -> lifeboat_storage::Result<Vec<Entry>> {
        let listed = self.memory.list(directory);
        if let Some(join) = self.join.lock().unwrap().take() {
            join();
        }
        listed
    }
}

/// The file of its wrapping, which is not known yet, is none that was left behind.
#[test]
fn restic_keeps_a_password_that_another_host_is_just_adding() {
    let world = World::new();
    let files = world.repository.files_or_new(&world.secrets).unwrap();
    let other = again(&world.memory);
    let (secrets, key) = (other.unlock(&password()).unwrap(), files.clone());
    let join = move || {
        let password = second_password();
        let added = other.add_key(&secrets, Holder::Password(&password), "other").unwrap();
        other.add_restic_key(&key, &password, added.name).unwrap();
    };
    let joined = Joined { memory: world.memory.clone(), join: Mutex::new(None) };
    let joined = Meddling::new(joined);
    let repository = open(Arc::new(joined.clone()));
    *joined.join.lock().unwrap() = Some(Box::new(join));
    repository.tend_restic_keys(&files, &world.secrets, None).unwrap();
    assert!(joined.join.lock().unwrap().is_none());
    lifeboat_restic::unlock(&world.memory, &second_password()).unwrap();
}
