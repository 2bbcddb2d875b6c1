//! Every object of a repository, damaged in every way.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_repository::{BackupName, CheckOptions, Error, Repository, check};
use lifeboat_storage::{Key, MemoryStorage, Storage};

use crate::common::sound::{is_kind, sound};
use crate::common::{assert_restores, checked, key, keys, password, read, restore};

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
            let merged = is_kind(object, "/ltx/") && !sound.is_named(object);
            if merged && report.is_clean() {
                // It may have been removed as well: the merge is there.
                let gone = matches!(damage, Damage::Delete) && report.unfinished.is_empty();
                assert!(gone && report.lost.is_empty(), "{what}: {report:?}");
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
            if sized && is_kind(object, "/ltx/") && !merged {
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
