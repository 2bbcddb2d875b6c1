//! Locks: restic keeps out of our way, we keep out of restic's, and nobody relies on a lock that is gone.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat_restic::{
    Clock, Config, Error, HeldLock, Lock, LockId, LockKind, LockOptions, MasterKey, ObjectId,
    ResticRepository, SystemClock, Unlock, list,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Locking};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::{PASSWORD, Place, have_restic, text};

/// A clock that a test sets.
#[derive(Clone, Debug)]
struct SetClock(Arc<Mutex<Timestamp>>);

impl SetClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-11-21T12:00:00Z".parse().unwrap())))
    }

    fn advance(&self, minutes: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_mins(minutes);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Renewing is left to the tests that are about it.
fn options() -> LockOptions {
    let (settle, patience) = (Duration::from_millis(5), Duration::from_millis(1));
    LockOptions { settle, patience, ..LockOptions::default() }
}

fn options_with(clock: &SetClock, renew_every: Duration) -> LockOptions {
    LockOptions { clock: Arc::new(clock.clone()), renew_every, ..options() }
}

fn init(storage: impl Storage + 'static) -> ResticRepository {
    let config = Config::random().unwrap();
    ResticRepository::init(Arc::new(storage), MasterKey::random().unwrap(), &config).unwrap()
}

fn ids(repository: &ResticRepository) -> Vec<LockId> {
    list::<LockId>(&**repository.storage()).unwrap().iter().map(|listed| listed.id).collect()
}

fn blocker(result: Result<HeldLock, Error>) -> Lock {
    match result {
        Err(Error::Locked { lock, .. }) => *lock,
        other => panic!("{other:?}"),
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn shared_ones_stand_beside_each_other_and_an_exclusive_one_alone() {
    let repository = init(MemoryStorage::new());
    let lock = |kind| repository.lock(kind, &options());
    let first = lock(LockKind::Shared).unwrap();
    let second = lock(LockKind::Shared).unwrap();
    assert!(!blocker(lock(LockKind::Exclusive)).exclusive);
    first.release().unwrap();
    blocker(lock(LockKind::Exclusive));
    drop(second);
    assert_eq!(ids(&repository), []);

    let exclusive = lock(LockKind::Exclusive).unwrap();
    for kind in [LockKind::Shared, LockKind::Exclusive] {
        let other = blocker(lock(kind));
        assert_eq!(other, exclusive.lock());
        assert_eq!(other.pid, i64::from(std::process::id()));
    }
    let message = lock(LockKind::Shared).unwrap_err().to_string();
    let expected = format!("exclusively by process {}", std::process::id());
    assert!(message.contains(&expected) && message.contains("seconds ago"), "{message}");
    exclusive.release().unwrap();
    assert_eq!(ids(&repository), []);
}

#[test]
fn of_many_that_come_at_once_at_most_one_is_alone() {
    let repository = init(MemoryStorage::new());
    let holding = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let Ok(held) = repository.lock(LockKind::Exclusive, &options()) else {
                        continue;
                    };
                    assert_eq!(holding.fetch_add(1, Ordering::SeqCst), 0);
                    thread::sleep(Duration::from_millis(3));
                    holding.fetch_sub(1, Ordering::SeqCst);
                    held.release().unwrap();
                }
            });
        }
    });
    assert_eq!(ids(&repository), []);
    repository.lock(LockKind::Exclusive, &options()).unwrap();
}

#[test]
fn one_that_cannot_be_read_is_waited_for_and_then_an_error() {
    let repository = init(MemoryStorage::new());
    let storage = repository.storage();
    let empty: LockId = [1; 32].into();
    storage.put(&empty.key().unwrap(), b"").unwrap();
    repository.lock(LockKind::Exclusive, &options()).unwrap().release().unwrap();

    let garbage = LockId::of(b"garbage");
    storage.put(&garbage.key().unwrap(), b"garbage").unwrap();
    let error = repository.lock(LockKind::Shared, &options()).unwrap_err().to_string();
    assert!(error.contains(&garbage.to_string()), "{error}");
    assert_eq!(repository.locks().unwrap().unreadable[0].0, garbage);

    // It goes while it is waited for.
    let patient = LockOptions { patience: Duration::from_millis(50), ..options() };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| repository.lock(LockKind::Shared, &patient));
        storage.remove(&garbage.key().unwrap()).unwrap();
        waiting.join().unwrap().unwrap();
    });

    storage.put(&garbage.key().unwrap(), b"garbage").unwrap();
    let now = Timestamp::now();
    let unlocked = repository.remove_locks(Unlock::Stale, now).unwrap();
    assert_eq!((unlocked.removed.len(), unlocked.unreadable.len()), (0, 1));
    let unlocked = repository.remove_locks(Unlock::All, now).unwrap();
    assert_eq!(unlocked.removed.len(), 2);
    assert_eq!(ids(&repository), []);
}

#[test]
fn one_that_the_store_keeps_is_no_reason_to_leave_the_others() {
    let (memory, key) = (MemoryStorage::new(), MasterKey::random().unwrap());
    let config = Config::random().unwrap();
    let repository =
        ResticRepository::init(Arc::new(memory.clone()), key.clone(), &config).unwrap();
    let held = [(); 3].map(|()| repository.lock(LockKind::Shared, &options()).unwrap());
    let left = ids(&repository).into_iter().map(|id| {
        let (key, mut bytes) = (id.key().unwrap(), Vec::new());
        memory.read(&key, None).unwrap().read_to_end(&mut bytes).unwrap();
        (key, bytes)
    });
    let left: Vec<_> = left.collect();
    held.into_iter().for_each(|lock| lock.release().unwrap());
    let now = Timestamp::now() + SignedDuration::from_hours(1);
    for (which, locked) in [(Unlock::Stale, 0), (Unlock::All, 1)] {
        left.iter().for_each(|(key, bytes)| memory.put(key, bytes).unwrap());
        let locking = Locking::new(memory.clone(), [left[locked].0.clone()]);
        let unlocked = ResticRepository::open(Arc::new(locking), key.clone())
            .unwrap()
            .remove_locks(which, now)
            .unwrap();
        assert_eq!((unlocked.removed.len(), unlocked.unreadable.len()), (2, 1));
        assert_eq!(unlocked.unreadable[0].0.key().unwrap(), left[locked].0);
        let unlocked = repository.remove_locks(which, now).unwrap();
        assert_eq!((unlocked.removed.len(), unlocked.unreadable.len()), (1, 0));
    }
}

#[test]
fn is_renewed_while_it_is_held() {
    let (repository, clock) = (init(MemoryStorage::new()), SetClock::new());
    let options = options_with(&clock, Duration::from_millis(20));
    let held = repository.lock(LockKind::Shared, &options).unwrap();
    let first = ids(&repository);
    clock.advance(1);
    wait_until(|| held.lock().time == clock.now());
    wait_until(|| ids(&repository).len() == 1 && ids(&repository) != first);
    held.still_ours().unwrap();
    held.release().unwrap();
    assert_eq!(ids(&repository), []);
}

#[test]
fn nobody_relies_on_one_that_is_too_old() {
    let (repository, clock) = (init(MemoryStorage::new()), SetClock::new());
    let held = repository.lock(LockKind::Shared, &options_with(&clock, Duration::from_secs(300)));
    let held = held.unwrap();
    clock.advance(22);
    held.still_ours().unwrap();
    clock.advance(1);
    let error = held.still_ours().unwrap_err();
    assert!(matches!(error, Error::LockLost { .. }));
    assert!(error.to_string().contains("not renewed for 1380 seconds"), "{error}");
}

#[test]
fn after_a_sleep_it_counts_again_if_nobody_removed_it() {
    let (repository, clock) = (init(MemoryStorage::new()), SetClock::new());
    let options = options_with(&clock, Duration::from_millis(20));
    let held = repository.lock(LockKind::Shared, &options).unwrap();
    clock.advance(600);
    wait_until(|| held.still_ours().is_ok());
    assert_eq!(held.lock().time, clock.now());
    // A clock that was set back: the timer counts.
    clock.advance(-6000);
    wait_until(|| held.lock().time == clock.now());
    held.still_ours().unwrap();
}

#[test]
fn one_that_somebody_removed_is_lost_for_good() {
    let (repository, clock) = (init(MemoryStorage::new()), SetClock::new());
    let options = options_with(&clock, Duration::from_millis(20));
    let held = repository.lock(LockKind::Shared, &options).unwrap();
    // A renewal may be under way.
    wait_until(|| {
        repository.remove_locks(Unlock::All, clock.now()).unwrap();
        held.still_ours().is_err()
    });
    let error = held.still_ours().unwrap_err().to_string();
    assert!(error.contains("somebody removed it"), "{error}");
    held.release().unwrap();
    assert_eq!(ids(&repository), []);
}

#[test]
fn a_storage_that_cannot_be_reached_lets_it_get_old() {
    let (storage, clock) = (Faulty::new(MemoryStorage::new(), None), SetClock::new());
    let repository = init(storage.clone());
    let options = options_with(&clock, Duration::from_millis(20));
    let held = repository.lock(LockKind::Shared, &options).unwrap();
    storage.reset(Some(Fault { at: 0, kind: FaultKind::FromThenOn }));
    clock.advance(23);
    wait_until(|| held.still_ours().is_err_and(|error| error.to_string().contains("injected")));
    storage.reset(None);
    wait_until(|| held.still_ours().is_ok());
    held.release().unwrap();
    assert_eq!(ids(&repository), []);
}

#[test]
fn one_failure_anywhere_leaves_no_lock() {
    for kind in [FaultKind::Once, FaultKind::Tear] {
        for at in 0.. {
            let storage = Faulty::new(MemoryStorage::new(), None);
            let repository = init(storage.clone());
            storage.reset(Some(Fault { at, kind }));
            let held = repository.lock(LockKind::Exclusive, &options());
            let failed = held.is_err();
            drop(held);
            let operations = storage.operations().len();
            storage.reset(None);
            assert_eq!(ids(&repository), [], "{kind:?} at {at}, failed: {failed}");
            if operations <= at {
                assert!(!failed);
                break;
            }
        }
    }
}

#[test]
fn restic_sees_ours_and_keeps_out() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let repository = place.init();
    let held = repository.lock(LockKind::Shared, &options()).unwrap();
    let id = place.restic(&["--no-lock", "list", "locks"]);
    assert_eq!(id.trim(), ids(&repository)[0].to_string());
    let shown = place.restic(&["--no-lock", "cat", "lock", id.trim()]);
    let shown: Lock = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown, held.lock());
    // Others may be added beside it.
    fs::write(place.path("file"), "text").unwrap();
    place.restic(&["backup", "file"]);

    let refused = place.try_restic(&["prune"]);
    assert!(!refused.status.success());
    let message = text(&refused.stderr);
    let process = format!("PID {} on {}", std::process::id(), held.lock().hostname);
    assert!(message.contains("already locked by") && message.contains(&process), "{message}");

    let exclusive = repository.lock(LockKind::Exclusive, &options());
    assert!(!blocker(exclusive).exclusive);
    held.release().unwrap();
    place.restic(&["prune"]);
    let exclusive = repository.lock(LockKind::Exclusive, &options()).unwrap();
    assert!(!place.try_restic(&["backup", "file"]).status.success());

    // Without looking whether somebody holds it.
    place.restic(&["unlock", "--remove-all"]);
    assert_eq!(ids(&repository), []);
    place.restic(&["backup", "file"]);
    exclusive.release().unwrap();
}

#[test]
fn we_see_restics_and_keep_out_until_it_is_removed() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let repository = place.init();
    // restic takes its lock, and then waits for whoever writes into this pipe.
    let pipe = place.root().join("index").join("0".repeat(64));
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let mut child = Command::new("restic")
        .args(["--no-cache", "check", "--repo"])
        .arg(place.root())
        .env("RESTIC_PASSWORD", PASSWORD)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| !ids(&repository).is_empty());

    let lock = blocker(repository.lock(LockKind::Shared, &options()));
    assert_eq!((lock.pid, lock.exclusive), (i64::from(child.id()), true));
    assert_eq!(lock.uid, fs::metadata(place.root()).unwrap().uid());
    assert_eq!(lock.hostname, lifeboat_restic::hostname());
    assert_eq!(lock.username, lifeboat_restic::username());
    let unlocked = repository.remove_locks(Unlock::Stale, SystemClock.now()).unwrap();
    assert_eq!((unlocked.removed.len(), unlocked.kept.len()), (0, 1));

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(blocker(repository.lock(LockKind::Shared, &options())), lock);
    let unlocked = repository.remove_locks(Unlock::Stale, SystemClock.now()).unwrap();
    assert_eq!(unlocked.removed[0].1, Some(lock));
    repository.lock(LockKind::Exclusive, &options()).unwrap();
}
