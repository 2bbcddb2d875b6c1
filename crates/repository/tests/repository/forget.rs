//! Forgetting and pruning: what is kept comes back, what is not goes, and a failure or a kill in the
//! middle of either harms nothing.

mod model;
mod prune;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_repository::{
    BackupId, DatabaseAddress, ForgetReport, ForgetStep, GRACE, Ladder, LtxName, Merge, NoCopies,
    PruneOptions, PrunePlan, Repository, Result, Secrets, Time, Why, Wish, forget, merge, prune,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Locking};
use lifeboat_storage::{Key, MemoryStorage, Storage};

use crate::common::forgetting::{Backups, assert_sound, forget_at, manifests, steps};
use crate::common::{
    DAY_MS, Database, KINDS, World, backup, copy, host_key, key, keys, new_lineage, open, read,
    txid,
};

/// So many days from now: what the storage holds is that old then.
fn in_days(days: i64) -> Time {
    Time::from_millis(Time::now().millis() + days * DAY_MS + 1000)
}

fn options(now: Time) -> PruneOptions {
    PruneOptions { grace: GRACE, now, ..PruneOptions::default() }
}

/// Points of these tests are as old as they are when a test runs: none stays by its age.
fn plan_prune(
    repository: &Repository,
    secrets: &Secrets,
    options: &PruneOptions,
) -> Result<PrunePlan> {
    let ladder_of = |_: &DatabaseAddress| Ladder::backups_only();
    lifeboat_repository::plan_prune(repository, secrets, &ladder_of, options)
}

fn prune_at(repository: &Repository, secrets: &Secrets, now: Time) -> Result<(u64, u64)> {
    let plan = plan_prune(repository, secrets, &options(now))?;
    assert!(plan.findings.is_empty(), "{plan:?}");
    let report = prune(repository, secrets, &plan, "pi", &options(now))?;
    assert_eq!(report.removed_objects, plan.remove().count() as u64);
    assert_eq!(report.announced_objects, plan.announce.len() as u64);
    Ok((report.announced_objects, removed(&plan)))
}

/// What a plan removes, but for the copies of forgotten manifests.
fn removed(plan: &PrunePlan) -> u64 {
    plan.remove().filter(|object| object.why != Why::Forgotten).count() as u64
}

fn ids(repository: &Repository) -> BTreeSet<BackupId> {
    repository.backups().unwrap().into_iter().map(|name| name.id).collect()
}

fn pins(storage: &dyn Storage) -> usize {
    keys(storage).iter().filter(|key| key.as_str().contains("/pins/")).count()
}

/// Four backups of `app` and `web`, oldest first; `app` has parts and a second base at 3.
fn four() -> Backups {
    let world = World::new();
    let (mut app, mut web) = (Database::new("pi", "app", 12), Database::new("pi", "web", 2));
    let mut ids = Vec::new();
    for number in 0..4 {
        for page in 1..7 {
            app.change(page, 1000 * (number + 1) + page as u64);
        }
        if number == 3 {
            web.change(1, 77);
        }
        ids.push(backup(&world.repository, &mut [&mut app, &mut web]).unwrap().id);
        if number == 2 {
            app.write_base(&world.repository, 3).unwrap();
        }
    }
    Backups { world, app, web, ids }
}

#[test]
fn a_backup_goes_with_its_manifest_first() {
    let Backups { world, app, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let wishes = [Wish::Backup(all[1]), Wish::Backup(BackupId::random())];
    let steps = steps(repository, secrets, &wishes, Time::now()).unwrap();
    let [
        ForgetStep::Keep(kept),
        ForgetStep::RemoveManifest(name),
        ForgetStep::RemovePin(one),
        ForgetStep::RemovePin(two),
    ] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!((name.id, &kept.name), (all[1], name));
    let ending = format!("pins/{}-{}", txid(2), all[1]);
    assert!(one.as_str().contains("/app/") && one.as_str().ends_with(&ending), "{one}");
    assert!(two.as_str().contains("/web/"), "{two}");
    assert_eq!(repository.backups().unwrap().len(), 4, "a plan changes nothing");
    forget(repository, &steps, &host_key()).unwrap();
    assert_eq!(ids(repository), [all[0], all[2], all[3]].into());
    assert_eq!(pins(&world.memory), 6);
    assert_sound(repository, secrets, &[&app, &web], "forgotten");
    assert!(world.check().unfinished.is_empty());
}

#[test]
fn a_source_goes_with_the_next_revision_first() {
    let Backups { world, app, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let wish = Wish::Sources(all[1], vec!["web".to_owned(), "none".to_owned()]);
    let steps = steps(repository, secrets, &[wish], Time::now()).unwrap();
    let [
        ForgetStep::Keep(kept),
        ForgetStep::Write(next),
        ForgetStep::RemovePin(pin),
        ForgetStep::RemoveManifest(former),
    ] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!((next.revision, former.revision, next.id), (2, 1, former.id));
    assert_eq!(kept.name, *former);
    assert_eq!(next.forgotten, ["web"]);
    assert!(pin.as_str().contains("/web/"), "{pin}");
    forget(repository, &steps, &host_key()).unwrap();
    let (_, manifest) = manifests(repository, secrets).unwrap().remove(2);
    assert_eq!(manifest, **next);
    assert_eq!(manifest.sources.len(), 1);
    assert_sound(repository, secrets, &[&app, &web], "revised");
    assert!(world.check().unfinished.is_empty());

    // Without its last source it is no backup any more.
    let wish = Wish::Sources(all[1], vec!["app".to_owned()]);
    forget_at(repository, secrets, &[wish], Time::now()).unwrap();
    assert_eq!(ids(repository), [all[0], all[2], all[3]].into());
    assert_eq!(pins(&world.memory), 6);
}

/// Every storage operation of a forget and of both runs of a prune fails in turn.
#[test]
fn a_failure_anywhere_harms_nothing_and_the_next_run_finishes() {
    let Backups { world, app, web, ids: all } = four();
    let secrets = &world.secrets;
    let databases = [&app, &web];
    let wishes = [
        Wish::Backup(all[0]),
        Wish::Sources(all[1], vec!["app".to_owned()]),
        Wish::Sources(all[2], vec!["web".to_owned()]),
    ];
    type Run<'a> = &'a dyn Fn(&Repository) -> Result<()>;
    let (first, second) = (in_days(2), in_days(4));
    let forgetting = |repository: &Repository| forget_at(repository, secrets, &wishes, first);
    let announcing = |repository: &Repository| prune_at(repository, secrets, first).map(|_| ());
    let removing = |repository: &Repository| prune_at(repository, secrets, second).map(|_| ());
    let mut memory: MemoryStorage = world.memory.clone();
    let phases: [(&str, Run<'_>); 3] =
        [("forget", &forgetting), ("announce", &announcing), ("remove", &removing)];
    for (name, run) in phases {
        let recording = Faulty::new(copy(&memory), None);
        let repository = open(Arc::new(recording.clone()));
        recording.reset(None);
        run(&repository).unwrap();
        let operations = recording.operations();
        let done: Vec<String> = expected_keys(repository.storage());
        for kind in KINDS {
            for (at, operation) in operations.iter().enumerate() {
                let what = format!("{name}: {kind:?} at {at}, {operation:?}");
                let broken = copy(&memory);
                let faulty = Faulty::new(broken.clone(), None);
                let repository = open(Arc::new(faulty.clone()));
                faulty.reset(Some(Fault { at, kind }));
                let failed = run(&repository);
                assert!(failed.is_err(), "{what}");
                let repository = open(Arc::new(broken));
                assert_sound(&repository, secrets, &databases, &what);
                run(&repository).unwrap();
                assert_sound(&repository, secrets, &databases, &what);
                assert_eq!(expected_keys(repository.storage()), done, "{what}");
            }
        }
        let next = copy(&memory);
        run(&open(Arc::new(next.clone()))).unwrap();
        memory = next;
    }
    assert!(pins(&memory) < pins(&world.memory));
}

/// The store locks each of the objects in turn that go. What need not wait for it goes; what is left is sound, and goes
/// when the lock has ended.
#[test]
fn what_is_locked_stays_and_all_else_goes() {
    let Backups { world, app, web, ids: all } = four();
    let secrets = &world.secrets;
    let wishes =
        [Wish::Backup(all[0]), Wish::Sources(all[1], vec!["web".to_owned()]), Wish::Backup(all[2])];
    let now = in_days(2);
    let (memory, repository) = world.copy();
    let planned = steps(&repository, secrets, &wishes, now).unwrap();
    let going: Vec<Key> = planned
        .iter()
        .filter_map(|step| match step {
            ForgetStep::RemoveManifest(name) => Some(name.key().unwrap()),
            ForgetStep::RemovePin(key) => Some(key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(going.len(), 8);
    assert_eq!(forget(&repository, &planned, &host_key()).unwrap(), ForgetReport::default());
    let done = keys(&memory);
    for locked in &going {
        let (memory, _) = world.copy();
        let locking = open(Arc::new(Locking::new(memory.clone(), [locked.clone()])));
        let report = forget(&locking, &planned, &host_key()).unwrap();
        assert_eq!(report.protected_objects, 1, "{locked}");
        let repository = open(Arc::new(memory.clone()));
        assert_sound(&repository, secrets, &[&app, &web], locked.as_str());
        let left: Vec<&Key> = going.iter().filter(|key| keys(&memory).contains(key)).collect();
        if locked.as_str().contains("/pins/") {
            assert_eq!((report.protected.len(), left), (0, vec![locked]));
        } else {
            // A backup that stays keeps its two pins.
            let stays = report.protected.into_iter().next().unwrap();
            let waiting = if stays == all[1] { 0 } else { 2 };
            assert_eq!(left.len(), 1 + waiting, "{locked}: {left:?}");
            assert!(ids(&repository).contains(&stays));
        }
        // Again while it is locked: nothing becomes more.
        let before = keys(&memory);
        let again = Time::from_millis(now.millis() + 60_000);
        forget(&locking, &steps(&locking, secrets, &wishes, again).unwrap(), &host_key()).unwrap();
        assert_eq!(keys(&memory), before, "{locked}");
        forget_at(&repository, secrets, &wishes, again).unwrap();
        assert_eq!(keys(&memory), done, "{locked}");
    }
}

/// All keys, notices by their number: their names are random.
fn expected_keys(storage: &dyn Storage) -> Vec<String> {
    let mut keys: Vec<String> = keys(storage).iter().map(ToString::to_string).collect();
    keys.retain(|key| !key.starts_with("deletions/"));
    keys
}
