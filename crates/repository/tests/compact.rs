//! Compaction and what goes after it: whatever is merged, removed, killed or damaged, every promised
//! point comes back byte for byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Database, World, assert_restores, backup, checked, copy, host_key, key, keys, new_lineage,
    read, restore, txid,
};
use lifeboat_ltx::{PageCoding, Txid, TxidRange};
use lifeboat_repository::{
    CompactReport, DatabaseAddress, Known, Ladder, LineageAddress, LocalCopies, MergeOutcome,
    NoCopies, NotMerged, PruneOptions, PruneReport, Repository, Result, Secrets, Time, Wish,
    compact, compact_as_planned, forget, merge, open_ltx, plan_compact, plan_forget, plan_merges,
    plan_prune, points, promised, prune,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{MemoryStorage, Storage, seal_bytes};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const KINDS: [FaultKind; 3] = [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear];

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
    let mut names = repository.backups().unwrap();
    names.reverse();
    let manifests: Vec<_> =
        names.iter().map(|name| repository.manifest(name, secrets).unwrap().manifest).collect();
    let known = names.iter().zip(&manifests);
    let known: Vec<Known<'_>> =
        known.map(|(name, manifest)| Known { name, manifest: Some(manifest) }).collect();
    let wishes: Vec<Wish> = names[..count].iter().map(|name| Wish::Backup(name.id)).collect();
    let steps = plan_forget(repository, &known, &wishes, now).unwrap();
    forget(repository, &steps, &host_key()).unwrap();
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

/// A merge that is damaged before it is read back, or later, costs nothing.
#[test]
fn a_damaged_merge_takes_no_ones_place() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let all = all_points(repository, &app);
    let now = minutes_after(&app, 30);
    assert!(compact_at(repository, secrets, now).merges > 3);
    let merged = keys(&world.memory).into_iter().find(|key| key.as_str().contains("/ltx/2/"));
    let merged = merged.unwrap();
    let bytes = read(&world.memory, &merged);
    let inputs: Vec<_> = keys(&world.memory)
        .into_iter()
        .filter(|key| key.as_str().contains("/ltx/0/") || key.as_str().contains("/ltx/1/"))
        .collect();
    let half = bytes.len() / 2;
    world.memory.damage(&merged, |bytes| bytes[half] ^= 1);

    let name = merged.as_str().rsplit('/').next().unwrap();
    let (min, max) = (name[..16].parse::<Txid>().unwrap(), name[17..33].parse::<Txid>().unwrap());
    let stays = |key: &lifeboat_storage::Key| {
        let name = key.as_str().rsplit('/').next().unwrap();
        name[..16].parse::<Txid>().unwrap() <= max && name[17..33].parse::<Txid>().unwrap() >= min
    };
    for days in [0, 1, 2] {
        let now = Time::from_millis(now.millis() + days * DAY_MS);
        let report = prune_at(repository, secrets, now).unwrap();
        assert!(report.findings.iter().any(|finding| finding.key == merged.as_str()), "{report:?}");
        let left = keys(&world.memory);
        assert!(inputs.iter().filter(|key| stays(key)).all(|key| left.contains(key)));
    }
    // Mended, it takes their place.
    world.memory.remove(&merged).unwrap();
    world.memory.put(&merged, &bytes).unwrap();
    for days in [3, 4] {
        let now = Time::from_millis(now.millis() + days * DAY_MS);
        assert!(prune_at(repository, secrets, now).unwrap().findings.is_empty());
        let promised = promised_of(repository, &app, &all, now);
        assert_restorable(repository, secrets, &app, &promised, "mended");
    }
    let left = keys(&world.memory);
    assert!(!inputs.iter().filter(|key| stays(key)).all(|key| left.contains(key)));
}

/// Flips a bit of each merge that is stored.
#[derive(Debug)]
struct Flipping(MemoryStorage);

struct FlippingUpload(Box<dyn lifeboat_storage::Upload>, MemoryStorage);

impl Storage for Flipping {
    fn location(&self) -> String {
        self.0.location()
    }

    fn begin(&self) -> lifeboat_storage::Result<Box<dyn lifeboat_storage::Upload>> {
        Ok(Box::new(FlippingUpload(self.0.begin()?, self.0.clone())))
    }

    fn read(
        &self,
        key: &lifeboat_storage::Key,
        range: Option<std::ops::Range<u64>>,
    ) -> lifeboat_storage::Result<Box<dyn Read + Send>> {
        self.0.read(key, range)
    }

    fn stat(
        &self,
        key: &lifeboat_storage::Key,
    ) -> lifeboat_storage::Result<Option<lifeboat_storage::Entry>> {
        self.0.stat(key)
    }

    fn list(
        &self,
        directory: Option<&lifeboat_storage::Key>,
    ) -> lifeboat_storage::Result<Vec<lifeboat_storage::Entry>> {
        self.0.list(directory)
    }

    fn list_names(
        &self,
        directory: Option<&lifeboat_storage::Key>,
    ) -> lifeboat_storage::Result<Vec<lifeboat_storage::Child>> {
        self.0.list_names(directory)
    }

    fn remove(&self, key: &lifeboat_storage::Key) -> lifeboat_storage::Result<bool> {
        self.0.remove(key)
    }
}

impl Write for FlippingUpload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl lifeboat_storage::Upload for FlippingUpload {
    fn set_modified(&mut self, modified: std::time::SystemTime) {
        self.0.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &lifeboat_storage::Key) -> lifeboat_storage::Result<()> {
        let Self(inner, storage) = *self;
        inner.publish(key)?;
        storage.damage(key, |bytes| *bytes.last_mut().unwrap() ^= 1);
        Ok(())
    }
}

/// With secrets and, by their sealed bytes alone, without.
#[test]
fn what_is_stored_wrong_is_found_by_reading_it_back() {
    for with_secrets in [true, false] {
        let world = World::new();
        let (repository, secrets) = (&without_parts(&world), &*world.secrets);
        let app = history(repository, 24);
        let copies = Copies::of(repository, secrets, &app);
        let now = minutes_after(&app, 30);
        let flipping = Repository::open(Arc::new(Flipping(world.memory.clone()))).unwrap();
        let report =
            compact_with(&flipping, with_secrets.then_some(secrets), now, &copies).unwrap();
        assert!(report.merges == 0 && report.findings.len() > 3, "{report:?}");
        assert!(report.verified.is_empty() && copies.kept.lock().unwrap().is_empty());
        let found = report.findings.iter().map(|finding| finding.key.as_str());
        assert!(found.clone().all(|key| !key.contains("/ltx/0/")), "{report:?}");
        let before = keys(&world.memory);
        let pruned = prune_at(repository, secrets, now).unwrap();
        assert!(pruned.findings.len() >= report.findings.len() / 2, "{pruned:?}");
        prune_at(repository, secrets, Time::from_millis(now.millis() + DAY_MS)).unwrap();
        let left = keys(&world.memory);
        let captures = before.iter().filter(|key| key.as_str().contains("/ltx/0/"));
        assert!(captures.filter(|key| left.contains(key)).count() > 16);
    }
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

/// Plain copies, as a host has them that captures.
struct Copies {
    plain: Mutex<BTreeMap<TxidRange, Vec<u8>>>,
    begun: Arc<Mutex<Vec<u8>>>,
    kept: Mutex<Vec<TxidRange>>,
}

impl Copies {
    fn of(repository: &Repository, secrets: &Secrets, app: &Database) -> Self {
        let mut plain = BTreeMap::new();
        for file in repository.listing(&app.lineage).unwrap().files {
            let (node, expected) = (app.lineage.id().node(), HashMap::new());
            let storage = repository.storage();
            let (decoder, _) = open_ltx(storage, &file, node, &expected, secrets).unwrap();
            let coding = PageCoding::Literal;
            let (bytes, ..) = lifeboat_ltx::compact(vec![decoder], Vec::new(), coding).unwrap();
            plain.insert(file.name.range(), bytes);
        }
        Self { plain: Mutex::new(plain), begun: Arc::default(), kept: Mutex::default() }
    }
}

struct Begun(Arc<Mutex<Vec<u8>>>);

impl Write for Begun {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl LocalCopies for Copies {
    fn open(&self, _: &LineageAddress, range: TxidRange) -> Option<Box<dyn Read + Send>> {
        let bytes = self.plain.lock().unwrap().get(&range)?.clone();
        Some(Box::new(Cursor::new(bytes)))
    }

    fn keep(&self, _: &LineageAddress, _: TxidRange) -> Option<Box<dyn Write + Send>> {
        self.begun.lock().unwrap().clear();
        Some(Box::new(Begun(self.begun.clone())))
    }

    fn kept(&self, _: &LineageAddress, range: TxidRange) {
        let bytes = self.begun.lock().unwrap().clone();
        self.plain.lock().unwrap().insert(range, bytes);
        self.kept.lock().unwrap().push(range);
    }
}

#[test]
fn who_has_no_secrets_merges_what_is_at_hand() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let app = history(repository, 60);
    let now = minutes_after(&app, 30);
    let report = compact_with(repository, None, now, &NoCopies).unwrap();
    assert!(report.merges == 0 && report.skipped_without_secrets > 5, "{report:?}");

    let copies = Copies::of(repository, secrets, &app);
    let report = compact_with(repository, None, now, &copies).unwrap();
    assert!(report.skipped == 0 && report.findings.is_empty(), "{report:?}");
    assert_eq!(copies.kept.lock().unwrap().len() as u64, report.merges);
    let promised = promised_of(repository, &app, &all_points(repository, &app), now);
    assert_restorable(repository, secrets, &app, &promised, "from copies");
    prune_at(repository, secrets, now).unwrap();
    prune_at(repository, secrets, Time::from_millis(now.millis() + DAY_MS)).unwrap();
    let backed_up: Vec<u64> = (1..=8).map(|number| number * 7).collect();
    assert_restorable(repository, secrets, &app, &backed_up, "pruned");
}

/// A copy that is damaged is done without, where the stored file can be opened.
#[test]
fn a_damaged_copy_is_no_damage() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let now = minutes_after(&app, 30);
    let copies = Copies::of(repository, secrets, &app);
    for bytes in copies.plain.lock().unwrap().values_mut() {
        let half = bytes.len() / 2;
        bytes[half] ^= 1;
    }
    let other = copy(&world.memory);
    let others = Repository::open(Arc::new(other.clone())).unwrap();
    let without = compact_with(&others, None, now, &copies).unwrap();
    assert!(without.merges == 0 && !without.findings.is_empty(), "{without:?}");
    assert_eq!(keys(&other).len(), keys(&world.memory).len(), "nothing of it is stored");
    let report = compact_with(repository, Some(secrets), now, &copies).unwrap();
    assert!(report.merges > 3 && report.findings.is_empty(), "{report:?}");
    let promised = promised_of(repository, &app, &all_points(repository, &app), now);
    assert_restorable(repository, secrets, &app, &promised, "past the copies");
}

/// What a manifest says of an object holds for merges, too: one that was exchanged is not merged.
#[test]
fn what_was_exchanged_is_not_merged() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let files = repository.listing(&app.lineage).unwrap().files;
    let fifth = files.iter().find(|file| file.name.range() == TxidRange::single(txid(5))).unwrap();
    let copies = Copies::of(repository, secrets, &app);
    let plain = copies.plain.lock().unwrap()[&fifth.name.range()].clone();
    let recipient = repository.recipient().unwrap().recipient.parse().unwrap();
    world.memory.remove(fifth.first_key()).unwrap();
    world.memory.put(fifth.first_key(), &seal_bytes(&plain, &[recipient]).unwrap()).unwrap();
    let report = compact_at(repository, secrets, minutes_after(&app, 30));
    assert!(report.merges > 1, "others are: {report:?}");
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.key.as_str()).collect();
    assert_eq!(found, [fifth.first_key().as_str()], "{report:?}");
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
