//! Forgetting and pruning: what is kept comes back, what is not goes, and a failure or a kill in the
//! middle of either harms nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::{
    Database, World, assert_restores, backup, checked, copy, host_key, key, keys, new_lineage,
    open, read, txid,
};
use lifeboat_repository::{
    BackupId, BackupName, DatabaseAddress, ForgetStep, GRACE, Known, Ladder, LtxName, Manifest,
    Merge, NoCopies, PruneOptions, PrunePlan, Repository, Result, Secrets, Time, Why, Wish, forget,
    merge, plan_forget, prune,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{MemoryStorage, Storage};

const KINDS: [FaultKind; 3] = [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear];
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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

fn manifests(repository: &Repository, secrets: &Secrets) -> Result<Vec<(BackupName, Manifest)>> {
    let names = repository.backups()?;
    names
        .into_iter()
        .map(|name| Ok((name.clone(), repository.manifest(&name, secrets)?.manifest)))
        .collect()
}

fn steps(
    repository: &Repository,
    secrets: &Secrets,
    wishes: &[Wish],
    now: Time,
) -> Result<Vec<ForgetStep>> {
    let manifests = manifests(repository, secrets)?;
    let known: Vec<Known<'_>> =
        manifests.iter().map(|(name, manifest)| Known { name, manifest: Some(manifest) }).collect();
    plan_forget(repository, &known, wishes, now)
}

fn forget_at(repository: &Repository, secrets: &Secrets, wishes: &[Wish], now: Time) -> Result<()> {
    forget(repository, &steps(repository, secrets, wishes, now)?, &host_key())
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

/// Clean, with every backup restored byte by byte.
fn assert_sound(repository: &Repository, secrets: &Secrets, databases: &[&Database], what: &str) {
    let report = checked(repository, secrets);
    assert!(report.is_clean(), "{what}: {report:?}");
    for name in repository.backups().unwrap() {
        assert_restores(repository, secrets, &name, databases);
    }
}

fn ids(repository: &Repository) -> BTreeSet<BackupId> {
    repository.backups().unwrap().into_iter().map(|name| name.id).collect()
}

fn pins(storage: &dyn Storage) -> usize {
    keys(storage).iter().filter(|key| key.as_str().contains("/pins/")).count()
}

/// Four backups of `app` and `web`, oldest first; `app` has parts and a second base at 3.
struct Four {
    world: World,
    app: Database,
    web: Database,
    ids: Vec<BackupId>,
}

fn four() -> Four {
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
    Four { world, app, web, ids }
}

#[test]
fn a_backup_goes_with_its_manifest_first() {
    let Four { world, app, web, ids: all } = four();
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
    let Four { world, app, web, ids: all } = four();
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

#[test]
fn prune_announces_waits_and_removes() {
    let Four { world, app, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let now = Time::now();
    // With all backups there, the delta that a base has replaced is not needed.
    let plan = plan_prune(repository, secrets, &options(now)).unwrap();
    assert!(
        plan.announce.iter().all(|object| object.key.as_str().contains("/ltx/0/0000000000000003-"))
    );
    let wishes = [Wish::Backup(all[0]), Wish::Backup(all[1])];
    forget_at(repository, secrets, &wishes, now).unwrap();

    // What leads to 3 by deltas is not needed: there is a base at 3.
    let plan = plan_prune(repository, secrets, &options(now)).unwrap();
    assert!(plan.announce.iter().all(|object| object.why == Why::NotNeeded), "{plan:?}");
    let doomed: Vec<_> = plan.announce.iter().map(|object| object.key.clone()).collect();
    assert!(doomed.iter().all(|key| key.as_str().contains("/app/")), "{doomed:?}");
    let sizes = world.memory.list(None).unwrap();
    for object in &plan.announce {
        assert_eq!(sizes.iter().find(|entry| entry.key == object.key).unwrap().size, object.size);
    }
    assert!(doomed.len() > 4, "{doomed:?}");
    assert!(!keys(&world.memory).iter().any(|key| key.as_str().starts_with("deletions/")));

    let count = doomed.len() as u64;
    assert_eq!(prune_at(repository, secrets, now).unwrap(), (count, 0));
    assert_eq!(prune_at(repository, secrets, now).unwrap(), (0, 0), "announced once");
    let later = Time::from_millis(now.millis() + DAY_MS - 1);
    let plan = plan_prune(repository, secrets, &options(later)).unwrap();
    assert!(plan.is_empty() && plan.waiting.len() == doomed.len(), "{plan:?}");
    assert_sound(repository, secrets, &[&app, &web], "announced");

    let later = Time::from_millis(now.millis() + DAY_MS);
    assert_eq!(prune_at(repository, secrets, later).unwrap(), (0, count));
    let left = keys(&world.memory);
    assert!(doomed.iter().all(|key| !left.contains(key)));
    assert_eq!(prune_at(repository, secrets, in_days(9)).unwrap(), (0, 0));
    assert_sound(repository, secrets, &[&app, &web], "removed");
    assert_eq!(ids(repository), [all[2], all[3]].into());
}

/// What was announced is looked at again: a pin that came meanwhile keeps it, and when that is gone it
/// is announced anew.
#[test]
fn what_is_needed_again_stays() {
    let Four { world, app, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    forget_at(repository, secrets, &[Wish::Backup(all[1])], Time::now()).unwrap();
    forget_at(repository, secrets, &[Wish::Backup(all[0])], Time::now()).unwrap();
    let (announced, _) = prune_at(repository, secrets, Time::now()).unwrap();
    assert!(announced > 0);
    let pin = BackupId::random();
    repository.write_pin(&app.lineage, txid(2), pin).unwrap();
    let plan = plan_prune(repository, secrets, &options(in_days(2))).unwrap();
    assert_eq!((removed(&plan), plan.announce.len(), plan.waiting.len()), (0, 0, 0));
    assert_eq!(prune_at(repository, secrets, in_days(2)).unwrap(), (0, 0));
    assert!(
        common::restore(repository, secrets, &app.lineage, txid(2)).unwrap() == app.captures[&2]
    );
    assert_sound(repository, secrets, &[&app, &web], "kept");
    assert!(plan_prune(repository, secrets, &options(in_days(2))).unwrap().is_empty());

    let pin = key(&format!("{}/pins/{}-{pin}", app.lineage.key(), txid(2)));
    assert!(world.memory.remove(&pin).unwrap());
    assert_eq!(prune_at(repository, secrets, in_days(3)).unwrap(), (announced, 0));
    assert_eq!(prune_at(repository, secrets, in_days(4)).unwrap(), (0, announced));
    assert_sound(repository, secrets, &[&app, &web], "removed");
}

/// Between plan and removal somebody pins what was to go: it stays, and the rest goes.
#[test]
fn what_is_wanted_meanwhile_stays() {
    let Four { world, app, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let files = repository.listing(&app.lineage).unwrap().files;
    let inputs: Vec<_> = files.into_iter().filter(|file| file.name.level == 0).collect();
    let name = LtxName { level: 1, min: txid(2), ..inputs[2].name };
    let merged = Merge { name, inputs };
    merge(repository, &app.lineage, &merged, Some(secrets), &NoCopies).unwrap();
    let wishes: Vec<Wish> = all[..3].iter().copied().map(Wish::Backup).collect();
    forget_at(repository, secrets, &wishes, Time::now()).unwrap();
    prune_at(repository, secrets, Time::now()).unwrap();
    let plan = plan_prune(repository, secrets, &options(in_days(2))).unwrap();
    let planned = plan.remove().count() as u64;
    repository.write_pin(&app.lineage, txid(1), BackupId::random()).unwrap();
    let report = prune(repository, secrets, &plan, "pi", &options(in_days(2))).unwrap();
    assert!(report.removed_objects > 0 && report.removed_objects < planned, "{report:?}");
    assert!(
        common::restore(repository, secrets, &app.lineage, txid(1)).unwrap() == app.captures[&1]
    );
    assert_sound(repository, secrets, &[&app, &web], "left");
}

#[test]
fn a_lineage_that_another_has_superseded_goes_with_its_last_backup() {
    let Four { world, app: old, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let mut app = old.clone();
    app.lineage = new_lineage("pi", "app");
    (app.last, app.captured) = (0, Vec::new());
    let fifth = backup(repository, &mut [&mut app]).unwrap().id;
    let wishes: Vec<Wish> = all[..3].iter().copied().map(Wish::Backup).collect();
    forget_at(repository, secrets, &wishes, Time::now()).unwrap();
    prune_at(repository, secrets, in_days(2)).unwrap();
    let of_old = || {
        let below = format!("{}/", old.lineage.key());
        keys(&world.memory).into_iter().filter(|key| key.as_str().starts_with(&below)).count()
    };
    assert!(of_old() > 3, "its newest backup is there");

    forget_at(repository, secrets, &[Wish::Backup(all[3])], Time::now()).unwrap();
    // It was written to just now.
    let plan = plan_prune(repository, secrets, &options(Time::now())).unwrap();
    assert!(plan.announce.iter().all(|object| object.why == Why::NotNeeded), "{plan:?}");
    let plan = plan_prune(repository, secrets, &options(in_days(3))).unwrap();
    let last = plan.announce.last().unwrap();
    assert_eq!(last.key, key(&format!("{}/origin.json.zst.age", old.lineage.key())));
    prune_at(repository, secrets, in_days(3)).unwrap();
    assert_sound(repository, secrets, &[&old, &app, &web], "announced");
    prune_at(repository, secrets, in_days(5)).unwrap();
    assert_eq!(of_old(), 0, "{:?}", keys(&world.memory));
    assert_sound(repository, secrets, &[&app, &web], "gone");
    assert_eq!(ids(repository), [fifth].into());
}

/// A lineage that goes as a whole, and to which somebody writes between plan and removal.
#[test]
fn what_is_written_to_meanwhile_is_left_for_later() {
    let Four { world, app: old, web, ids: all } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let mut app = old.clone();
    app.lineage = new_lineage("pi", "app");
    (app.last, app.captured) = (0, Vec::new());
    backup(repository, &mut [&mut app]).unwrap();
    let wishes: Vec<Wish> = all.iter().copied().map(Wish::Backup).collect();
    forget_at(repository, secrets, &wishes, Time::now()).unwrap();
    prune_at(repository, secrets, in_days(2)).unwrap();
    let plan = plan_prune(repository, secrets, &options(in_days(3))).unwrap();
    assert!(plan.remove().count() > 3);
    repository.write_pin(&old.lineage, txid(1), BackupId::random()).unwrap();
    let report = prune(repository, secrets, &plan, "pi", &options(in_days(3))).unwrap();
    assert_eq!((report.removed_objects, report.busy_lineages), (0, 1));
    assert!(
        common::restore(repository, secrets, &old.lineage, txid(1)).unwrap() == old.captures[&1]
    );
    assert_sound(repository, secrets, &[&old, &app, &web], "left");
}

/// What killed processes leave: parts of a file, an origin alone, a pin without a manifest.
#[test]
fn what_was_left_unfinished_goes_when_it_is_old() {
    let Four { world, app, web, .. } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    prune_at(repository, secrets, Time::now()).unwrap();
    prune_at(repository, secrets, in_days(1)).unwrap();
    let before = keys(&world.memory);
    let part = before.iter().find(|key| key.as_str().ends_with(".0001")).unwrap();
    let part = key(&part.as_str().replace("/ltx/0/", "/ltx/2/"));
    world.memory.put(&part, b"half").unwrap();
    let alone = Database::new("pi", "alone", 1);
    alone.begin_lineage(repository).unwrap();
    let pin = BackupId::random();
    repository.write_pin(&app.lineage, txid(1), pin).unwrap();

    assert_eq!(prune_at(repository, secrets, Time::now()).unwrap(), (0, 0));
    assert!(steps(repository, secrets, &[], Time::now()).unwrap().is_empty());
    let steps = steps(repository, secrets, &[], in_days(1)).unwrap();
    assert!(
        matches!(&steps[..], [ForgetStep::RemovePin(key)] if key.as_str().ends_with(&pin.to_string()))
    );
    forget(repository, &steps, &host_key()).unwrap();
    let plan = plan_prune(repository, secrets, &options(in_days(1))).unwrap();
    assert!(plan.announce.iter().all(|object| object.why == Why::Unfinished), "{plan:?}");
    assert_eq!(prune_at(repository, secrets, in_days(1)).unwrap(), (2, 0));
    assert_eq!(prune_at(repository, secrets, in_days(2)).unwrap(), (0, 2));
    let notices = |key: &lifeboat_storage::Key| !key.as_str().starts_with("deletions/");
    let but_notices = |keys: Vec<_>| keys.into_iter().filter(notices).collect::<Vec<_>>();
    assert_eq!(but_notices(keys(&world.memory)), but_notices(before));
    assert_sound(repository, secrets, &[&app, &web], "tidy");
}

/// Whatever is damaged keeps what is left of it.
#[test]
fn a_damaged_lineage_and_foreign_objects_are_left_alone() {
    let Four { world, app, ids: all, .. } = four();
    let (repository, secrets) = (&world.repository, &world.secrets);
    let foreign = key(&format!("{}/notes.txt", app.lineage.key()));
    world.memory.put(&foreign, b"not ours").unwrap();
    let wishes: Vec<Wish> = all[..2].iter().copied().map(Wish::Backup).collect();
    forget_at(repository, secrets, &wishes, Time::now()).unwrap();
    let last = keys(&world.memory)
        .into_iter()
        .find(|key| {
            key.as_str().contains("/app/") && key.as_str().contains("/ltx/0/0000000000000004")
        })
        .unwrap();
    let bytes = read(&world.memory, &last);
    world.memory.remove(&last).unwrap();
    let plan = plan_prune(repository, secrets, &options(in_days(2))).unwrap();
    assert!(removed(&plan) == 0 && plan.announce.is_empty(), "{plan:?}");
    assert_eq!(plan.findings.len(), 1, "{plan:?}");
    assert_eq!(plan.findings[0].key, app.lineage.key().as_str());
    world.memory.put(&last, &bytes).unwrap();
    prune_at(repository, secrets, in_days(2)).unwrap();
    prune_at(repository, secrets, in_days(4)).unwrap();
    assert!(world.memory.stat(&foreign).unwrap().is_some());
}

/// Every storage operation of a forget and of both runs of a prune fails in turn.
#[test]
fn a_failure_anywhere_harms_nothing_and_the_next_run_finishes() {
    let Four { world, app, web, ids: all } = four();
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

/// All keys, notices by their number: their names are random.
fn expected_keys(storage: &dyn Storage) -> Vec<String> {
    let mut keys: Vec<String> = keys(storage).iter().map(ToString::to_string).collect();
    keys.retain(|key| !key.starts_with("deletions/"));
    keys
}

mod model {
    //! Random sequences against what they should mean.

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Change(usize),
        Backup {
            both: bool,
        },
        Base,
        NewLineage,
        Forget {
            which: usize,
            source: Option<bool>,
        },
        Prune {
            grace_days: u64,
        },
        Clock {
            days: i64,
        },
        /// The next act is killed at this operation.
        Kill(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (1_usize..9).prop_map(Act::Change),
            5 => any::<bool>().prop_map(|both| Act::Backup { both }),
            1 => Just(Act::Base),
            1 => Just(Act::NewLineage),
            4 => (0_usize..9, prop::option::of(any::<bool>()))
                .prop_map(|(which, source)| Act::Forget { which, source }),
            4 => (0_u64..3).prop_map(|grace_days| Act::Prune { grace_days }),
            3 => (-2_i64..4).prop_map(|days| Act::Clock { days }),
            3 => (0_usize..25).prop_map(Act::Kill),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..Default::default() })]

        #[test]
        fn every_kept_backup_comes_back_at_each_step(acts in prop::collection::vec(act(), 1..30)) {
            play(&acts);
        }
    }

    fn play(acts: &[Act]) {
        let world = World::new();
        let secrets = &world.secrets;
        let faulty = Faulty::new(world.memory.clone(), None);
        let repository = open(Arc::new(faulty.clone()));
        let (mut app, mut web) = (Database::new("pi", "app", 6), Database::new("pi", "web", 2));
        // Lineages that were left, with what they were at each capture.
        let mut former: Vec<Database> = Vec::new();
        let (mut days, mut based) = (1, 0);
        let (mut seed, mut kill) = (1, None);
        let mut kept: BTreeSet<BackupId> = BTreeSet::new();
        for act in acts {
            let at = match act {
                Act::Change(_) | Act::NewLineage | Act::Clock { .. } | Act::Kill(_) => None,
                _ => kill.take(),
            };
            faulty.reset(at.map(|at| Fault { at, kind: FaultKind::FromThenOn }));
            let result = match act {
                Act::Change(page) => {
                    seed += 1;
                    app.change((*page).min(app.pages.len() + 1), seed);
                    web.change(1 + page % 2, seed);
                    Ok(())
                }
                Act::Backup { both } => {
                    let mut databases = vec![&mut app];
                    databases.extend(both.then_some(&mut web));
                    backup(&repository, &mut databases).map(|manifest| {
                        kept.insert(manifest.id);
                    })
                }
                Act::Base if app.last > 1 && app.captured == app.pages && based < app.last => {
                    based = app.last;
                    app.write_base(&repository, based)
                }
                Act::NewLineage => {
                    former.push(app.clone());
                    app.lineage = new_lineage("pi", "app");
                    (app.last, app.captured, based) = (0, Vec::new(), 0);
                    Ok(())
                }
                Act::Forget { which, source } => {
                    let Some(id) = kept.iter().nth(which % kept.len().max(1)).copied() else {
                        continue;
                    };
                    let wish = match source {
                        None => Wish::Backup(id),
                        Some(app) => {
                            Wish::Sources(id, vec![if *app { "app" } else { "web" }.to_owned()])
                        }
                    };
                    forget_at(&repository, secrets, &[wish], in_days(days))
                }
                Act::Prune { grace_days } => {
                    let grace = Duration::from_secs(grace_days * 24 * 60 * 60);
                    let options = PruneOptions { grace, ..options(in_days(days)) };
                    plan_prune(&repository, secrets, &options)
                        .and_then(|plan| {
                            assert!(plan.findings.is_empty(), "{plan:?}");
                            prune(&repository, secrets, &plan, "pi", &options)
                        })
                        .map(|_| ())
                }
                Act::Clock { days: step } => {
                    days += step;
                    app.clock_ms = (app.clock_ms + step * DAY_MS).max(app.clock_ms);
                    Ok(())
                }
                Act::Kill(at) => {
                    kill = Some(*at);
                    Ok(())
                }
                Act::Base => Ok(()),
            };
            faulty.reset(None);
            if result.is_err() {
                assert!(at.is_some(), "{act:?}: {result:?}");
                // A lineage that is not known to be whole is given up, as the application does.
                for database in [&mut app, &mut web] {
                    if database.last == 0 {
                        database.lineage = new_lineage(&database.host, &database.name);
                    }
                }
            }
            // A forget or backup that failed half-way has or has not happened.
            let now = ids(&repository);
            if at.is_none() {
                if let Act::Forget { source: None, .. } = act {
                    assert_eq!(now.len() + 1, kept.len());
                } else if !matches!(act, Act::Forget { .. }) {
                    assert_eq!(now, kept, "{act:?}");
                }
            } else {
                let lost = kept.difference(&now).count();
                assert!(lost == 0 || lost == 1 && matches!(act, Act::Forget { .. }), "{act:?}");
            }
            kept = now;
            let mut databases: Vec<&Database> = former.iter().collect();
            databases.extend([&app, &web]);
            assert_sound(&repository, secrets, &databases, &format!("{act:?}"));
        }
    }
}
