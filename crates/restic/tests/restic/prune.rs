//! Prunes: what is needed stays, what is not goes, and wherever it is interrupted the repository is sound.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_restic::{
    BlobHandle, BlobKind, CheckOptions, Config, Error, Index, MasterKey, ObjectId, PackId,
    PruneOptions, PruneStats, ResticRepository, SnapshotId, Subset, TreeId, write_key_file,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Locking, Operation};
use lifeboat_storage::{Key, MemoryStorage, Storage};
use proptest::prelude::*;

use crate::common::{Place, have_restic, password, text};
use crate::fixture::{fixture, noise};
use crate::script::{Script, read_all, snapshots};

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn options() -> PruneOptions {
    PruneOptions { pack_bytes: 100_000, ..PruneOptions::default() }
}

fn objects(storage: &dyn Storage) -> BTreeMap<Key, Vec<u8>> {
    let objects = storage.list(None).unwrap().into_iter().map(|entry| {
        let mut bytes = Vec::new();
        storage.read(&entry.key, None).unwrap().read_to_end(&mut bytes).unwrap();
        (entry.key, bytes)
    });
    objects.collect()
}

fn storage_of(objects: &BTreeMap<Key, Vec<u8>>) -> MemoryStorage {
    let storage = MemoryStorage::new();
    objects.iter().for_each(|(key, bytes)| storage.put(key, bytes).unwrap());
    storage
}

fn trees(repository: &ResticRepository) -> Vec<TreeId> {
    repository.snapshots().unwrap().roots().iter().map(|root| root.tree).collect()
}

fn prune(repository: &ResticRepository) -> Result<PruneStats, Error> {
    let plan = repository.plan_prune(trees(repository), &options())?;
    repository.prune(&plan, &options(), &|| Ok(()))
}

fn assert_sound(repository: &ResticRepository) {
    let roots = repository.snapshots().unwrap().roots();
    let options = CheckOptions { read_data: Some(Subset::All), ..CheckOptions::default() };
    let report = repository.check(&roots, &options, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

fn assert_restic_finds_it_sound(objects: &BTreeMap<Key, Vec<u8>>) {
    let place = Place::new();
    for (key, bytes) in objects {
        let path = place.root().join(key.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let run = place.try_restic(&["check", "--read-data"]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
}

/// A repository with packs that are needed, half needed, not needed, and in no index.
struct Old {
    objects: BTreeMap<Key, Vec<u8>>,
    key: MasterKey,
    kept: BTreeMap<SnapshotId, Files>,
}

impl Old {
    fn new() -> Self {
        let (storage, key) = (MemoryStorage::new(), MasterKey::random().unwrap());
        write_key_file(&storage, &key, &password(), "pi").unwrap();
        let config = Config::random().unwrap();
        let repository =
            ResticRepository::init(Arc::new(storage.clone()), key.clone(), &config).unwrap();
        let file = |script: Script, name: &str, seed: u64| {
            script.file(&format!("/{name}"), noise(seed, 30_000))
        };
        let of = |names: &[(&str, u64)]| {
            names.iter().fold(Script::default(), |script, (name, seed)| file(script, name, *seed))
        };
        let all: Vec<(String, u64)> =
            (0..16_u64).map(|seed| (format!("{seed:02}"), seed)).collect();
        let all: Vec<(&str, u64)> = all.iter().map(|(name, seed)| (&**name, *seed)).collect();
        let dropped = of(&all).archive(&repository, None).unwrap().snapshot;
        let half: Vec<_> =
            all.iter().copied().filter(|(_, seed)| seed % 2 == 0 || *seed < 4).collect();
        of(&half[..6]).archive(&repository, None).unwrap();
        of(&[("new", 100), ("zz", 101)]).archive(&repository, None).unwrap();
        let pack = noise(9, 1000);
        storage.put(&PackId::of(&pack).key().unwrap(), &pack).unwrap();
        repository.remove_snapshot(&dropped).unwrap();
        let kept = snapshots(&repository).into_iter();
        let kept = kept.map(|id| (id, read_all(&repository, &id).unwrap())).collect();
        Self { objects: objects(&storage), key, kept }
    }

    fn open(&self, storage: impl Storage + 'static) -> ResticRepository {
        ResticRepository::open(Arc::new(storage), self.key.clone()).unwrap()
    }

    /// Which objects are gone, and how many are new in each directory: the names of new ones are random.
    fn state(&self, left: &BTreeMap<Key, Vec<u8>>) -> (Vec<Key>, Vec<String>) {
        let gone = self.objects.keys().filter(|key| !left.contains_key(key)).cloned();
        let new = left.keys().filter(|key| !self.objects.contains_key(key));
        let directories = new.map(|key| key.as_str().split('/').next().unwrap().to_owned());
        (gone.collect(), directories.collect())
    }

    fn assert_all_kept(&self, repository: &ResticRepository) {
        assert_eq!(snapshots(repository), self.kept.keys().copied().collect::<Vec<_>>());
        for (id, files) in &self.kept {
            assert!(read_all(repository, id).unwrap() == *files);
        }
        assert_sound(repository);
    }
}

#[test]
fn what_is_not_needed_goes_and_all_else_stays() {
    let old = Old::new();
    let storage = storage_of(&old.objects);
    let repository = old.open(storage.clone());
    let before = repository.usage().unwrap();
    let plan = repository.plan_prune(trees(&repository), &options()).unwrap();
    assert!(!plan.is_empty() && !plan.remove.is_empty() && !plan.repack.is_empty());
    assert!(plan.kept_packs > 0);
    assert_eq!(plan.unreferenced.len(), 1);
    assert_eq!(objects(&storage), old.objects);

    let stats = repository.prune(&plan, &options(), &|| Ok(())).unwrap();
    let after = repository.usage().unwrap();
    assert_eq!(before.pack_bytes + stats.written_bytes - stats.removed_bytes, after.pack_bytes);
    let freed = before.pack_bytes - after.pack_bytes;
    assert!(freed <= plan.freed_bytes() && freed + 2000 > plan.freed_bytes(), "{freed} {plan:?}");
    assert!(plan.unused_bytes * 20 <= after.pack_bytes);
    assert_eq!((after.unreferenced_packs, after.duplicate_bytes), (0, 0));
    old.assert_all_kept(&repository);
    if have_restic() {
        assert_restic_finds_it_sound(&objects(&storage));
    }
    let again = repository.plan_prune(trees(&repository), &options()).unwrap();
    assert!(again.is_empty(), "{again:?}");
    let left = objects(&storage);
    assert_eq!(repository.prune(&again, &options(), &|| Ok(())).unwrap(), PruneStats::default());
    assert_eq!(objects(&storage), left);
}

#[test]
fn wherever_it_ends_the_repository_is_sound_and_the_next_one_finishes() {
    let old = Old::new();
    let mut seen = BTreeSet::new();
    for kind in [FaultKind::FromThenOn, FaultKind::Tear] {
        for at in 0.. {
            let inner = storage_of(&old.objects);
            let storage = Faulty::new(inner.clone(), None);
            let repository = old.open(storage.clone());
            let kept = trees(&repository);
            storage.reset(Some(Fault { at, kind }));
            let outcome = repository
                .plan_prune(kept, &options())
                .and_then(|plan| repository.prune(&plan, &options(), &|| Ok(())));
            let is_over = storage.operations().len() <= at;
            // What is torn while it is read is read once more.
            assert!(outcome.is_ok() == is_over || kind == FaultKind::Tear);
            let left = objects(&inner);
            if seen.insert(old.state(&left)) {
                old.assert_all_kept(&old.open(inner.clone()));
                if have_restic() {
                    assert_restic_finds_it_sound(&left);
                }
                prune(&old.open(inner.clone())).unwrap();
                let repository = old.open(inner);
                old.assert_all_kept(&repository);
                assert_eq!(repository.usage().unwrap().unreferenced_packs, 0);
            }
            if is_over {
                break;
            }
        }
    }
    assert!(seen.len() > 10, "{}", seen.len());
}

/// The store locks each of the objects in turn. An index that stays keeps the packs that it lists; all else goes.
#[test]
fn what_the_store_locks_stays_and_the_repository_is_sound() {
    let old = Old::new();
    let (mut indexes, mut packs) = (0, 0);
    for locked in old.objects.keys() {
        let storage = storage_of(&old.objects);
        let stats = prune(&old.open(Locking::new(storage.clone(), [locked.clone()]))).unwrap();
        let repository = old.open(storage.clone());
        old.assert_all_kept(&repository);
        let (gone, _) = old.state(&objects(&storage));
        assert!(!gone.contains(locked));
        if stats.protected_indexes > 0 {
            // But for the pack that no index lists.
            let gone_packs = gone.iter().filter(|key| key.as_str().starts_with("data/"));
            assert_eq!((gone_packs.count(), stats.protected_packs), (1, 0), "{locked}");
        }
        (indexes, packs) = (indexes + stats.protected_indexes, packs + stats.protected_packs);
        prune(&repository).unwrap();
        old.assert_all_kept(&repository);
        let left = repository.plan_prune(trees(&repository), &options()).unwrap();
        assert!(left.remove.is_empty() && left.unreferenced.is_empty(), "{locked}: {left:?}");
    }
    assert!(indexes > 1 && packs > 1);
}

#[test]
fn nothing_goes_after_the_lock_is_lost() {
    let old = Old::new();
    for allowed in 0.. {
        let storage = storage_of(&old.objects);
        let repository = old.open(storage.clone());
        let plan = repository.plan_prune(trees(&repository), &options()).unwrap();
        let asked = AtomicUsize::new(0);
        let lost = || {
            if asked.fetch_add(1, Ordering::SeqCst) < allowed {
                return Ok(());
            }
            Err(Error::LockLost { location: "here".to_owned(), problem: "test".to_owned() })
        };
        let outcome = repository.prune(&plan, &options(), &lost);
        old.assert_all_kept(&repository);
        if allowed == 0 {
            assert_eq!(objects(&storage), old.objects);
        }
        if outcome.is_ok() {
            assert!(allowed > 5);
            break;
        }
        assert!(matches!(outcome, Err(Error::LockLost { .. })));
    }
}

#[test]
fn a_missing_or_damaged_needed_pack_is_an_error_and_nothing_goes() {
    let old = Old::new();
    let sound = old.open(storage_of(&old.objects));
    let index = Index::load(&sound).unwrap();
    let needed: BTreeSet<PackId> = trees(&sound)
        .into_iter()
        .flat_map(|tree| {
            let content =
                sound.tree(&index, &tree).unwrap().nodes.into_iter().flat_map(|node| node.content);
            let data = content.map(|id| BlobHandle { kind: BlobKind::Data, id });
            let tree = BlobHandle { kind: BlobKind::Tree, id: tree.into() };
            let blobs: Vec<_> = data.chain([tree]).collect();
            blobs.into_iter().map(|blob| index.find(&blob).unwrap().pack).collect::<Vec<_>>()
        })
        .collect();
    assert!(needed.len() > 3);
    for pack in needed {
        for cut in [false, true] {
            let mut changed = old.objects.clone();
            let key = pack.key().unwrap();
            let mut bytes = changed.remove(&key).unwrap();
            if cut {
                bytes.pop();
                changed.insert(key.clone(), bytes);
            }
            let storage = storage_of(&changed);
            let error = prune(&old.open(storage.clone())).unwrap_err().to_string();
            assert!(error.contains(key.as_str()), "{error}");
            assert_eq!(objects(&storage), changed);
        }
    }
}

#[test]
fn a_damaged_blob_that_would_be_moved_is_an_error_and_nothing_goes() {
    let old = Old::new();
    let sound = old.open(storage_of(&old.objects));
    let plan = sound.plan_prune(trees(&sound), &options()).unwrap();
    for pack in &plan.repack {
        let mut changed = old.objects.clone();
        let bytes = changed.get_mut(&pack.id.key().unwrap()).unwrap();
        // All blobs, but not the header.
        let length = bytes.len();
        bytes[..length - 300].iter_mut().for_each(|byte| *byte ^= 1);
        let storage = storage_of(&changed);
        let repository = old.open(storage.clone());
        let error = repository.prune(&plan, &options(), &|| Ok(())).unwrap_err().to_string();
        assert!(error.contains(&pack.id.to_string()), "{error}");
        let left = objects(&storage);
        assert!(changed.iter().all(|(key, bytes)| left.get(key) == Some(bytes)));
    }
}

#[test]
fn a_snapshot_that_the_plan_does_not_know_keeps_everything() {
    let old = Old::new();
    let storage = storage_of(&old.objects);
    let repository = old.open(storage.clone());
    let plan = repository.plan_prune(trees(&repository).into_iter().skip(1), &options()).unwrap();
    let error = repository.prune(&plan, &options(), &|| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Unplanned { .. }), "{error}");
    assert_eq!(objects(&storage), old.objects);

    let garbage = SnapshotId::of(b"garbage");
    storage.put(&garbage.key().unwrap(), b"garbage").unwrap();
    let plan = repository.plan_prune(trees(&repository), &options()).unwrap();
    let error = repository.prune(&plan, &options(), &|| Ok(())).unwrap_err().to_string();
    assert!(error.contains(&garbage.to_string()), "{error}");
    assert_eq!(objects(&storage).len(), old.objects.len() + 1);
}

#[test]
fn many_small_indexes_become_one() {
    let storage = MemoryStorage::new();
    let repository = crate::script::new_repository(storage.clone());
    for number in 0..30_u64 {
        let script = Script::default().file("/file", noise(number, 1000));
        script.archive(&repository, None).unwrap();
    }
    assert_eq!(repository.usage().unwrap().indexes, 30);
    // With packs that are not even meant to be longer.
    let options = PruneOptions { pack_bytes: 1000, ..options() };
    let plan = repository.plan_prune(trees(&repository), &options).unwrap();
    let stats = repository.prune(&plan, &options, &|| Ok(())).unwrap();
    assert_eq!((stats.removed_indexes, stats.removed_packs), (30, 0));
    assert_eq!(repository.usage().unwrap().indexes, 1);
    assert_sound(&repository);
}

#[test]
fn many_short_packs_become_few() {
    let (storage, key) = (MemoryStorage::new(), MasterKey::random().unwrap());
    write_key_file(&storage, &key, &password(), "pi").unwrap();
    let config = Config::random().unwrap();
    let repository = ResticRepository::init(Arc::new(storage.clone()), key, &config).unwrap();
    for (backups, packs) in [(7, 14), (1, 2)] {
        for number in 0..backups {
            let script = Script::default().file("/file", noise(100 * backups + number, 1000));
            script.archive(&repository, None).unwrap();
        }
        prune(&repository).unwrap();
        // Fewer than 16 stay; of more there is one of pieces and one of directories then.
        assert_eq!(repository.usage().unwrap().packs, packs);
    }
    assert_eq!(snapshots(&repository).len(), 8);
    assert_sound(&repository);
    if have_restic() {
        assert_restic_finds_it_sound(&objects(&storage));
    }
}

/// What two hosts stored that began at once: neither has seen what the other one stored.
fn of_two_at_once(one: Script, other: Script) -> (MemoryStorage, ResticRepository) {
    let (storage, key) = (MemoryStorage::new(), MasterKey::random().unwrap());
    write_key_file(&storage, &key, &password(), "pi").unwrap();
    let config = Config::random().unwrap();
    let open = |storage: &MemoryStorage| {
        ResticRepository::open(Arc::new(storage.clone()), key.clone()).unwrap()
    };
    ResticRepository::init(Arc::new(storage.clone()), key.clone(), &config).unwrap();
    let others = storage_of(&objects(&storage));
    one.archive(&open(&storage), None).unwrap();
    other.archive(&open(&others), None).unwrap();
    for (key, bytes) in objects(&others) {
        if storage.stat(&key).unwrap().is_none() {
            storage.put(&key, &bytes).unwrap();
        }
    }
    let repository = open(&storage);
    (storage, repository)
}

#[test]
fn what_is_there_twice_stays_once() {
    let file = |script: Script, seed: u64| script.file(&format!("/{seed}"), noise(seed, 30_000));
    let (storage, repository) =
        of_two_at_once((0..4).fold(Script::default(), file), (2..6).fold(Script::default(), file));
    assert!(repository.usage().unwrap().duplicate_bytes > 60_000);
    prune(&repository).unwrap();
    let usage = repository.usage().unwrap();
    assert_eq!((usage.duplicate_bytes, usage.data_blobs), (0, 6));
    for id in snapshots(&repository) {
        assert_eq!(read_all(&repository, &id).unwrap().len(), 4);
    }
    assert_sound(&repository);
    if have_restic() {
        assert_restic_finds_it_sound(&objects(&storage));
    }
}

#[test]
fn directories_that_are_there_twice_are_read_where_they_are_whole() {
    let script = || Script::default().enter("/d").file("/d/a", noise(1, 30_000)).leave();
    let (storage, repository) = of_two_at_once(script(), script());
    let index = Index::load(&repository).unwrap();
    let packs: BTreeSet<PackId> =
        index.blobs(BlobKind::Tree).map(|(_, location)| location.pack).collect();
    assert_eq!(packs.len(), 2);
    let parent = snapshots(&repository)[0];
    for pack in packs {
        let key = pack.key().unwrap();
        assert!(storage.damage(&key, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)));
        let archived = script().archive(&repository, Some(parent)).unwrap();
        assert_eq!((archived.unreadable_parent_trees, archived.read_bytes), (0, 0));
        assert!(storage.damage(&key, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)));
    }
}

#[test]
fn what_restic_wrote_is_pruned_and_restic_is_content() {
    let Some(fixture) = fixture() else { return };
    let place = fixture.place();
    let storage = Faulty::new(place.storage(), None);
    let repository = fixture.open(storage.clone());
    repository.remove_snapshot(&fixture.snapshots["first"]).unwrap();
    let before = repository.usage().unwrap();
    let stats = prune(&repository).unwrap();
    assert!(stats.removed_packs > 0 && stats.removed_bytes > 10_000_000);
    let after = repository.usage().unwrap();
    assert!(after.pack_bytes * 2 < before.pack_bytes);
    let removed = storage.operations().into_iter().filter(
        |operation| matches!(operation, Operation::Remove(key) if key.as_str().starts_with("data")),
    );
    assert_eq!(removed.count() as u64, stats.removed_packs);
    place.restic(&["check", "--read-data"]);
    let listed = place.restic(&["prune", "--max-unused", "5%"]);
    assert!(listed.contains("done"), "{listed}");
    assert_sound(&repository);
}

#[derive(Clone, Debug)]
enum Step {
    /// Backs up files, which have these contents.
    Backup(Vec<u8>),
    /// Drops the snapshot in this place.
    Forget(usize),
    Prune,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec(0u8..12, 1..8).prop_map(Step::Backup),
        2 => (0usize..8).prop_map(Step::Forget),
        2 => Just(Step::Prune),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_that_is_there_can_be_read(steps in proptest::collection::vec(step(), 1..12)) {
        let repository = crate::script::new_repository(MemoryStorage::new());
        let mut model: BTreeMap<SnapshotId, Files> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Backup(seeds) => {
                    let number = Cell::new(0);
                    let script = seeds.iter().fold(Script::default(), |script, seed| {
                        number.set(number.get() + 1);
                        script.file(&format!("/{}", number.get()), noise((*seed).into(), 20_000))
                    });
                    let id = script.archive(&repository, None).unwrap().snapshot;
                    model.insert(id, read_all(&repository, &id).unwrap());
                }
                Step::Forget(place) => {
                    if let Some(id) = model.keys().nth(place).copied() {
                        model.remove(&id);
                        repository.remove_snapshot(&id).unwrap();
                    }
                }
                Step::Prune => {
                    prune(&repository).unwrap();
                    prop_assert_eq!(repository.usage().unwrap().unreferenced_packs, 0);
                }
            }
            prop_assert_eq!(snapshots(&repository), model.keys().copied().collect::<Vec<_>>());
            for (id, files) in &model {
                prop_assert!(read_all(&repository, id).unwrap() == *files);
            }
        }
        assert_sound(&repository);
    }
}
