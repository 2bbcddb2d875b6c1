//! A repository that restic wrote, made once, and given to each test as a copy of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lifeboat_restic::{Index, MasterKey, Node, ResticRepository, SnapshotId, TreeId, unlock};
use lifeboat_storage::{Key, MemoryStorage, Storage};

use crate::common::{Place, display, have_restic, password};

/// A repository with two snapshots of host `pi`, of `first` and of `second`, which share a file.
pub(crate) struct Fixture {
    objects: Vec<(Key, Vec<u8>)>,
    key: MasterKey,
    /// The snapshot of each of the two.
    pub(crate) snapshots: BTreeMap<String, SnapshotId>,
    /// What is in each file, by its path from the top of the backup.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

/// `None` where restic is missing.
pub(crate) fn fixture() -> Option<&'static Fixture> {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    have_restic().then(|| FIXTURE.get_or_init(Fixture::make))
}

/// Bytes that cannot be compressed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

fn contents() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut add = |path: &str, content: Vec<u8>| {
        files.insert(PathBuf::from(path), content);
    };
    add("first/shared", noise(1, 3_000_000));
    add("second/shared", noise(1, 3_000_000));
    add("first/noise", noise(2, 12_000_000));
    add("first/zeros", vec![0; 20_000_000]);
    add("first/empty", Vec::new());
    add("first/text", b"the same line again\n".repeat(50_000));
    let (mut image, other) = (vec![0; 5_000_000], noise(3, 3_000_000));
    image.extend_from_slice(&other);
    image.extend_from_slice(&vec![0; 9_000_000]);
    add("first/deep/er/image", image);
    for number in 0..200_u16 {
        add(
            &format!("second/small/{number:03}"),
            noise(u64::from(100 + number), 300 + usize::from(number)),
        );
    }
    files
}

impl Fixture {
    fn make() -> Self {
        let place = Place::new();
        let key = place.init().key().clone();
        let files = contents();
        for (path, content) in &files {
            let path = place.path("tree").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mut snapshots = BTreeMap::new();
        for name in ["first", "second"] {
            let path = display(&place.path("tree").join(name));
            let run =
                place.restic(&["backup", "--json", "--host", "pi", "--pack-size", "4", &path]);
            let id = run.split("\"snapshot_id\":\"").nth(1).unwrap().split('"').next().unwrap();
            let all = place.restic(&["list", "snapshots"]);
            let id = all.lines().find(|line| line.starts_with(id)).unwrap();
            snapshots.insert(name.to_owned(), id.parse().unwrap());
        }
        let (storage, mut objects) = (place.storage(), Vec::new());
        for entry in storage.list(None).unwrap() {
            let bytes = fs::read(place.root().join(entry.key.as_str())).unwrap();
            objects.push((entry.key, bytes));
        }
        assert_eq!(
            *unlock(&*storage, &password()).unwrap().1.to_json().unwrap(),
            *key.to_json().unwrap()
        );
        Self { objects, key, snapshots, files }
    }

    /// A copy in memory.
    pub(crate) fn storage(&self) -> MemoryStorage {
        let storage = MemoryStorage::new();
        for (key, bytes) in &self.objects {
            storage.put(key, bytes).unwrap();
        }
        storage
    }

    /// A copy in a directory.
    pub(crate) fn place(&self) -> Place {
        let place = Place::new();
        for (key, bytes) in &self.objects {
            let path = place.root().join(key.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        place
    }

    pub(crate) fn open(&self, storage: impl Storage + 'static) -> ResticRepository {
        ResticRepository::open(Arc::new(storage), self.key.clone()).unwrap()
    }

    /// The nodes of all files with their paths from the top of the backup, in the order of the trees.
    pub(crate) fn nodes(
        &self,
        repository: &ResticRepository,
        index: &Index,
    ) -> Vec<(PathBuf, Node)> {
        let mut nodes = Vec::new();
        for snapshot in self.snapshots.values() {
            let root = repository.snapshot(snapshot).unwrap().tree;
            collect(repository, index, root, &PathBuf::new(), &mut nodes);
        }
        nodes
    }
}

fn collect(
    repository: &ResticRepository,
    index: &Index,
    tree: TreeId,
    path: &std::path::Path,
    nodes: &mut Vec<(PathBuf, Node)>,
) {
    for node in repository.tree(index, &tree).unwrap().nodes {
        // Down to where the backup begins there is only one way.
        let is_above = path.as_os_str().is_empty() && node.name != "first" && node.name != "second";
        let path = if is_above { PathBuf::new() } else { path.join(&node.name) };
        match node.subtree {
            Some(subtree) => collect(repository, index, subtree, &path, nodes),
            None => nodes.push((path, node)),
        }
    }
}
