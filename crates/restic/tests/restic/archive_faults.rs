//! A snapshot is there only if all of it is, whatever fails.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use lifeboat_restic::{
    Error, Index, IndexId, ObjectId, PackId, ResticRepository, SnapshotId, archive, list,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Meddle, Meddling, Operation};
use lifeboat_storage::{Key, MemoryStorage, Storage, Upload};

use crate::fixture::noise;
use crate::script::{Script, Unchanged, new_repository, options, read_all, snapshots};

/// Some packs of files and one of directories.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for number in 0..16 {
        let path = PathBuf::from(format!("/top/{}/{number:02}", number / 8));
        files.insert(path, noise(number, 20_000));
    }
    for directory in ["/top", "/top/0", "/top/1"] {
        files.insert(PathBuf::from(directory), Vec::new());
    }
    files
}

fn script() -> Script {
    let mut script = Script::default().enter("/top");
    for directory in ["/top/0", "/top/1"] {
        script = script.enter(directory);
        for (path, content) in files() {
            if path.parent() == Some(Path::new(directory)) {
                script = script.file(path.to_str().unwrap(), content);
            }
        }
        script = script.leave();
    }
    script.leave()
}

fn is_in<I: ObjectId>(key: &Key) -> bool {
    key.as_str().starts_with(I::DIRECTORY)
}

fn concerns_snapshot(operation: &Operation) -> bool {
    match operation {
        Operation::Publish(key) | Operation::Stat(key) => is_in::<SnapshotId>(key),
        _ => false,
    }
}

/// With threads, the order of operations is not always the same: each number hits something else in turn.
#[test]
fn no_snapshot_is_there_unless_all_of_it_is() {
    let storage = Faulty::new(MemoryStorage::new(), None);
    let repository = new_repository(storage.clone());
    storage.reset(None);
    script().archive(&repository, None).unwrap();
    let operations = storage.operations().len();
    assert!(operations > 20, "{operations}");

    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for at in 0..operations {
            let storage = Faulty::new(MemoryStorage::new(), None);
            let repository = new_repository(storage.clone());
            storage.reset(Some(Fault { at, kind }));
            let result = script().archive(&repository, None);
            let struck = storage.operations().get(at).cloned();
            storage.reset(None);

            let found = snapshots(&repository);
            match result {
                Ok(archived) => assert_eq!(found, [archived.snapshot]),
                Err(error) => {
                    assert!(format!("{error:?}").contains("injected fault"), "{error:?}");
                    // While it gets its name, or right after that, it may be there unsaid.
                    let doubtful = struck.as_ref().is_some_and(concerns_snapshot);
                    assert!(found.len() <= usize::from(doubtful), "{kind:?} at {at}: {struck:?}");
                }
            }
            for snapshot in found {
                assert_eq!(read_all(&repository, &snapshot).unwrap(), files(), "{kind:?} at {at}");
            }

            // What was left is no hindrance to the next one.
            let archived = script().archive(&repository, None).unwrap();
            assert_eq!(read_all(&repository, &archived.snapshot).unwrap(), files());
        }
    }
}

/// Packs, then an index of them, then the snapshot.
#[test]
fn nothing_is_named_before_it_is_durable() {
    let storage = Faulty::new(MemoryStorage::new(), None);
    let repository = new_repository(storage.clone());
    storage.reset(None);
    script().archive(&repository, None).unwrap();
    let published: Vec<_> = storage
        .operations()
        .into_iter()
        .filter_map(|operation| match operation {
            Operation::Publish(key) => Some(key),
            _ => None,
        })
        .collect();
    let [packs @ .., index, snapshot] = &published[..] else { panic!("{published:?}") };
    assert!(packs.len() > 3 && packs.iter().all(is_in::<PackId>), "{published:?}");
    assert!(is_in::<IndexId>(index) && is_in::<SnapshotId>(snapshot), "{published:?}");
}

/// What packs say of themselves is what the index says of them.
#[test]
fn the_index_lists_what_packs_hold() {
    let repository = new_repository(MemoryStorage::new());
    script().archive(&repository, None).unwrap();
    let index = Index::load(&repository).unwrap();
    let mut blobs = 0;
    for pack in list::<PackId>(&**repository.storage()).unwrap() {
        let header = repository.pack_header(&pack.id, pack.size).unwrap();
        for packed in &header {
            let location = index.find(&packed.blob).unwrap();
            assert_eq!((location.pack, location.extent), (pack.id, packed.extent));
        }
        blobs += header.len();
        for size in [0, 3, pack.size - 1, pack.size + 1] {
            assert!(repository.pack_header(&pack.id, size).is_err());
        }
    }
    assert_eq!(blobs, 16 + 4);
}

/// The lock is lost: nothing is written by which others would see what was stored.
#[test]
fn a_fence_ends_it() {
    for refused in 0..2 {
        let repository = new_repository(MemoryStorage::new());
        let asked = AtomicUsize::new(0);
        let fence = || match asked.fetch_add(1, Ordering::SeqCst) {
            number if number == refused => {
                Err(Error::Corrupt { object: "fence".into(), problem: "closed".into() })
            }
            _ => Ok(()),
        };
        let mut index = Index::load(&repository).unwrap();
        let error = archive(&repository, &mut index, &mut script(), &options(None), &fence, &())
            .unwrap_err();
        assert_eq!(error.to_string(), "fence is corrupt: closed");
        assert_eq!(asked.into_inner(), refused + 1);
        assert_eq!(list::<IndexId>(&**repository.storage()).unwrap().len(), refused);
        assert!(snapshots(&repository).is_empty());
    }
}

/// More blobs than one index object lists.
#[test]
fn an_index_is_written_on_the_way() {
    let repository = new_repository(MemoryStorage::new());
    let mut script = Script::default();
    for number in 0..60_000_u32 {
        script = script.file(&format!("/{number:05}"), number.to_le_bytes());
    }
    let archived = script.archive(&repository, None).unwrap();
    assert_eq!((archived.files, archived.data_blobs_new), (60_000, 60_000));
    assert_eq!(list::<IndexId>(&**repository.storage()).unwrap().len(), 2);
    let index = Index::load(&repository).unwrap();
    let tree = repository.tree(&index, &archived.tree).unwrap();
    for (number, node) in (0..60_000_u32).zip(&tree.nodes) {
        assert_eq!(node.content, [lifeboat_restic::BlobId::of(&number.to_le_bytes())]);
    }
}

/// Counts what arrives.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryStorage,
    written: Arc<AtomicU64>,
}

impl Meddle for Counting {
    fn inner(&self) -> &dyn Storage {
        &self.inner
    }

    fn begin(&self) -> lifeboat_storage::Result<Box<dyn Upload>> {
        let written = Arc::clone(&self.written);
        Ok(Box::new(CountingUpload { inner: self.inner.begin()?, written }))
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> lifeboat_storage::Result<()> {
        upload.publish(key)
    }
}

struct CountingUpload {
    inner: Box<dyn Upload>,
    written: Arc<AtomicU64>,
}

impl Write for CountingUpload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for CountingUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.inner.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> lifeboat_storage::Result<()> {
        self.inner.publish(key)
    }
}

/// Of a file of any size, no more is in memory than the bound that is documented: a piece being read, what is
/// on its way, and what the pack collects.
#[test]
fn a_huge_file_takes_bounded_memory() {
    const HUGE: u64 = 120_000_000;
    const MOST: u64 = (8 + 32 + 1) * 1024 * 1024;
    let counting = Counting::default();
    let written = Arc::clone(&counting.written);
    let repository = new_repository(Meddling::new(counting));
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let script = Script::default().opened("/huge", HUGE, move || {
        let (written, most, mut read, mut left) =
            (Arc::clone(&written), Arc::clone(&seen), 0, HUGE);
        let block = noise(HUGE, 1_000_003);
        let reader = Reader(move |buffer: &mut [u8]| {
            let behind: u64 = read - u64::min(written.load(Ordering::SeqCst), read);
            let mut most = most.lock().unwrap();
            *most = behind.max(*most);
            let length = buffer.len().min(block.len()).min(usize::try_from(left).unwrap());
            buffer[..length].copy_from_slice(&block[..length]);
            // The same bytes again would be stored only once.
            if let Some((start, _)) = buffer[..length].split_first_chunk_mut::<8>() {
                *start = u64::to_le_bytes(left);
            }
            read += length as u64;
            left -= length as u64;
            length
        });
        Ok(Some(Box::new(Unchanged(reader))))
    });
    let archived = script.archive(&repository, None).unwrap();
    assert_eq!((archived.size_bytes, archived.read_bytes), (HUGE, HUGE));
    assert!(archived.stored_bytes > HUGE);
    let most = *most.lock().unwrap();
    assert!(most > 0 && most <= MOST, "{most}");
}

struct Reader<F>(F);

impl<F: FnMut(&mut [u8]) -> usize> std::io::Read for Reader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(self.0(buffer))
    }
}

/// The same content in many files at once.
#[test]
fn the_same_content_is_stored_once() {
    let repository = new_repository(MemoryStorage::new());
    let content: Arc<[u8]> = noise(5, 2_000_000).into();
    let mut script = Script::default();
    for number in 0..24 {
        script = script.file(&format!("/{number:02}"), Arc::clone(&content));
    }
    let archived = script.archive(&repository, None).unwrap();
    let index = Index::load(&repository).unwrap();
    let tree = repository.tree(&index, &archived.tree).unwrap();
    let pieces: BTreeSet<_> = tree.nodes.iter().flat_map(|node| &node.content).collect();
    assert!(!pieces.is_empty());
    assert_eq!(archived.data_blobs_new, pieces.len() as u64);
    assert!(tree.nodes.iter().all(|node| node.content == tree.nodes[0].content));
    assert!(archived.stored_bytes < 2_100_000, "{archived:?}");
    let read = read_all(&repository, &archived.snapshot).unwrap();
    assert!(read.values().all(|bytes| **bytes == *content));
}

/// Threads end, and nobody waits for one that has gone.
#[test]
fn a_panic_is_an_error() {
    let repository: ResticRepository = new_repository(MemoryStorage::new());
    let script = script().opened("/zzz", 1, || panic!("of the source"));
    let error = script.archive(&repository, None).unwrap_err();
    assert!(matches!(&error, Error::Panicked { message } if message == "of the source"), "{error}");
    assert!(snapshots(&repository).is_empty());
}
