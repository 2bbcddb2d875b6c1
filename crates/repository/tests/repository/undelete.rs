//! Bringing back what was forgotten: byte for byte as long as its bytes are there, whatever fails or
//! is killed on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_repository::{
    BackupId, DatabaseAddress, Error, Forgotten, Ladder, Manifest, PruneOptions, PruneReport,
    Repository, Result, Secrets, Time, Undeletion, Wish, forget, plan_prune, plan_undelete, prune,
    undelete,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{Key, Storage};

use crate::common::forgetting::{Backups, assert_sound, forget_at, manifests, steps};
use crate::common::{Database, KINDS, World, backup, copy, host_key, keys, open, read};

/// Three.
fn three() -> Backups {
    let world = World::new();
    let (mut app, mut web) = (Database::new("pi", "app", 6), Database::new("pi", "web", 2));
    let mut ids = Vec::new();
    for number in 0..3 {
        app.change(1, 100 + number);
        ids.push(backup(&world.repository, &mut [&mut app, &mut web]).unwrap().id);
    }
    Backups { world, app, web, ids }
}

fn forget_now(repository: &Repository, secrets: &Secrets, wishes: &[Wish]) -> Result<()> {
    forget_at(repository, secrets, wishes, Time::now())
}

fn undelete_all(repository: &Repository, secrets: &Secrets) -> Result<Vec<Undeletion>> {
    let found = plan_undelete(repository, secrets, "pi")?;
    for one in &found {
        undelete(repository, None, one.back.as_ref().unwrap(), &host_key())?;
    }
    Ok(found)
}

/// What counts: everything but copies and former pins.
fn standing(storage: &dyn Storage) -> BTreeSet<Key> {
    keys(storage).into_iter().filter(|key| !key.as_str().starts_with("forgotten/")).collect()
}

/// The sources of each backup, the oldest first.
fn held(repository: &Repository, secrets: &Secrets) -> Vec<(BackupId, Vec<String>)> {
    let sources = |manifest: &Manifest| {
        let mut names: Vec<String> =
            manifest.sources.iter().filter_map(|source| source.name().cloned()).collect();
        names.sort();
        names
    };
    let manifests = manifests(repository, secrets).unwrap();
    manifests.iter().rev().map(|(_, manifest)| (manifest.id, sources(manifest))).collect()
}

#[test]
fn a_backup_comes_back_byte_for_byte() {
    let Backups { world, app, web, ids } = three();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let before: Vec<(Key, Vec<u8>)> = keys(&world.memory)
        .into_iter()
        .map(|key| (key.clone(), read(&world.memory, &key)))
        .collect();
    forget_now(repository, secrets, &[Wish::Backup(ids[0]), Wish::Backup(ids[2])]).unwrap();
    assert_eq!(repository.backups().unwrap().len(), 1);
    let found = undelete_all(repository, secrets).unwrap();
    let mut came: Vec<BackupId> = found.iter().map(|one| one.copy.name.id).collect();
    came.sort();
    let mut gone = vec![ids[0], ids[2]];
    gone.sort();
    assert_eq!(came, gone);
    assert_eq!(found[0].back.as_ref().unwrap().sources, ["app", "web"]);
    for (key, bytes) in &before {
        assert!(read(&world.memory, key) == *bytes, "{key}");
    }
    assert_eq!(standing(&world.memory).len(), before.len());
    assert_sound(repository, secrets, &[&app, &web], "back");
    assert!(plan_undelete(repository, secrets, "pi").unwrap().is_empty(), "it is there again");
}

#[test]
fn a_source_comes_back_in_the_next_revision() {
    let Backups { world, app, web, ids } = three();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let take = |name: &str| Wish::Sources(ids[1], vec![name.to_owned()]);
    let whole = held(repository, secrets);
    forget_now(repository, secrets, &[take("web")]).unwrap();

    // Another host can sign nothing of it.
    let found = plan_undelete(repository, secrets, "nas").unwrap();
    let back = found[0].back.as_ref().unwrap();
    assert_eq!((back.sources.len(), back.left_out.as_slice()), (0, &["web".to_owned()][..]));

    undelete_all(repository, secrets).unwrap();
    assert_eq!(held(repository, secrets), whole);
    let (_, manifest) = manifests(repository, secrets).unwrap().remove(1);
    assert_eq!((manifest.revision, manifest.forgotten.len()), (3, 0));
    assert!(plan_undelete(repository, secrets, "pi").unwrap().is_empty());
    assert_sound(repository, secrets, &[&app, &web], "source");

    // One source after the other, until nothing is left: all of it comes back.
    forget_now(repository, secrets, &[take("app")]).unwrap();
    forget_now(repository, secrets, &[take("web")]).unwrap();
    assert_eq!(held(repository, secrets).len(), 2);
    let found = plan_undelete(repository, secrets, "nas").unwrap();
    let back = found[0].back.as_ref().unwrap();
    assert_eq!(
        (back.sources.as_slice(), back.left_out.as_slice()),
        (&["web".to_owned()][..], &["app".to_owned()][..])
    );
    let found = undelete_all(repository, secrets).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(held(repository, secrets), whole);
    assert_sound(repository, secrets, &[&app, &web], "both");
    // What a forget left of former revisions goes, and nothing else does.
    forget_now(repository, secrets, &[]).unwrap();
    assert_eq!(held(repository, secrets), whole);
    assert_sound(repository, secrets, &[&app, &web], "tidy");
}

#[test]
fn what_cannot_be_reached_any_more_stays_away() {
    let Backups { world, app, ids, .. } = three();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let wishes: Vec<Wish> = ids.iter().copied().map(Wish::Backup).collect();
    forget_now(repository, secrets, &wishes).unwrap();
    let found = plan_undelete(repository, secrets, "pi").unwrap();
    let last = keys(&world.memory)
        .into_iter()
        .find(|key| {
            key.as_str().contains("/app/") && key.as_str().contains("/ltx/0/0000000000000003")
        })
        .unwrap();
    world.memory.remove(&last).unwrap();
    // It was there when it was planned.
    let newest = found.iter().find(|one| one.copy.name.id == ids[2]).unwrap();
    let failed = undelete(repository, None, newest.back.as_ref().unwrap(), &host_key());
    assert!(matches!(failed, Err(Error::NotRestorable { .. })), "{failed:?}");
    assert!(repository.backups().unwrap().is_empty());
    let found = plan_undelete(repository, secrets, "pi").unwrap();
    for one in &found {
        assert_eq!(one.back.is_err(), one.copy.name.id == ids[2], "{one:?}");
    }
    // And so is what is damaged itself.
    let copy = found.iter().find(|one| one.copy.name.id == ids[0]).unwrap().copy.key().unwrap();
    world.memory.remove(&copy).unwrap();
    world.memory.put(&copy, b"damaged").unwrap();
    let found = plan_undelete(repository, secrets, "pi").unwrap();
    assert_eq!(found.iter().filter(|one| one.back.is_err()).count(), 2);
    assert!(app.captures.len() > 1);
}

/// A prune has begun to remove: the copy is gone first.
#[test]
fn a_copy_that_goes_meanwhile_ends_it() {
    let Backups { world, ids, .. } = three();
    let (repository, secrets) = (&world.repository, &world.secrets);
    forget_now(repository, secrets, &[Wish::Backup(ids[1])]).unwrap();
    let found = plan_undelete(repository, secrets, "pi").unwrap();
    world.memory.remove(&found[0].copy.key().unwrap()).unwrap();
    let failed = undelete(repository, None, found[0].back.as_ref().unwrap(), &host_key());
    assert!(matches!(failed, Err(Error::Pruned { backup }) if backup == ids[1]), "{failed:?}");
    assert_eq!(repository.backups().unwrap().len(), 2);
    assert!(plan_undelete(repository, secrets, "pi").unwrap().is_empty());
}

/// Every operation of the storage fails in turn, in a forget and in what brings back.
#[test]
fn a_failure_anywhere_loses_nothing() {
    let Backups { world, app, web, ids } = three();
    let secrets = &world.secrets;
    let databases = [&app, &web];
    let whole = held(&world.repository, secrets);
    let wishes = [Wish::Backup(ids[0]), Wish::Sources(ids[1], vec!["app".to_owned()])];
    type Run<'a> = &'a dyn Fn(&Repository) -> Result<()>;
    let forgetting = |repository: &Repository| forget_now(repository, secrets, &wishes);
    let undeleting = |repository: &Repository| undelete_all(repository, secrets).map(drop);
    let after = copy(&world.memory);
    forgetting(&open(Arc::new(after.clone()))).unwrap();
    let phases: [(&str, &dyn Storage, Run<'_>); 2] =
        [("forget", &world.memory, &forgetting), ("undelete", &after, &undeleting)];
    for (name, begin, run) in phases {
        let recording = Faulty::new(copy(begin), None);
        let repository = open(Arc::new(recording.clone()));
        recording.reset(None);
        run(&repository).unwrap();
        for kind in KINDS {
            for (at, operation) in recording.operations().iter().enumerate() {
                let what = format!("{name}: {kind:?} at {at}, {operation:?}");
                let broken = copy(begin);
                let faulty = Faulty::new(broken.clone(), None);
                let repository = open(Arc::new(faulty.clone()));
                faulty.reset(Some(Fault { at, kind }));
                // A torn pin is whole: it is empty.
                assert!(run(&repository).is_err() || kind == FaultKind::Tear, "{what}");
                let repository = open(Arc::new(broken));
                assert_sound(&repository, secrets, &databases, &what);
                undelete_all(&repository, secrets).unwrap();
                assert_sound(&repository, secrets, &databases, &what);
                assert_eq!(held(&repository, secrets), whole, "{what}");
            }
        }
    }
}

/// Both at once, in every order: in the end all of it can be there.
#[test]
fn beside_a_forget_nothing_is_lost() {
    let Backups { world, app, web, ids } = three();
    let secrets = &world.secrets;
    let whole = held(&world.repository, secrets);
    for wish in [Wish::Backup(ids[0]), Wish::Sources(ids[1], vec!["app".to_owned()])] {
        let count = steps(&world.repository, secrets, std::slice::from_ref(&wish), Time::now())
            .unwrap()
            .len();
        assert!(count > 3);
        for at in 0..=count {
            let what = format!("{wish:?}, {at} steps before");
            let (_, repository) = world.copy();
            let steps =
                steps(&repository, secrets, std::slice::from_ref(&wish), Time::now()).unwrap();
            forget(&repository, &steps[..at], &host_key()).unwrap();
            undelete_all(&repository, secrets).unwrap();
            forget(&repository, &steps[at..], &host_key()).unwrap();
            forget_now(&repository, secrets, &[]).unwrap();
            assert_sound(&repository, secrets, &[&app, &web], &what);
            undelete_all(&repository, secrets).unwrap();
            assert_sound(&repository, secrets, &[&app, &web], &what);
            assert_eq!(held(&repository, secrets), whole, "{what}");
        }
    }
}

/// Copies are for whoever brings back, and for nobody else.
#[test]
fn names_of_copies() {
    let Backups { world, ids, .. } = three();
    forget_now(&world.repository, &world.secrets, &[Wish::Backup(ids[0])]).unwrap();
    let copies = world.repository.forgotten().unwrap();
    let [Forgotten { name, .. }] = &copies[..] else { panic!("{copies:?}") };
    assert_eq!((name.id, name.revision), (ids[0], 1));
    let signed = world.repository.forgotten_manifest(&copies[0], &world.secrets).unwrap();
    assert_eq!(signed.manifest.id, ids[0]);
}

fn prune_at(repository: &Repository, secrets: &Secrets, now: Time) -> PruneReport {
    let options = PruneOptions { now, ..PruneOptions::default() };
    let ladder = |_: &DatabaseAddress| Ladder::backups_only();
    let plan = plan_prune(repository, secrets, &ladder, &options).unwrap();
    prune(repository, secrets, &plan, "pi", &options).unwrap()
}

/// What was announced long ago goes only when nothing that can come back needs it.
#[test]
fn a_prune_leaves_it_the_time_that_was_promised() {
    let Backups { world, mut app, web, ids } = three();
    let (repository, secrets) = (&world.repository, &world.secrets);
    app.write_base(repository, 3).unwrap();
    let start = Time::now();
    let hours = |hours: i64| Time::from_millis(start.millis() + hours * 3_600_000 + 1000);
    let forget_at = |hour| {
        let wishes = [Wish::Backup(ids[0]), Wish::Backup(ids[1])];
        let steps = steps(repository, secrets, &wishes, hours(hour)).unwrap();
        forget(repository, &steps, &host_key()).unwrap();
    };
    forget_at(0);
    assert!(prune_at(repository, secrets, hours(0)).announced_objects > 0);
    undelete_all(repository, secrets).unwrap();
    // The notices of the first time are due, but it was forgotten again only an hour ago.
    forget_at(29);
    let report = prune_at(repository, secrets, hours(30));
    assert_eq!(report.removed_objects, 2, "the copies of the first time: {report:?}");
    undelete_all(repository, secrets).unwrap();
    assert_eq!(held(repository, secrets).len(), 3);
    assert_sound(repository, secrets, &[&app, &web], "back");

    forget_at(31);
    prune_at(repository, secrets, hours(32));
    let report = prune_at(repository, secrets, hours(56));
    assert!(report.removed_objects > 2, "{report:?}");
    assert!(repository.forgotten().unwrap().is_empty());
    assert!(plan_undelete(repository, secrets, "pi").unwrap().is_empty());
    assert_eq!(held(repository, secrets).len(), 1);
    assert_sound(repository, secrets, &[&app, &web], "gone");
}
