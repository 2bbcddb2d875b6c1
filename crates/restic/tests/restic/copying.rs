//! Snapshots in another repository, under another key.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_restic::{
    Archived, BlobKind, CopiedSnapshot, CopyOptions, Error, Index, MissingBlobs, ObjectId as _,
    PackId, ResticRepository, Result, SnapshotCopier, SnapshotId, list,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::fixture::{fixture, noise};
use crate::script::{Script, new_repository, read_all, snapshots};

fn options() -> CopyOptions {
    CopyOptions { pack_bytes: 100_000, ..CopyOptions::default() }
}

fn copy(copier: &mut SnapshotCopier, archived: &Archived) -> Result<CopiedSnapshot> {
    copier.copy(&archived.snapshot, archived.tree, &options(), &|| Ok(()), &|_| {})
}

fn copier(from: &ResticRepository, to: &ResticRepository) -> Result<SnapshotCopier> {
    SnapshotCopier::open(from.clone(), Some(to.clone()))
}

/// Two snapshots, which share all but one of their files.
fn source(storage: impl Storage + 'static) -> (ResticRepository, [Archived; 2]) {
    let repository = new_repository(storage);
    let archive = |last: u64| {
        let mut script = Script::default().enter("/top").enter("/top/deep");
        for number in [1, 2, 3, 4, 5, last] {
            script = script.file(&format!("/top/deep/{number:02}"), noise(number, 30_000));
        }
        script = script.leave().file("/top/empty", *b"").file("/top/same", noise(1, 30_000));
        script.leave().archive(&repository, None).unwrap()
    };
    let archived = [archive(6), archive(7)];
    (repository, archived)
}

fn read(repository: &ResticRepository, snapshot: &SnapshotId) -> BTreeMap<PathBuf, Vec<u8>> {
    read_all(repository, snapshot).unwrap()
}

/// How many blobs are listed, each once.
fn blobs(repository: &ResticRepository) -> usize {
    let index = Index::load(repository).unwrap();
    let kinds = [BlobKind::Data, BlobKind::Tree];
    let all: Vec<_> = kinds.iter().flat_map(|kind| index.blobs(*kind)).collect();
    let mut ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "a blob is there twice");
    all.len()
}

#[test]
fn a_copy_has_the_same_tree_and_each_blob_once() {
    let (from, archived) = source(MemoryStorage::new());
    let to = new_repository(MemoryStorage::new());
    let mut counted = copier(&from, &to).unwrap();
    let missing = counted.count_missing(archived[0].tree).unwrap();
    assert_eq!((missing.data_blobs, missing.tree_blobs), (6, 3));
    assert!(missing.packed_bytes > 6 * 30_000);
    assert_eq!(counted.count_missing(archived[0].tree).unwrap(), MissingBlobs::default());
    let missing = counted.count_missing(archived[1].tree).unwrap();
    assert_eq!((missing.data_blobs, missing.tree_blobs), (1, 3));

    let mut copier = copier(&from, &to).unwrap();
    assert!(!copier.cuts_alike());
    let copied = archived.each_ref().map(|archived| copy(&mut copier, archived).unwrap());
    assert_eq!(copied.map(|copied| (copied.data_blobs, copied.tree_blobs)), [(6, 3), (1, 3)]);
    assert_eq!(blobs(&to), 7 + 6);
    for (archived, copied) in archived.iter().zip(copied) {
        assert_eq!(read(&to, &copied.snapshot), read(&from, &archived.snapshot));
        let (copy, original) =
            (to.snapshot(&copied.snapshot).unwrap(), from.snapshot(&archived.snapshot).unwrap());
        assert_eq!((copy.tree, copy.original), (original.tree, Some(archived.snapshot)));
        assert_eq!((copy.time, copy.summary), (original.time, original.summary));
    }
    // Once more, by another process.
    let mut again = self::copier(&from, &to).unwrap();
    for (archived, copied) in archived.iter().zip(copied) {
        let nothing = CopiedSnapshot { data_blobs: 0, tree_blobs: 0, stored_bytes: 0, ..copied };
        assert_eq!(copy(&mut again, archived).unwrap(), nothing);
    }
    // A copy of a copy is one of the first.
    let third = new_repository(MemoryStorage::new());
    let tree = to.snapshot(&copied[0].snapshot).unwrap().tree;
    let mut copier = self::copier(&to, &third).unwrap();
    let copied = copier.copy(&copied[0].snapshot, tree, &options(), &|| Ok(()), &|_| {}).unwrap();
    let original = third.snapshot(&copied.snapshot).unwrap().original;
    assert_eq!(original, Some(archived[0].snapshot));
}

/// With every operation of either side failing in turn: a copy is there only if it is whole, and the next try
/// completes it.
#[test]
fn a_copy_is_there_only_if_all_of_it_is() {
    let storages = || [(); 2].map(|()| Faulty::new(MemoryStorage::new(), None));
    let copy_all = |from: &ResticRepository, to: &ResticRepository, archived: &[Archived; 2]| {
        let mut copier = copier(from, to)?;
        archived.iter().map(|archived| copy(&mut copier, archived)).collect::<Result<Vec<_>>>()
    };
    let both = storages();
    let (from, archived) = source(both[0].clone());
    let to = new_repository(both[1].clone());
    both.iter().for_each(|storage| storage.reset(None));
    copy_all(&from, &to, &archived).unwrap();
    let operations = both.each_ref().map(|storage| storage.operations().len());
    assert!(operations[0] > 6 && operations[1] > 12, "{operations:?}");

    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for (side, count) in operations.iter().enumerate() {
            for at in 0..*count {
                let both = storages();
                let (from, archived) = source(both[0].clone());
                let to = new_repository(both[1].clone());
                both.iter().for_each(|storage| storage.reset(None));
                both[side].reset(Some(Fault { at, kind }));
                if let Err(error) = copy_all(&from, &to, &archived) {
                    assert!(format!("{error:?}").contains("injected fault"), "{error:?}");
                }
                both.iter().for_each(|storage| storage.reset(None));
                for snapshot in snapshots(&to) {
                    read(&to, &snapshot);
                }
                let copied = copy_all(&from, &to, &archived).unwrap();
                for (archived, copied) in archived.iter().zip(&copied) {
                    let expected = read(&from, &archived.snapshot);
                    assert_eq!(read(&to, &copied.snapshot), expected, "{kind:?} at {side}:{at}");
                }
                assert_eq!(snapshots(&to).len(), 2, "{kind:?} at {side}:{at}");
            }
        }
    }
}

/// What is damaged is not copied, and does not keep others from it.
#[test]
fn damage_keeps_only_what_has_it() {
    let memory = MemoryStorage::new();
    let (from, archived) = source(memory.clone());
    // The last piece is in the second snapshot alone.
    let (first, second) = (read(&from, &archived[0].snapshot), Index::load(&from).unwrap());
    let id = lifeboat_restic::BlobId::of(&noise(7, 30_000));
    let blob = lifeboat_restic::BlobHandle { kind: BlobKind::Data, id };
    let location = second.find(&blob).unwrap();
    let key = location.pack.key().unwrap();
    assert!(memory.damage(&key, |bytes| bytes[location.extent.offset as usize + 50] ^= 1));

    let to = new_repository(MemoryStorage::new());
    let mut copier = copier(&from, &to).unwrap();
    let error = copy(&mut copier, &archived[1]).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(snapshots(&to).is_empty());
    let copied = copy(&mut copier, &archived[0]).unwrap();
    assert_eq!(read(&to, &copied.snapshot), first);
    // A manifest that names a snapshot of another tree.
    let (snapshot, tree) = (archived[0].snapshot, archived[1].tree);
    let error = copier.copy(&snapshot, tree, &options(), &|| Ok(()), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("expected"), "{error}");
}

/// A lost lock: nothing is written by which others would see what was stored.
#[test]
fn a_fence_ends_it() {
    for refused in 0..2 {
        let (from, archived) = source(MemoryStorage::new());
        let to = new_repository(MemoryStorage::new());
        let asked = AtomicUsize::new(0);
        let fence = || match asked.fetch_add(1, Ordering::SeqCst) {
            number if number == refused => {
                Err(Error::Corrupt { object: "fence".into(), problem: "closed".into() })
            }
            _ => Ok(()),
        };
        let mut copier = copier(&from, &to).unwrap();
        let (snapshot, tree) = (archived[0].snapshot, archived[0].tree);
        let error = copier.copy(&snapshot, tree, &options(), &fence, &|_| {}).unwrap_err();
        assert_eq!(error.to_string(), "fence is corrupt: closed");
        assert!(snapshots(&to).is_empty());
    }
}

/// What restic made, copied; restic checks the copy.
#[test]
fn restic_takes_a_copy_for_its_own() {
    let Some(fixture) = fixture() else { return };
    let from = fixture.open(fixture.storage());
    let place = crate::common::Place::new();
    let to = place.init();
    let mut copier = copier(&from, &to).unwrap();
    for snapshot in fixture.snapshots.values() {
        let tree = from.snapshot(snapshot).unwrap().tree;
        let options = CopyOptions::default();
        let copied = copier.copy(snapshot, tree, &options, &|| Ok(()), &|_| {}).unwrap();
        assert_eq!(read(&to, &copied.snapshot), read(&from, snapshot));
    }
    assert!(place.restic(&["check", "--read-data"]).contains("no errors were found"));
    assert_eq!(place.restic(&["snapshots", "--json"]).matches("\"original\"").count(), 2);
    let packs = list::<PackId>(&*(Arc::clone(to.storage()))).unwrap();
    assert!(packs.len() > 2, "{}", packs.len());
}
