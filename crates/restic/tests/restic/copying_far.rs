//! Copying from a source that is far: what the target has is not asked for.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;

use lifeboat_restic::{
    Archived, BlobHandle, BlobKind, CopiedSnapshot, CopyOptions, Index, ObjectId as _, PackId,
    ResticRepository, Result, SnapshotCopier, TreeId, list,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::{Key, MemoryStorage, Storage as _};

use crate::fixture::noise;
use crate::script::{Script, new_repository, read_all};

/// A source with two snapshots, of which the target has the first.
struct Pair {
    storage: Faulty<MemoryStorage>,
    from: ResticRepository,
    index: Arc<Index>,
    archived: [Archived; 2],
    /// The packs that came with the second snapshot.
    new_packs: BTreeSet<Key>,
    target: Faulty<MemoryStorage>,
    target_memory: MemoryStorage,
    to: ResticRepository,
}

/// Two directories, of which one stays as it is.
fn script(last: u64) -> Script {
    Script::default()
        .enter("/kept")
        .enter("/kept/below")
        .file("/kept/below/1", noise(1, 30_000))
        .leave()
        .file("/kept/more", noise(2, 30_000))
        .leave()
        .enter("/other")
        .file("/other/1", noise(3, 30_000))
        .file("/other/2", noise(last, 30_000))
        .leave()
}

fn packs(repository: &ResticRepository) -> BTreeSet<Key> {
    let packs = list::<PackId>(&**repository.storage()).unwrap();
    packs.iter().map(|pack| pack.id.key().unwrap()).collect()
}

impl Pair {
    fn new() -> Self {
        let storage = Faulty::new(MemoryStorage::new(), None);
        let from = new_repository(storage.clone());
        let mut index = Index::load(&from).unwrap();
        let first = script(4).archive_with(&from, &mut index, None).unwrap();
        let before = packs(&from);
        let target_memory = MemoryStorage::new();
        let target = Faulty::new(target_memory.clone(), None);
        let to = new_repository(target.clone());
        let mut copier = SnapshotCopier::open(from.clone(), Some(to.clone())).unwrap();
        copy(&mut copier, &first).unwrap();

        let second = script(5).archive_with(&from, &mut index, None).unwrap();
        let new_packs = packs(&from).difference(&before).cloned().collect();
        let (index, archived) = (Arc::new(index), [first, second]);
        Self { storage, from, index, archived, new_packs, target, target_memory, to }
    }

    fn copier(&self) -> SnapshotCopier {
        let (from, to) = (self.from.clone(), Some(self.to.clone()));
        SnapshotCopier::with_index(from, Arc::clone(&self.index), to).unwrap()
    }

    /// What the source is asked for by a copy of the second snapshot.
    fn asked(&self, mut copier: SnapshotCopier) -> Vec<Operation> {
        self.storage.reset(None);
        let copied = copy(&mut copier, &self.archived[1]).unwrap();
        assert_eq!((copied.data_blobs, copied.tree_blobs), (1, 2));
        let asked = self.storage.operations();
        let copy = self.to.snapshot(&copied.snapshot).unwrap();
        assert_eq!(copy.original, Some(self.archived[1].snapshot));
        asked
    }

    fn tree_of(&self, name: &str) -> TreeId {
        let root = self.from.tree(&self.index, &self.archived[1].tree).unwrap();
        root.find(name.as_ref()).unwrap().subtree.unwrap()
    }

    fn pack_of(&self, repository: &ResticRepository, tree: TreeId) -> Key {
        let blob = BlobHandle { kind: BlobKind::Tree, id: tree.into() };
        let index = Index::load(repository).unwrap();
        index.find(&blob).unwrap().pack.key().unwrap()
    }

    /// Removes an object of the target; its bytes.
    fn take_away(&self, key: &Key) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.target_memory.read(key, None).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(self.target_memory.remove(key).unwrap());
        bytes
    }

    /// Flips a bit of a directory in the target, or flips it back.
    fn damage(&self, tree: TreeId) {
        let blob = BlobHandle { kind: BlobKind::Tree, id: tree.into() };
        let location = Index::load(&self.to).unwrap().find(&blob).unwrap();
        let place = location.extent.offset as usize + 40;
        let key = location.pack.key().unwrap();
        assert!(self.target_memory.damage(&key, |bytes| bytes[place] ^= 1));
    }

    /// Both snapshots can be read from the target, and are what was archived.
    fn assert_whole(&self) {
        let copies = self.to.snapshots().unwrap().readable;
        assert_eq!(copies.len(), 2);
        for (copy, snapshot) in copies {
            let original = snapshot.original.unwrap();
            let expected = read_all(&self.from, &original).unwrap();
            assert_eq!(read_all(&self.to, &copy).unwrap(), expected);
        }
    }
}

fn copy(copier: &mut SnapshotCopier, archived: &Archived) -> Result<CopiedSnapshot> {
    let options = CopyOptions { pack_bytes: 100_000, ..CopyOptions::default() };
    copier.copy(&archived.snapshot, archived.tree, &options, &|| Ok(()), &|_| {})
}

/// What a reader of the source may be asked for: the snapshot, and packs.
fn reads(asked: &[Operation]) -> BTreeSet<Key> {
    let read = asked.iter().map(|operation| match operation {
        Operation::Read(key) => key.clone(),
        other => panic!("{other:?}"),
    });
    read.collect()
}

#[test]
fn of_a_far_source_only_what_is_new_is_read() {
    let pair = Pair::new();
    let snapshot = pair.archived[1].snapshot.key().unwrap();
    let mut new: BTreeSet<_> = pair.new_packs.iter().cloned().collect();
    assert_eq!(new.len(), 2, "{new:?}");
    new.insert(snapshot);
    assert_eq!(reads(&pair.asked(pair.copier().far_source())), new);
    pair.assert_whole();

    // A near one is asked for directories that the target has, too.
    let pair = Pair::new();
    let asked = reads(&pair.asked(pair.copier()));
    assert_eq!(asked.difference(&pair.new_packs).count(), 2, "{asked:?}");
    pair.assert_whole();
}

/// A directory that the target lists and does not have whole is read from the source, and so is what it lists in
/// vain; what is beside it is not.
#[test]
fn damage_in_the_target_is_gone_round() {
    for gone in [false, true] {
        let pair = Pair::new();
        let kept = pair.tree_of("kept");
        let copier = pair.copier().far_source();
        let (in_source, in_target) = (pair.pack_of(&pair.from, kept), pair.pack_of(&pair.to, kept));
        let removed = gone.then(|| pair.take_away(&in_target));
        if !gone {
            pair.damage(kept);
        }
        let asked = pair.asked(copier);
        assert!(reads(&asked).contains(&in_source), "{asked:?}");
        let of_source = |operation: &&Operation| **operation == Operation::Read(in_source.clone());
        // The packs of directories are short: what is near the first is read with it.
        assert_eq!(asked.iter().filter(of_source).count(), 1, "{asked:?}");
        match removed {
            Some(bytes) => pair.target_memory.put(&in_target, &bytes).unwrap(),
            None => pair.damage(kept),
        }
        pair.assert_whole();
    }
}

/// A target of which nothing can be read any more is not asked for each directory.
#[test]
fn a_target_that_fails_is_left_alone() {
    let pair = Pair::new();
    let mut copier = pair.copier().far_source();
    pair.target.reset(Some(Fault { at: 0, kind: FaultKind::FromThenOn }));
    let error = copy(&mut copier, &pair.archived[1]).unwrap_err();
    assert!(format!("{error:?}").contains("injected fault"), "{error:?}");
    let reads = pair.target.operations().into_iter();
    let reads = reads.filter(|operation| matches!(operation, Operation::Read(_))).count();
    // One directory, with what is around it and then by itself.
    assert_eq!(reads, 2);
    pair.target.reset(None);
    copy(&mut copier, &pair.archived[1]).unwrap();
    pair.assert_whole();
}

/// Whatever of the target fails, the copy is whole or not there.
#[test]
fn each_operation_of_the_target_may_fail() {
    let pair = Pair::new();
    let mut copier = pair.copier().far_source();
    pair.target.reset(None);
    copy(&mut copier, &pair.archived[1]).unwrap();
    let operations = pair.target.operations().len();
    assert!(operations > 6, "{operations}");
    for kind in [FaultKind::Once, FaultKind::Tear] {
        for at in 0..operations {
            let pair = Pair::new();
            let mut copier = pair.copier().far_source();
            pair.target.reset(Some(Fault { at, kind }));
            if let Err(error) = copy(&mut copier, &pair.archived[1]) {
                assert!(format!("{error:?}").contains("injected fault"), "{error:?}");
                copy(&mut pair.copier().far_source(), &pair.archived[1]).unwrap();
            }
            pair.assert_whole();
        }
    }
}
