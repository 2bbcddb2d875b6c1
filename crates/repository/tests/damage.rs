//! What a check finds: every object of a repository, damaged in every way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{
    Database, World, assert_restores, backup, checked, copy, host_key, key, keys, new_lineage,
    open, password, read, restore, txid,
};
use lifeboat_repository::{
    BackupId, BackupName, CheckOptions, CheckReport, Error, Repository, Source, check, plan,
};
use lifeboat_storage::{Key, MemoryStorage, Storage, seal_bytes, x25519};

/// Three backups of two databases. `app` has parts, and a second base in the middle: transaction 2
/// can be reached in two ways.
struct Sound {
    world: World,
    app: Database,
    web: Database,
    /// The oldest first.
    names: Vec<BackupName>,
}

fn sound() -> Sound {
    let world = World::new();
    let repository = &world.repository;
    let (mut app, mut web) = (Database::new("pi", "app", 12), Database::new("pi", "web", 2));
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    for page in 2..10 {
        app.change(page, 300 + page as u64);
    }
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    app.write_base(repository, 2).unwrap();
    app.change(1, 400);
    web.change(2, 401);
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    let mut names = repository.backups().unwrap();
    names.reverse();
    let sound = Sound { world, app, web, names };
    let report = sound.world.check();
    assert!(report.is_clean() && report.unfinished.is_empty(), "{report:?}");
    assert_eq!((report.files, report.restorable.len()), (6, 3));
    sound
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(usize),
    Truncate(usize),
    Append,
    Replace(Key),
    Delete,
}

/// Every way to damage an object that is worth its time.
fn damages(memory: &MemoryStorage, object: &Key) -> Vec<Damage> {
    let length = read(memory, object).len();
    let mut damages = vec![Damage::Append, Damage::Delete];
    if length > 0 {
        let step = (length / 12).max(1);
        let flipped: BTreeSet<usize> =
            (0..length).step_by(step).chain([1, length / 2, length - 2, length - 1]).collect();
        damages.extend(flipped.into_iter().map(Damage::Flip));
        damages.extend([0, length / 2, length - 1].map(Damage::Truncate));
    }
    let own = read(memory, object);
    let all = keys(memory);
    let others = all.iter().filter(|key| read(memory, key) != own);
    damages.extend(others.step_by(3).cloned().map(Damage::Replace));
    damages
}

fn inflict(memory: &MemoryStorage, object: &Key, damage: &Damage) {
    match damage {
        Damage::Flip(at) => memory.damage(object, |bytes| bytes[*at] ^= 1 << (at % 8)),
        Damage::Truncate(length) => memory.damage(object, |bytes| bytes.truncate(*length)),
        Damage::Append => memory.damage(object, |bytes| bytes.push(0)),
        Damage::Replace(other) => {
            let other = read(memory, other);
            memory.damage(object, |bytes| *bytes = other)
        }
        Damage::Delete => memory.remove(object).unwrap(),
    };
}

fn is_kind(object: &Key, kind: &str) -> bool {
    object.as_str().contains(kind)
}

impl Sound {
    /// The backups to which no plan leads without the file that an object is a part of.
    fn need(&self, object: &Key) -> Vec<BackupName> {
        let needs = |name: &&BackupName| {
            let manifest =
                self.world.repository.manifest(name, &self.world.secrets).unwrap().manifest;
            let mut sources = manifest.sources.iter().filter_map(|source| source.database());
            sources.any(|source| {
                let lineage = if source.name == "app" { &self.app } else { &self.web };
                let mut listing = self.world.repository.listing(&lineage.lineage).unwrap();
                listing.files.retain(|file| file.objects.iter().all(|part| part.key != *object));
                plan(&listing.files, source.txid).is_err()
            })
        };
        self.names.iter().rev().filter(needs).cloned().collect()
    }

    fn assert_noticed(&self, object: &Key, report: &CheckReport, lost: &[BackupName], what: &str) {
        assert_eq!(report.lost, lost, "{what}: {report:?}");
        let others: Vec<_> =
            self.names.iter().rev().filter(|name| !lost.contains(name)).cloned().collect();
        assert_eq!(report.restorable, others, "{what}: {report:?}");
        let mut findings = report.findings.iter().map(|finding| finding.key.as_str());
        assert!(findings.any(|key| key == object.as_str()), "{what}: {report:?}");
        // And nothing else is called damaged than what follows from it.
        for finding in &report.findings {
            let follows = lost.iter().any(|name| name.key().unwrap().as_str() == finding.key)
                || [&self.app, &self.web]
                    .iter()
                    .any(|one| one.lineage.key().as_str() == finding.key);
            assert!(finding.key == object.as_str() || follows, "{what}: {finding:?}");
        }
    }
}

#[test]
fn damage_is_found_named_and_loses_what_needs_it() {
    let sound = sound();
    let memory = &sound.world.memory;
    let objects = keys(memory);
    let of_lineages = |key: &&Key| is_kind(key, "databases/") || is_kind(key, "backups/");
    let mut cases = 0;
    for object in objects.iter().filter(of_lineages) {
        let lost = if is_kind(object, "/ltx/") {
            sound.need(object)
        } else {
            let manifest = BackupName::parse(object);
            sound.names.iter().filter(|name| Some(*name) == manifest.as_ref()).cloned().collect()
        };
        for damage in damages(memory, object) {
            let what = format!("{damage:?} of {object}");
            let (copy, repository) = sound.world.copy();
            inflict(&copy, object, &damage);
            let report = checked(&repository, &sound.world.secrets);
            cases += 1;
            if is_kind(object, "backups/") && matches!(damage, Damage::Delete) {
                // Nothing knows of it any more but its pins.
                assert!(report.is_clean() && report.lost.is_empty(), "{what}: {report:?}");
                let id = lost[0].id.to_string();
                assert!(report.unfinished.iter().all(|pin| pin.ends_with(&id)), "{what}");
                assert_eq!((report.unfinished.len(), report.restorable.len()), (2, 2), "{what}");
                continue;
            }
            sound.assert_noticed(object, &report, &lost, &what);
            assert!(report.unfinished.is_empty(), "{what}: {report:?}");
            for name in &report.lost {
                let Ok(signed) = repository.manifest(name, &sound.world.secrets) else { continue };
                let mut sources = signed.manifest.sources.iter().filter_map(|one| one.database());
                let fails = sources.any(|source| {
                    let database = if source.name == "app" { &sound.app } else { &sound.web };
                    let secrets = &sound.world.secrets;
                    restore(&repository, secrets, &database.lineage, source.txid).is_err()
                });
                assert!(fails, "{what}: {name:?}");
            }
            if let Damage::Delete = damage {
                for name in &report.restorable {
                    let databases = [&sound.app, &sound.web];
                    assert_restores(&repository, &sound.world.secrets, name, &databases);
                }
            }
            // Sizes and absence are known without reading.
            let sized = matches!(damage, Damage::Truncate(_) | Damage::Append | Damage::Delete);
            if sized && is_kind(object, "/ltx/") {
                let secrets = &sound.world.secrets;
                let report =
                    check(&repository, secrets, CheckOptions::default(), &mut |_| {}).unwrap();
                sound.assert_noticed(object, &report, &lost, &what);
            }
        }
    }
    assert!(cases > 400, "{cases}");
}

#[test]
fn a_damaged_identity_opens_nothing() {
    let sound = sound();
    let identity = keys(&sound.world.memory).into_iter().find(|key| is_kind(key, "identities/"));
    let identity = identity.unwrap();
    let length = read(&sound.world.memory, &identity).len();
    let mut damages = damages(&sound.world.memory, &identity);
    damages.retain(|damage| !matches!(damage, Damage::Flip(at) if at % 5 > 0 && *at < length - 2));
    for damage in damages {
        let (copy, repository) = sound.world.copy();
        inflict(&copy, &identity, &damage);
        let error = repository.unlock(&password()).unwrap_err();
        let told = matches!(&error, Error::WrongPassword { .. } | Error::NoIdentity { .. })
            || error.key() == Some(&identity);
        assert!(told, "{damage:?}: {error:?}");
        let report = checked(&repository, &sound.world.secrets);
        assert_eq!(report.restorable.len(), 3);
        if let Damage::Delete = damage {
            assert_eq!(report.findings.len(), 1, "{report:?}");
            assert_eq!(report.findings[0].key, "identities");
        }
    }
}

#[test]
fn a_damaged_recipient_is_found_and_loses_nothing() {
    let sound = sound();
    let object = key("recipients/0001.json");
    let text = String::from_utf8(read(&sound.world.memory, &object)).unwrap();
    let created = text.find("\"created\":\"").unwrap() + 11;
    let flips = (0..text.len()).map(Damage::Flip);
    let mut unnoticed = 0;
    for damage in flips.chain(damages(&sound.world.memory, &object)) {
        let (copy, repository) = sound.world.copy();
        inflict(&copy, &object, &damage);
        let report = checked(&repository, &sound.world.secrets);
        assert_eq!(report.restorable, sound.world.check().restorable, "{damage:?}");
        match damage {
            // Nothing vouches for the time.
            Damage::Flip(at) if at >= created && report.is_clean() => unnoticed += 1,
            Damage::Delete => assert_eq!(report.findings[0].key, "recipients"),
            _ => assert_eq!(report.findings[0].key, object.as_str(), "{damage:?}"),
        }
    }
    assert!(unnoticed < 16, "{unnoticed}");
}

/// A marker is plain, and short. What is not noticed has no meaning for what is read.
#[test]
fn a_damaged_marker_is_refused() {
    let sound = sound();
    let object = key("lifeboat.json");
    let text = String::from_utf8(read(&sound.world.memory, &object)).unwrap();
    let (id, created) = (text.find("\"id\":\"").unwrap(), text.find("\"created\":\"").unwrap());
    for damage in (0..text.len()).map(Damage::Flip).chain(damages(&sound.world.memory, &object)) {
        let (copy, _) = sound.world.copy();
        inflict(&copy, &object, &damage);
        match Repository::open(Arc::new(copy)) {
            Ok(_) => {
                let Damage::Flip(at) = damage else { panic!("{damage:?}") };
                assert!((id + 6..id + 38).contains(&at) || at > created + 10, "{at} of {text}");
            }
            Err(Error::UnknownFeature { feature, .. }) => {
                assert!(feature.contains("form") || feature.contains("version"), "{feature}");
            }
            Err(error) => assert_eq!(error.key(), Some(&object), "{damage:?}: {error:?}"),
        }
    }
}

fn put_sealed(world: &World, name: &str, plain: &str) {
    let recipient: x25519::Recipient =
        world.repository.recipient().unwrap().recipient.parse().unwrap();
    let sealed = seal_bytes(plain.as_bytes(), &[recipient]).unwrap();
    world.memory.put(&key(name), &sealed).unwrap();
}

#[test]
fn what_was_announced_for_deletion_may_be_gone() {
    let sound = sound();
    let world = &sound.world;
    let listing = world.repository.listing(&sound.app.lineage).unwrap();
    // Transaction 2 has its own base.
    let delta = listing.files.iter().find(|file| file.name.min == txid(2)).unwrap();
    let mut objects = Vec::new();
    for object in &delta.objects {
        world.memory.remove(&object.key).unwrap();
        objects.push(format!(r#"{{"key":"{}","size":{}}}"#, object.key, object.size));
    }
    let report = world.check();
    assert_eq!(report.findings.len(), delta.objects.len(), "{report:?}");
    assert_eq!(report.restorable.len(), 3);

    let notice = |version: u32, id: &str| {
        let objects = objects.join(",");
        let times =
            r#""created":"2026-11-21T02:49:00.123Z","not_before":"2026-11-22T02:49:00.123Z""#;
        format!(
            r#"{{"version":{version},"id":"{id}","host":"pi",{times},"reason":"merged",
               "objects":[{objects}],"replaced_by":[]}}"#
        )
    };
    let name = "deletions/20261121T024900.123Z-0123456789abcdef.json.zst.age";
    for refused in [notice(1, "0123456789abcdee"), notice(2, "0123456789abcdef"), "{}".to_owned()] {
        put_sealed(world, name, &refused);
        let report = world.check();
        assert!(report.findings.iter().any(|finding| finding.key == name), "{refused}");
        assert_eq!(report.findings.len(), delta.objects.len() + 1);
        world.memory.remove(&key(name)).unwrap();
    }
    put_sealed(world, name, &notice(1, "0123456789abcdef"));
    let report = world.check();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.restorable.len(), 3);
}

#[test]
fn a_lineage_that_is_gone_is_named() {
    let sound = sound();
    for database in [&sound.app, &sound.web] {
        let (copy, repository) = sound.world.copy();
        let lineage = database.lineage.key();
        for entry in copy.list(Some(lineage)).unwrap() {
            copy.remove(&entry.key).unwrap();
        }
        let report = checked(&repository, &sound.world.secrets);
        assert_eq!((report.lost.len(), report.restorable.len()), (3, 0));
        let gone = report.findings.iter().any(|finding| finding.error.key() == Some(lineage));
        assert!(gone, "{report:?}");
    }
}

#[test]
fn unfinished_uploads_are_no_damage() {
    let sound = sound();
    let lineage = sound.app.lineage.key();
    let stem = "0000000000000004-0000000000000004-20261121T090000.123Z.ltx.zst.age";
    let mut left = [
        format!("{lineage}/ltx/0/{stem}.0001"),
        format!("{lineage}/ltx/0/{stem}.0003"),
        format!("{lineage}/pins/0000000000000004-{}", BackupId::random()),
    ];
    for (name, bytes) in left.iter().zip([&vec![1; 2048][..], &[1; 7], &[]]) {
        sound.world.memory.put(&key(name), bytes).unwrap();
    }
    let report = sound.world.check();
    assert!(report.is_clean(), "{report:?}");
    let mut unfinished = report.unfinished;
    unfinished.sort();
    left.sort();
    assert_eq!(unfinished, left);
}

/// Sound files that do not fit together, as only a faulty writer makes them.
#[test]
fn files_that_do_not_fit_together_are_found() {
    let world = World::new();
    let repository = &world.repository;
    let mut app = Database::new("pi", "app", 3);
    backup(repository, &mut [&mut app]).unwrap();
    app.change(2, 77);
    backup(repository, &mut [&mut app]).unwrap();
    let listing = repository.listing(&app.lineage).unwrap();
    let delta = listing.files.iter().find(|file| file.name.level == 0).unwrap().clone();

    // Another delta that leads elsewhere, from elsewhere.
    let mut other = Database::new("pi", "app", 3);
    other.change(1, 78);
    let (copy, stray) = world.copy();
    other.lineage = new_lineage("pi", "app");
    other.begin_lineage(&stray).unwrap();
    other.capture(&stray).unwrap();
    other.change(3, 79);
    other.lineage = app.lineage.clone();
    other.clock_ms = app.clock_ms;
    other.capture(&stray).unwrap();
    let report = checked(&stray, &world.secrets);
    assert_eq!(report.lost.len(), 0, "the plan takes the older of two: {report:?}");
    let told: Vec<_> = report.findings.iter().map(|finding| finding.error.to_string()).collect();
    assert!(told.iter().any(|told| told.contains("another file to")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("it continues checksum")), "{told:?}");

    // Alone, it loses the backup that it stands for.
    copy.remove(&delta.objects[0].key).unwrap();
    let report = checked(&stray, &world.secrets);
    assert_eq!((report.lost.len(), report.restorable.len()), (1, 1), "{report:?}");
    assert!(restore(&stray, &world.secrets, &app.lineage, txid(2)).is_err());
}

#[test]
fn a_restore_that_would_not_be_what_the_manifest_says_is_lost() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 3);
    let sound = backup(&world.repository, &mut [&mut app]).unwrap();
    let other = Database::new("pi", "app", 4).checksum();
    for change in 0..4 {
        let (_, repository) = world.copy();
        let mut manifest = sound.clone();
        manifest.id = BackupId::random();
        let Source::Database(source) = &mut manifest.sources[0] else { panic!() };
        match change {
            0 => source.checksum = other,
            1 => source.page_count += 1,
            2 => source.page_size = 1024,
            _ => source.objects[0].sha256 = "00".repeat(32),
        }
        repository.write_pin(&app.lineage, txid(1), manifest.id).unwrap();
        repository.write_manifest(&manifest, &host_key()).unwrap();
        let report = checked(&repository, &world.secrets);
        assert_eq!(report.lost, [manifest.name().unwrap()], "{change}: {report:?}");
        assert_eq!(report.restorable, [sound.name().unwrap()], "{change}: {report:?}");
        assert_eq!(report.findings.len(), 1, "{change}: {report:?}");
        let name = report.lost[0].key().unwrap();
        assert_eq!(report.findings[0].key, name.as_str());
    }
}

#[test]
fn progress_tells_all_that_is_read() {
    let sound = sound();
    let (mut total, mut read) = (0, 0);
    let options = CheckOptions { read_data: true };
    let report =
        check(&sound.world.repository, &sound.world.secrets, options, &mut |step| match step {
            lifeboat_repository::Progress::Total(bytes) => total = bytes,
            lifeboat_repository::Progress::Read(bytes) => read += bytes,
        })
        .unwrap();
    let sealed = sound.world.memory.list(Some(&key("databases"))).unwrap();
    let ltx = sealed.iter().filter(|entry| is_kind(&entry.key, "/ltx/"));
    let bytes: u64 = ltx.map(|entry| entry.size).sum();
    assert_eq!((total, read, report.read_bytes), (bytes, bytes, bytes));
}

/// One listing for each kind of object and each database's leases, however many backups there are.
#[test]
fn a_check_lists_once() {
    let sound = sound();
    let faulty = lifeboat_storage::testing::Faulty::new(sound.world.memory.clone(), None);
    let repository = open(Arc::new(faulty.clone()));
    let lists = || {
        faulty.reset(None);
        let report = checked(&repository, &sound.world.secrets);
        assert!(report.is_clean(), "{report:?}");
        let is_list = |one: &&_| matches!(one, lifeboat_storage::testing::Operation::List(_));
        faulty.operations().iter().filter(is_list).count()
    };
    let before = lists();
    let (mut app, mut web) = (sound.app.clone(), sound.web.clone());
    for number in 0..20 {
        app.change(3, 900 + number);
        web.change(1, 950 + number);
        backup(&sound.world.repository, &mut [&mut app, &mut web]).unwrap();
    }
    assert!(lists() <= before, "{before}");
    assert!(before <= 8, "{before}");
}
