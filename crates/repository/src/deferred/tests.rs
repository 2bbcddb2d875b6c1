use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lifeboat_storage::conformance::{self, Promises, Times};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::{Error, Key, MemoryStorage, Storage};

use super::Deferred;

/// In the order in which a backup writes; the lock counts at once.
const WRITTEN: [&str; 8] = [
    "databases/h/n/0000000000000001/origin.json.zst.age",
    "databases/h/n/0000000000000001/ltx/9/one",
    "databases/h/n/0000000000000001/pins/one",
    "locks/one",
    "data/00/one",
    "index/one",
    "snapshots/one",
    "backups/one",
];

type Target = Arc<Faulty<MemoryStorage>>;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn deferred_with(room: u64, object_bytes: u64) -> (Deferred, Arc<dyn Storage>, Target) {
    let target = Arc::new(Faulty::new(MemoryStorage::new(), None));
    let outbox: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    (Deferred::new(outbox.clone(), target.clone(), room, object_bytes), outbox, target)
}

fn deferred() -> (Deferred, Arc<dyn Storage>, Target) {
    deferred_with(u64::MAX, 0)
}

fn bytes_of(name: &str) -> Vec<u8> {
    name.repeat(20).into_bytes()
}

fn write_all(storage: &dyn Storage) {
    for name in WRITTEN {
        storage.put(&key(name), &bytes_of(name)).unwrap();
    }
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.read(&key(name), None).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn names(storage: &dyn Storage) -> Vec<String> {
    storage.list(None).unwrap().iter().map(|entry| entry.key.to_string()).collect()
}

fn published(target: &Target) -> Vec<String> {
    let operations = target.operations().into_iter();
    let published = operations.filter_map(|operation| match operation {
        Operation::Publish(key) => Some(key.to_string()),
        _ => None,
    });
    published.collect()
}

fn send(deferred: &Deferred) -> crate::Result<()> {
    deferred.send(&|| Ok(()), &|_| ())
}

/// Whoever writes and reads it sees everything.
fn all_is_seen(storage: &dyn Storage) {
    let mut expected = WRITTEN.map(str::to_owned);
    expected.sort();
    assert_eq!(names(storage), expected);
    for name in WRITTEN {
        assert_eq!(read(storage, name), bytes_of(name));
        assert_eq!(storage.stat(&key(name)).unwrap().unwrap().size, 20 * name.len() as u64);
    }
    let children = storage.list_names(None).unwrap();
    let children: Vec<_> = children.iter().map(|child| child.key().as_str()).collect();
    assert_eq!(children, ["backups", "data", "databases", "index", "locks", "snapshots"]);
}

#[test]
fn it_is_a_storage_like_any_other() {
    let promises = Promises { times: Times::NotKept, ..Promises::default() };
    conformance::run_promising(promises, &|| Arc::new(deferred().0));
}

#[test]
fn what_waits_is_seen_here_and_sent_in_its_order() {
    let (deferred, outbox, target) = deferred();
    write_all(&deferred);
    all_is_seen(&deferred);
    assert_eq!(published(&target), ["locks/one"]);

    let (fenced, sent) = (Cell::new(0), AtomicU64::new(0));
    let fence = || -> crate::Result<()> {
        fenced.set(fenced.get() + 1);
        Ok(())
    };
    let waiting = deferred.waiting_bytes();
    let count = |bytes| {
        sent.fetch_add(bytes, Ordering::Relaxed);
    };
    deferred.send(&fence, &count).unwrap();
    let waited: Vec<&str> = WRITTEN.into_iter().filter(|name| *name != "locks/one").collect();
    assert_eq!(published(&target)[1..], waited);
    // Asked for the index, the snapshot and the manifest.
    assert_eq!(fenced.get(), 3);
    assert_eq!(waiting, waited.iter().map(|name| 20 * name.len() as u64).sum::<u64>());
    assert_eq!((sent.into_inner(), deferred.waiting_bytes()), (waiting, 0));

    // It is read from here until it is cleared away.
    target.reset(None);
    all_is_seen(&deferred);
    let is_read = |operation: &Operation| matches!(operation, Operation::Read(_));
    let read: Vec<_> = target.operations().into_iter().filter(is_read).collect();
    assert_eq!(read, [Operation::Read(key("locks/one"))]);
    deferred.clear().unwrap();
    assert_eq!(names(&outbox), [] as [String; 0]);
    all_is_seen(&deferred);
    all_is_seen(&target);
}

/// Nothing that others see by it is sent if the right to do so is gone.
#[test]
fn a_fence_that_is_down_ends_it() {
    let (deferred, _, target) = deferred();
    write_all(&deferred);
    let gone = || Err(crate::Error::corrupt(&key("locks/one"), "gone"));
    deferred.send(&gone, &|_| ()).unwrap_err();
    assert_eq!(published(&target).last().unwrap(), "data/00/one");
}

/// Where space is short, what is large is sent before the rest, and what names it is not.
#[test]
fn it_takes_no_more_room_than_it_was_given() {
    let (room, object_bytes) = (2000, 500);
    let (deferred, outbox, target) = deferred_with(room, object_bytes);
    let large: Vec<String> = (0..20).map(|number| format!("data/00/{number}")).collect();
    for (number, name) in large.iter().enumerate() {
        deferred.put(&key(name), &[7; 400]).unwrap();
        if number % 10 == 9 {
            deferred.put(&key(&format!("index/{number}")), &[8; 50]).unwrap();
        }
        let held: u64 = outbox.list(None).unwrap().iter().map(|entry| entry.size).sum();
        assert!(held + object_bytes <= room, "{held}");
        assert!(large[..=number].iter().all(|name| read(&deferred, name) == [7; 400]));
    }
    let early = published(&target);
    assert_eq!(early, large[..early.len()]);
    assert!((15..20).contains(&early.len()), "{early:?}");
    send(&deferred).unwrap();
    let rest = large[early.len()..].iter().map(String::as_str);
    let (rest, late) = (rest.collect::<Vec<_>>(), &published(&target)[early.len()..]);
    assert_eq!(late, [&["index/9"], &rest[..], &["index/19"]].concat());
}

/// Whichever operation of the target fails, or loses its answer: it can be sent again, and then all is there.
#[test]
fn what_was_not_sent_waits_on() {
    for kind in [FaultKind::Once, FaultKind::Tear] {
        for at in 0.. {
            let (deferred, outbox, target) = deferred();
            write_all(&deferred);
            target.reset(Some(Fault { at, kind }));
            let sent = send(&deferred);
            let came_through = target.operations().len() <= at;
            target.reset(None);
            all_is_seen(&deferred);
            if came_through {
                sent.unwrap();
                assert!(at > 20, "{at}");
                break;
            }
            send(&deferred).unwrap();
            all_is_seen(&target);
            deferred.clear().unwrap();
            assert_eq!(names(&outbox), [] as [String; 0], "{kind:?} {at}");
        }
    }
}

#[test]
fn other_bytes_of_that_name_are_somebody_elses() {
    let (deferred, _, target) = deferred();
    for bytes in [b"these", b"other"] {
        let name = key(&format!("data/00/{}", bytes[0]));
        target.put(&name, bytes).unwrap();
        deferred.put(&name, b"these").unwrap();
    }
    let refused = send(&deferred).unwrap_err();
    let refused = matches!(refused, crate::Error::Storage(Error::Exists { .. }));
    assert!(refused && published(&target).len() == 4);
}

/// Of what was not sent, the next process sends what it can use.
#[test]
fn only_ltx_files_are_left_for_the_next() {
    let (deferred, outbox, target) = deferred();
    write_all(&deferred);
    // The first object comes through: begun, written, published and looked at.
    target.reset(Some(Fault { at: 4, kind: FaultKind::FromThenOn }));
    send(&deferred).unwrap_err();
    deferred.clear().unwrap();
    assert_eq!(names(&outbox), WRITTEN[1..3]);
}

/// Copying what waits needs no answer of a target that stopped giving any.
#[test]
fn frozen_listings_are_not_asked_for() {
    let (deferred, _, target) = deferred();
    let database = key("databases/h/n/0000000000000001");
    let below = |storage: &dyn Storage| -> crate::Result<usize> {
        Ok(storage.list(Some(&database))?.len())
    };
    target.put(&key("databases/h/n/0000000000000001/ltx/0/before"), b"").unwrap();
    assert_eq!(below(&deferred).unwrap(), 1);
    write_all(&deferred);
    deferred.freeze_listings();
    target.reset(Some(Fault { at: 0, kind: FaultKind::FromThenOn }));
    assert_eq!(below(&deferred).unwrap(), 4);
    deferred.list(Some(&key("leases/h/n"))).unwrap_err();
    // When something is gone that was listed, and when it is cleared away, it is asked again.
    target.reset(None);
    assert!(deferred.read(&key("databases/h/n/0000000000000001/gone"), None).is_err());
    target.put(&key("databases/h/n/0000000000000001/ltx/0/after"), b"").unwrap();
    assert_eq!(below(&deferred).unwrap(), 5);
    deferred.freeze_listings();
    send(&deferred).unwrap();
    deferred.clear().unwrap();
    assert_eq!(below(&deferred).unwrap(), 5);
}

#[test]
fn what_is_removed_is_not_sent() {
    let (deferred, outbox, target) = deferred();
    write_all(&deferred);
    assert!(deferred.remove(&key("data/00/one")).unwrap());
    assert!(!deferred.remove(&key("data/00/one")).unwrap());
    assert!(deferred.remove(&key("locks/one")).unwrap());
    send(&deferred).unwrap();
    assert_eq!(names(&target).len(), WRITTEN.len() - 2);
    assert!(deferred.remove(&key("index/one")).unwrap());
    assert!(!names(&deferred).contains(&"index/one".to_owned()));
    deferred.clear().unwrap();
    assert!(outbox.list(None).unwrap().is_empty());
}
