//! What a prune takes, and what it leaves.

use super::*;

#[test]
fn prune_announces_waits_and_removes() {
    let Backups { world, app, web, ids: all } = four();
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
    let Backups { world, app, web, ids: all } = four();
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
        crate::common::restore(repository, secrets, &app.lineage, txid(2)).unwrap()
            == app.captures[&2]
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
    let Backups { world, app, web, ids: all } = four();
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
        crate::common::restore(repository, secrets, &app.lineage, txid(1)).unwrap()
            == app.captures[&1]
    );
    assert_sound(repository, secrets, &[&app, &web], "left");
}

#[test]
fn a_lineage_that_another_has_superseded_goes_with_its_last_backup() {
    let Backups { world, app: old, web, ids: all } = four();
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
    let Backups { world, app: old, web, ids: all } = four();
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
        crate::common::restore(repository, secrets, &old.lineage, txid(1)).unwrap()
            == old.captures[&1]
    );
    assert_sound(repository, secrets, &[&old, &app, &web], "left");
}

/// What killed processes leave: parts of a file, an origin alone, a pin without a manifest.
#[test]
fn what_was_left_unfinished_goes_when_it_is_old() {
    let Backups { world, app, web, .. } = four();
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
    let Backups { world, app, ids: all, .. } = four();
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
