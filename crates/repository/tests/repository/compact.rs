//! Compaction and what goes after it: whatever is merged, removed, killed or damaged, every promised
//! point comes back byte for byte.

mod copies;
mod damage;
mod lineages;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_ltx::{PageCoding, Txid, TxidRange};
use lifeboat_repository::{
    CompactReport, DatabaseAddress, Ladder, LineageAddress, LocalCopies, MergeOutcome, NoCopies,
    NotMerged, PruneOptions, PruneReport, Repository, Result, Secrets, Time, Wish, compact,
    compact_as_planned, merge, open_ltx, plan_compact, plan_merges, plan_prune, points, promised,
    prune,
};
use lifeboat_storage::testing::{Fault, Faulty, Meddle, Meddling};
use lifeboat_storage::{Key, MemoryStorage, Storage, Upload, seal_bytes};

use crate::common::forgetting::forget_at;
use crate::common::{
    DAY_MS, Database, KINDS, MINUTE_MS, World, assert_restores, backup, checked, copy, key, keys,
    new_lineage, read, restore, txid,
};

/// Captures come every minute.
fn ladder(_: &DatabaseAddress) -> Ladder {
    let rungs = ["all for 10m", "5m for 1h", "30m for 4h"].map(str::to_owned);
    Ladder::try_from(rungs.to_vec()).unwrap()
}

/// A repository whose files have no parts: whether they do may depend on what age adds at random.
fn without_parts(world: &World) -> Repository {
    Repository::open(Arc::new(world.memory.clone())).unwrap()
}

fn compact_with(
    repository: &Repository,
    secrets: Option<&Secrets>,
    now: Time,
    copies: &dyn LocalCopies,
) -> Result<CompactReport> {
    compact(repository, secrets, None, &ladder, now, copies, &mut |_| {})
}

fn compact_at(repository: &Repository, secrets: &Secrets, now: Time) -> CompactReport {
    compact_with(repository, Some(secrets), now, &NoCopies).unwrap()
}

fn prune_at(repository: &Repository, secrets: &Secrets, now: Time) -> Result<PruneReport> {
    let options = PruneOptions { now, ..PruneOptions::default() };
    let plan = plan_prune(repository, secrets, &ladder, &options)?;
    assert!(plan.findings.is_empty(), "{plan:?}");
    prune(repository, secrets, &plan, "pi", &options)
}

/// A database of some captures, one a minute; every seventh is a backup. It grows and shrinks, and
/// has a second base.
fn history(repository: &Repository, captures: u64) -> Database {
    let mut app = Database::new("pi", "app", 6);
    for number in 1..=captures {
        grow_on(repository, &mut app, number);
    }
    app
}

fn grow_on(repository: &Repository, app: &mut Database, number: u64) {
    let page = 1 + usize::try_from(number).unwrap() * 5 % 9;
    app.change(page.min(app.pages.len() + 1), number);
    if number.is_multiple_of(11) {
        app.pages.truncate(4);
    }
    match number {
        1 => app.begin_lineage(repository).unwrap(),
        number if number.is_multiple_of(7) => {
            backup(repository, &mut [app]).unwrap();
            return;
        }
        _ => {}
    }
    app.capture(repository).unwrap();
    if number == 40 {
        let clock_ms = app.clock_ms;
        app.write_base(repository, 40).unwrap();
        app.clock_ms = clock_ms;
    }
}

fn minutes_after(app: &Database, minutes: i64) -> Time {
    Time::from_millis(app.clock_ms + minutes * MINUTE_MS)
}

/// What is promised at a time, from all captures: no matter which of them are there.
fn promised_of(repository: &Repository, app: &Database, all: &[(u64, i64)], now: Time) -> Vec<u64> {
    let listing = repository.listing(&app.lineage).unwrap();
    let wanted = listing.pins.iter().map(|(txid, _)| *txid).collect();
    let points: Vec<_> = all
        .iter()
        .map(|(number, ms)| lifeboat_repository::Point {
            txid: txid(*number),
            time: Time::from_millis(*ms),
        })
        .collect();
    let promised = promised(&points, &wanted, &ladder(app.lineage.database()), now, false);
    promised.into_iter().map(Txid::get).collect()
}

fn all_points(repository: &Repository, app: &Database) -> Vec<(u64, i64)> {
    let files = repository.listing(&app.lineage).unwrap().files;
    points(&files).iter().map(|point| (point.txid.get(), point.time.millis())).collect()
}

/// Every one of these transactions is restored and compared, and nothing is damaged.
fn assert_restorable(
    repository: &Repository,
    secrets: &Secrets,
    app: &Database,
    txids: &[u64],
    what: &str,
) {
    for number in txids {
        let found = restore(repository, secrets, &app.lineage, txid(*number));
        let bytes = found.unwrap_or_else(|error| panic!("{what}: {number}: {error}"));
        assert!(bytes == app.captures[number], "{what}: {number}");
    }
    for name in repository.backups().unwrap() {
        assert_restores(repository, secrets, &name, &[app]);
    }
    let report = checked(repository, secrets);
    assert!(report.is_clean() && report.lost.is_empty(), "{what}: {report:?}");
}

fn forget_first(repository: &Repository, secrets: &Secrets, count: usize, now: Time) {
    let oldest = repository.backups().unwrap().into_iter().rev();
    let wishes: Vec<Wish> = oldest.take(count).map(|name| Wish::Backup(name.id)).collect();
    forget_at(repository, secrets, &wishes, now).unwrap();
}

fn ltx_files(repository: &Repository, app: &Database) -> usize {
    repository.listing(&app.lineage).unwrap().files.len()
}

fn litestream() -> (Repository, Secrets) {
    let repository = Repository::init_litestream(Arc::new(MemoryStorage::new())).unwrap();
    (repository, Secrets::none())
}

#[test]
fn what_is_promised_comes_back_as_time_goes_by() {
    let world = World::new();
    let sealed = (&world.repository, &*world.secrets);
    let (plain, none) = litestream();
    for (repository, secrets) in [sealed, (&plain, &none)] {
        let app = history(repository, 90);
        let all = all_points(repository, &app);
        assert_eq!(all.len(), 90);
        let mut files = ltx_files(repository, &app);
        let mut deleted = BTreeSet::new();
        // At first everything is in the ladder; an hour, a day, three days later less of it.
        for (minutes, forgotten, most) in
            [(1, 0, 200), (70, 3, 60), (1500, 2, 60), (4320, 2, 14), (7200, 3, 10)]
        {
            let what = format!("{:?} after {minutes} minutes", repository.form());
            let now = minutes_after(&app, minutes);
            forget_first(repository, secrets, forgotten, now);
            let promised = promised_of(repository, &app, &all, now);
            let report = compact_at(repository, secrets, now);
            assert!(report.findings.is_empty() && report.skipped == 0, "{what}: {report:?}");
            assert_restorable(repository, secrets, &app, &promised, &what);
            let again = compact_at(repository, secrets, now);
            assert_eq!(again.merges, 0, "{what}: {again:?}");

            let announced = prune_at(repository, secrets, now).unwrap();
            assert!(announced.findings.is_empty(), "{announced:?}");
            assert_restorable(repository, secrets, &app, &promised, &what);
            let before: BTreeSet<_> = keys(repository.storage()).into_iter().collect();
            let later = Time::from_millis(now.millis() + DAY_MS);
            let promised = promised_of(repository, &app, &all, later);
            prune_at(repository, secrets, later).unwrap();
            assert_restorable(repository, secrets, &app, &promised, &what);
            let after: BTreeSet<_> = keys(repository.storage()).into_iter().collect();
            deleted.extend(before.difference(&after).cloned());
            let left = ltx_files(repository, &app);
            assert!(left <= most && left <= files + 40, "{what}: {left} files");
            files = left;
        }
        assert!(deleted.len() > 80, "{}", deleted.len());
        // Backups name objects that were merged away, and come back by other ways.
        assert_eq!(repository.backups().unwrap().len(), 2);
    }
}

#[test]
fn a_failure_anywhere_harms_nothing_and_the_next_run_finishes() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 15);
    let all = all_points(repository, &app);
    let (now, later) = (minutes_after(&app, 30), minutes_after(&app, 30 + 24 * 60));
    type Run<'a> = &'a dyn Fn(&Repository) -> Result<()>;
    let compacting = |repository: &Repository| {
        let report = compact_with(repository, Some(secrets), now, &NoCopies)?;
        assert!(report.findings.is_empty() || report.merges > 0, "{report:?}");
        Ok(())
    };
    let announcing = |repository: &Repository| prune_at(repository, secrets, now).map(|_| ());
    let removing = |repository: &Repository| prune_at(repository, secrets, later).map(|_| ());
    let phases: [(&str, Time, Run<'_>); 3] = [
        ("compact", now, &compacting),
        ("announce", now, &announcing),
        ("remove", later, &removing),
    ];
    let mut memory = world.memory.clone();
    for (name, time, run) in phases {
        let recording = Faulty::new(copy(&memory), None);
        let repository = Repository::open(Arc::new(recording.clone())).unwrap();
        recording.reset(None);
        run(&repository).unwrap();
        let operations = recording.operations();
        let but_notices = |repository: &Repository| -> Vec<String> {
            let keys = keys(repository.storage()).into_iter().map(|key| key.to_string());
            keys.filter(|key| !key.starts_with("deletions/")).collect()
        };
        let done = but_notices(&repository);
        for kind in KINDS {
            for (at, operation) in operations.iter().enumerate() {
                let what = format!("{name}: {kind:?} at {at}, {operation:?}");
                let broken = copy(&memory);
                let faulty = Faulty::new(broken.clone(), None);
                let repository = Repository::open(Arc::new(faulty.clone())).unwrap();
                faulty.reset(Some(Fault { at, kind }));
                _ = run(&repository);
                let repository = Repository::open(Arc::new(broken)).unwrap();
                let promised = promised_of(&repository, &app, &all, time);
                for number in &promised {
                    let found = restore(&repository, secrets, &app.lineage, txid(*number));
                    assert!(found.unwrap() == app.captures[number], "{what}: {number}");
                }
                run(&repository).unwrap();
                assert_restorable(&repository, secrets, &app, &promised, &what);
                assert_eq!(but_notices(&repository), done, "{what}");
            }
        }
        let next = copy(&memory);
        run(&Repository::open(Arc::new(next.clone())).unwrap()).unwrap();
        memory = next;
    }
    let left = Repository::open(Arc::new(memory)).unwrap();
    assert!(ltx_files(&left, &app) < 8, "{}", ltx_files(&left, &app));
}

#[test]
fn of_two_compactions_at_once_one_makes_each_merge() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 60);
    let now = minutes_after(&app, 30);
    let plan = plan_compact(repository, Some(secrets), None, &ladder, now).unwrap();
    let made = compact_at(repository, secrets, now);
    let before = keys(&world.memory);
    let second =
        compact_as_planned(repository, &plan, Some(secrets), &NoCopies, &mut |_| {}).unwrap();
    assert_eq!(second.merges, made.merges);
    assert_eq!((second.written_bytes, second.verified.len()), (0, made.verified.len()));
    assert_eq!(keys(&world.memory), before);
    // A name under which there is a part of another upload.
    let listing = repository.listing(&app.lineage).unwrap();
    let several = plan.merges().next().unwrap();
    let merged = listing.files.iter().find(|file| file.name == several.name).unwrap();
    for object in &merged.objects {
        world.memory.remove(&object.key).unwrap();
    }
    let whole = merged.first_key().as_str().split_once(".age").unwrap().0;
    world.memory.put(&key(&format!("{whole}.age.0001")), b"half").unwrap();
    world.memory.put(&key(&format!("{whole}.age.0002")), b"another").unwrap();
    let small = Repository::open(Arc::new(world.memory.clone())).unwrap().with_part_bytes(200);
    let outcome = merge(&small, &app.lineage, several, Some(secrets), &NoCopies).unwrap();
    assert_eq!(outcome, MergeOutcome::Skipped(NotMerged::NameTaken));
}

/// An input that is removed after the plan was made is nothing to fail for.
#[test]
fn what_is_gone_is_planned_anew() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let now = minutes_after(&app, 30);
    let plan = plan_compact(repository, Some(secrets), None, &ladder, now).unwrap();
    let several = plan.merges().next().unwrap().clone();
    let gone = &several.inputs[0].objects[0].key;
    let bytes = read(&world.memory, gone);
    world.memory.remove(gone).unwrap();
    let outcome = merge(repository, &app.lineage, &several, Some(secrets), &NoCopies).unwrap();
    assert_eq!(outcome, MergeOutcome::Skipped(NotMerged::Gone));
    let report =
        compact_as_planned(repository, &plan, Some(secrets), &NoCopies, &mut |_| {}).unwrap();
    assert!(report.skipped > 0 && report.findings.is_empty(), "{report:?}");
    world.memory.put(gone, &bytes).unwrap();
    let outcome = merge(repository, &app.lineage, &several, Some(secrets), &NoCopies).unwrap();
    assert!(matches!(outcome, MergeOutcome::Made { .. }), "{outcome:?}");
}

/// More files than are opened at once become one in several steps.
#[test]
fn hundreds_of_files_become_one() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let mut app = Database::new("pi", "app", 3);
    app.begin_lineage(repository).unwrap();
    for number in 0..290_u64 {
        app.change(1 + usize::try_from(number % 3).unwrap(), number);
        app.capture(repository).unwrap();
        app.clock_ms -= MINUTE_MS - 1000;
    }
    app.change(1, 1000);
    backup(repository, &mut [&mut app]).unwrap();
    let now = Time::from_millis(app.clock_ms + 2 * DAY_MS);
    let files = repository.listing(&app.lineage).unwrap().files;
    let wanted = BTreeSet::from([txid(1), txid(291)]);
    let merges = plan_merges(&files, &wanted, &ladder(app.lineage.database()), now);
    let [span] = &merges[..] else { panic!("{}", merges.len()) };
    assert_eq!((span.name.level, span.inputs.len()), (8, 290));
    let outcome = merge(repository, &app.lineage, span, Some(secrets), &NoCopies).unwrap();
    let MergeOutcome::Made { file, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(file.name.range(), TxidRange::new(txid(2), txid(291)).unwrap());
    assert_restorable(repository, secrets, &app, &[291], "merged");
    assert!(world.check().is_clean());
}
