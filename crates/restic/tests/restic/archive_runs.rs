//! Several archivings with one index.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_restic::{
    BlobHandle, BlobKind, BlobLocation, Error, Index, IndexId, ObjectId as _, PackId,
    ResticRepository, archive, list,
};
use lifeboat_storage::MemoryStorage;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};

use crate::fixture::noise;
use crate::script::{Script, new_repository, options, read_all};

fn script(last: u64) -> Script {
    let mut script = Script::default().enter("/top");
    for number in [1, 2, 3, last] {
        script = script.file(&format!("/top/{number}"), noise(number, 60_000));
    }
    script.leave()
}

/// All that an index lists.
fn listed(index: &Index) -> BTreeSet<(BlobHandle, PackId, u32)> {
    let kinds = [BlobKind::Data, BlobKind::Tree].into_iter();
    let blobs = kinds.flat_map(|kind| index.blobs(kind).map(move |blob| (kind, blob)));
    let listed = blobs.map(|(kind, (id, BlobLocation { pack, extent }))| {
        (BlobHandle { kind, id }, pack, extent.offset)
    });
    listed.collect()
}

fn loaded(repository: &ResticRepository) -> BTreeSet<(BlobHandle, PackId, u32)> {
    listed(&Index::load(repository).unwrap())
}

#[test]
fn one_index_serves_all() {
    let storage = Faulty::new(MemoryStorage::new(), None);
    let repository = new_repository(storage.clone());
    let mut index = Index::load(&repository).unwrap();
    let first = script(4).archive_with(&repository, &mut index, None).unwrap();
    assert_eq!((first.data_blobs_new, first.tree_blobs_new), (4, 2));
    assert_eq!(listed(&index), loaded(&repository));

    storage.reset(None);
    let second = script(5).archive_with(&repository, &mut index, Some(first.snapshot)).unwrap();
    assert_eq!((second.data_blobs_new, second.tree_blobs_new), (1, 2));
    assert_eq!((second.files_unmodified, second.unreadable_parent_trees), (3, 0));
    let index_directory = IndexId::of(b"").key().unwrap().parent();
    let asked = storage.operations().into_iter().filter(|operation| match operation {
        Operation::Read(key) => key.parent() == index_directory,
        Operation::List(directory) => *directory == index_directory,
        _ => false,
    });
    assert_eq!(asked.count(), 0);
    assert_eq!(listed(&index), loaded(&repository));
    // All that both need can be found by it.
    assert_eq!(index.packs().len(), list::<PackId>(&**repository.storage()).unwrap().len());

    let third = script(5).archive_with(&repository, &mut index, None).unwrap();
    assert_eq!((third.data_blobs_new, third.tree_blobs_new, third.tree), (0, 0, second.tree));
    assert_eq!(listed(&index), loaded(&repository));
}

/// Whatever fails, the index lists nothing that no durable index object lists, and serves the next one.
#[test]
fn it_stays_true_whatever_fails() {
    let storage = Faulty::new(MemoryStorage::new(), None);
    let repository = new_repository(storage.clone());
    let mut index = Index::load(&repository).unwrap();
    script(4).archive_with(&repository, &mut index, None).unwrap();
    storage.reset(None);
    script(5).archive_with(&repository, &mut index, None).unwrap();
    let operations = storage.operations().len();
    assert!(operations > 8, "{operations}");

    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for at in 0..operations {
            let storage = Faulty::new(MemoryStorage::new(), None);
            let repository = new_repository(storage.clone());
            let mut index = Index::load(&repository).unwrap();
            script(4).archive_with(&repository, &mut index, None).unwrap();
            let before = listed(&index);
            storage.reset(Some(Fault { at, kind }));
            let failed = script(5).archive_with(&repository, &mut index, None);
            storage.reset(None);
            let (known, loaded) = (listed(&index), loaded(&repository));
            assert!(known.is_superset(&before), "{kind:?} at {at}");
            assert!(known.is_subset(&loaded), "{kind:?} at {at}");
            assert!(failed.is_err() || known == loaded, "{kind:?} at {at}");

            let archived = script(5).archive_with(&repository, &mut index, None).unwrap();
            let read = read_all(&repository, &archived.snapshot).unwrap();
            assert_eq!(read[std::path::Path::new("/top/5")], noise(5, 60_000));
        }
    }
}

/// What an index object lists that was written on the way is known, though all else failed.
#[test]
fn what_was_listed_before_a_failure_is_known() {
    let repository = new_repository(MemoryStorage::new());
    let mut script = Script::default();
    for number in 0..60_000_u32 {
        script = script.file(&format!("/{number:05}"), number.to_le_bytes());
    }
    let asked = AtomicUsize::new(0);
    let fence = || match asked.fetch_add(1, Ordering::SeqCst) {
        1 => Err(Error::Corrupt { object: "fence".into(), problem: "closed".into() }),
        _ => Ok(()),
    };
    let mut index = Index::load(&repository).unwrap();
    archive(&repository, &mut index, &mut script, &options(None), &fence, &()).unwrap_err();
    assert_eq!(list::<IndexId>(&**repository.storage()).unwrap().len(), 1);
    let known = listed(&index);
    assert!(known.len() >= 50_000, "{}", known.len());
    assert_eq!(known, loaded(&repository));
}
