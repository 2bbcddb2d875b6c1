//! What a repository takes, beside what `du` and restic say.

use std::fs;

use lifeboat_restic::{LockKind, LockOptions, ObjectId, PackId};
use lifeboat_storage::Storage;

use crate::fixture::{fixture, noise};

#[test]
fn all_objects_are_counted() {
    let Some(fixture) = fixture() else { return };
    let place = fixture.place();
    let repository = fixture.open(place.storage());
    let usage = repository.usage().unwrap();
    let all: u64 = place.storage().list(None).unwrap().iter().map(|entry| entry.size).sum();
    let config = fs::metadata(place.root().join("config")).unwrap().len();
    assert_eq!(usage.total_bytes() + config, all);
    assert_eq!((usage.snapshots, usage.keys, usage.locks), (2, 1, 0));
    let blobs = place.restic(&["list", "blobs"]);
    assert_eq!(usage.data_blobs + usage.tree_blobs, blobs.lines().count() as u64);
    assert_eq!((usage.unreferenced_packs, usage.duplicate_bytes), (0, 0));
    let files: u64 = fixture.files.values().map(|content| content.len() as u64).sum();
    assert!(usage.plain_bytes > 10_000_000 && usage.plain_bytes < files, "{usage:?}");

    let held = repository.lock(LockKind::Shared, &LockOptions::default()).unwrap();
    let pack = noise(7, 500);
    repository.storage().put(&PackId::of(&pack).key().unwrap(), &pack).unwrap();
    let more = repository.usage().unwrap();
    assert_eq!((more.locks, more.unreferenced_packs, more.unreferenced_bytes), (1, 1, 500));
    assert_eq!(more.packs, usage.packs + 1);
    held.release().unwrap();
}
