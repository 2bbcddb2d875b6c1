//! What becomes of lineages that are left, of notices, and of what was forgotten.

use super::*;

/// A lineage that another has superseded keeps its points as long as the ladder says.
#[test]
fn a_superseded_lineage_gets_old_like_any_other() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let old = history(repository, 24);
    let all = all_points(repository, &old);
    let mut app = old.clone();
    app.lineage = new_lineage("pi", "app");
    (app.last, app.captured) = (0, Vec::new());
    // Nobody writes to the old one for a day, by the clock of the storage.
    let real = Time::now().millis() + 2 * DAY_MS;
    let shift = real - app.clock_ms;
    backup(repository, &mut [&mut app]).unwrap();
    let quiet = Time::from_millis(app.clock_ms + shift);
    // With a ladder that reaches back so far, all of it.
    let long = |_: &DatabaseAddress| {
        let rungs = vec!["all for 30d".to_owned()];
        Ladder::try_from(rungs).unwrap()
    };
    let options = PruneOptions { now: quiet, ..PruneOptions::default() };
    let plan = plan_prune(repository, secrets, &long, &options).unwrap();
    let wanted = repository.listing(&old.lineage).unwrap().pins;
    assert_eq!(wanted.len(), 3);
    assert_eq!(plan.announce.len(), 0);
    // With a short one, what backups hold, and no more.
    prune_at(repository, secrets, quiet).unwrap();
    let later = Time::from_millis(quiet.millis() + DAY_MS);
    prune_at(repository, secrets, later).unwrap();
    for name in repository.backups().unwrap() {
        assert_restores(repository, secrets, &name, &[&old, &app]);
    }
    assert!(world.check().is_clean());
    let last = repository.listing(&old.lineage).unwrap().last();
    assert_eq!((last, all.last().map(|point| point.0)), (Some(txid(21)), Some(24)));
}

/// Notices of what is gone become one, and manifests that name it are still excused.
#[test]
fn notices_do_not_pile_up() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let mut app = Database::new("pi", "app", 6);
    let notices = || {
        let keys = keys(&world.memory);
        keys.iter().filter(|key| key.as_str().starts_with("deletions/")).count()
    };
    let (mut most, mut condensed) = (0, 0);
    for day in 0..45 {
        for number in 1..=9 {
            grow_on(repository, &mut app, day * 9 + number);
        }
        let now = minutes_after(&app, 40);
        compact_at(repository, secrets, now);
        let report = prune_at(repository, secrets, now).unwrap();
        condensed += report.condensed_notices;
        most = most.max(notices());
        app.clock_ms += DAY_MS;
        if day % 5 == 4 {
            let report = world.check();
            assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
        }
    }
    assert!(most <= 36 && condensed >= 25, "{most} notices, {condensed} condensed");
    let names = repository.backups().unwrap();
    let named = |name| repository.manifest(name, secrets).unwrap().manifest.sources;
    let gone = names.iter().flat_map(named).any(|source| {
        let objects = source.database().unwrap().objects.clone();
        objects.iter().any(|object| world.memory.stat(&key(&object.key)).unwrap().is_none())
    });
    assert!(gone, "manifests name what is gone");
    for name in &names {
        assert_restores(repository, secrets, name, &[&app]);
    }
}

/// What could bring a forgotten backup back goes when its time is over; nothing else there does.
#[test]
fn what_was_forgotten_long_ago_goes() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let app = history(repository, 7);
    let now = minutes_after(&app, 1);
    let manifest = repository.backups().unwrap()[0].key().unwrap();
    let file = manifest.as_str().strip_prefix("backups/").unwrap();
    let forgotten = key(&format!("forgotten/{}/{file}", now.name()));
    let foreign = key(&format!("forgotten/{}/notes", now.name()));
    for key in [&forgotten, &foreign] {
        world.memory.put(key, &read(&world.memory, &manifest)).unwrap();
    }
    let there = |key| world.memory.stat(key).unwrap().is_some();
    prune_at(repository, secrets, Time::from_millis(now.millis() + DAY_MS - 1)).unwrap();
    assert!(there(&forgotten));
    let scope = Some(app.lineage.database().clone());
    let later = Time::from_millis(now.millis() + DAY_MS);
    let options = PruneOptions { now: later, scope, ..PruneOptions::default() };
    let plan = plan_prune(repository, secrets, &ladder, &options).unwrap();
    assert_eq!(plan.remove().filter(|object| object.key == forgotten).count(), 0);
    let report = prune_at(repository, secrets, later).unwrap();
    assert!(report.removed_objects >= 1 && !there(&forgotten) && there(&foreign), "{report:?}");
    let grace = Duration::ZERO;
    let options = PruneOptions { now: later, grace, ..PruneOptions::default() };
    assert_eq!(plan_prune(repository, secrets, &ladder, &options).unwrap().remove().count(), 0);
}
