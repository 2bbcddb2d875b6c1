//! A source that yields what a test says, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_files::{Entry, FileTime, Kind, Metadata, Problem};
use lifeboat_restic::{
    ArchiveOptions, Archived, BlobHandle, BlobKind, Config, Index, MasterKey, ResticRepository,
    Result, SnapshotId, Source, SourceContent, SourceFile, SourceItem, TreeId, archive,
};
use lifeboat_storage::Storage;

/// The items in their order, and what is said at the end.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) items: VecDeque<SourceItem>,
    pub(crate) veto: Option<&'static str>,
}

impl Source for Script {
    fn next(&mut self) -> Option<SourceItem> {
        self.items.pop_front()
    }

    fn finish(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.veto.map_or(Ok(()), |veto| Err(veto.into()))
    }
}

pub(crate) fn entry(path: &str, kind: Kind, size: u64) -> Entry {
    let modified = FileTime { seconds: 1_700_000_000, nanoseconds: 5 };
    let metadata =
        Metadata { permissions: 0o644, modified, changed: modified, size, ..Metadata::default() };
    Entry { path: PathBuf::from(path), kind, metadata }
}

/// What opening a file yields.
type Open = Box<dyn Fn() -> Result<Option<Box<dyn SourceContent>>, Problem>>;

struct ScriptFile {
    entry: Entry,
    open: Open,
}

impl SourceFile for ScriptFile {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn open(&self) -> Result<Option<Box<dyn SourceContent>>, Problem> {
        (self.open)()
    }

    fn into_entry(self: Box<Self>) -> Entry {
        self.entry
    }
}

/// Content that nobody changes.
pub(crate) struct Unchanged<R>(pub(crate) R);

impl<R: Read> Read for Unchanged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> SourceContent for Unchanged<R> {
    fn changed(&self) -> io::Result<bool> {
        Ok(false)
    }
}

impl Script {
    pub(crate) fn enter(mut self, path: &str) -> Self {
        self.items.push_back(SourceItem::Enter(entry(path, Kind::Directory, 0)));
        self
    }

    pub(crate) fn leave(mut self) -> Self {
        self.items.push_back(SourceItem::Leave);
        self
    }

    pub(crate) fn item(mut self, item: SourceItem) -> Self {
        self.items.push_back(item);
        self
    }

    pub(crate) fn file(self, path: &str, content: impl Into<Arc<[u8]>>) -> Self {
        let content: Arc<[u8]> = content.into();
        let size = content.len() as u64;
        self.sized(path, size, content)
    }

    /// A file that seems to be `size` bytes long.
    pub(crate) fn sized(self, path: &str, size: u64, content: Arc<[u8]>) -> Self {
        self.opened(path, size, move || {
            let content = Unchanged(io::Cursor::new(Arc::clone(&content)));
            Ok(Some(Box::new(content)))
        })
    }

    pub(crate) fn opened(
        self,
        path: &str,
        size: u64,
        open: impl Fn() -> Result<Option<Box<dyn SourceContent>>, Problem> + 'static,
    ) -> Self {
        let entry = entry(path, Kind::File, size);
        self.item(SourceItem::File(Box::new(ScriptFile { entry, open: Box::new(open) })))
    }

    /// A file with other metadata than [`Script::file`] gives it.
    pub(crate) fn file_with(
        self,
        path: &str,
        content: &'static [u8],
        change: impl FnOnce(&mut Metadata),
    ) -> Self {
        let mut entry = entry(path, Kind::File, content.len() as u64);
        change(&mut entry.metadata);
        let open: Open = Box::new(move || Ok(Some(Box::new(Unchanged(content)))));
        self.item(SourceItem::File(Box::new(ScriptFile { entry, open })))
    }

    /// Archives it with small packs and three threads that seal.
    pub(crate) fn archive(
        self,
        repository: &ResticRepository,
        parent: Option<SnapshotId>,
    ) -> Result<Archived> {
        self.archive_with(repository, &mut Index::load(repository)?, parent)
    }

    /// The same, with an index that is there.
    pub(crate) fn archive_with(
        mut self,
        repository: &ResticRepository,
        index: &mut Index,
        parent: Option<SnapshotId>,
    ) -> Result<Archived> {
        archive(repository, index, &mut self, &options(parent), &|| Ok(()), &())
    }
}

pub(crate) fn options(parent: Option<SnapshotId>) -> ArchiveOptions {
    ArchiveOptions { parent, workers: 3, pack_bytes: 100_000, ..ArchiveOptions::default() }
}

pub(crate) fn new_repository(storage: impl Storage + 'static) -> ResticRepository {
    let (key, config) = (MasterKey::random().unwrap(), Config::random().unwrap());
    ResticRepository::init(Arc::new(storage), key, &config).unwrap()
}

/// All paths in a snapshot with what is in them, every byte of it read.
pub(crate) fn read_all(
    repository: &ResticRepository,
    snapshot: &SnapshotId,
) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let index = Index::load(repository)?;
    let mut found = BTreeMap::new();
    read_tree(repository, &index, repository.snapshot(snapshot)?.tree, Path::new("/"), &mut found)?;
    Ok(found)
}

fn read_tree(
    repository: &ResticRepository,
    index: &Index,
    tree: TreeId,
    path: &Path,
    found: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> Result<()> {
    for node in repository.tree(index, &tree)?.nodes {
        let path = path.join(&node.name);
        let mut content = Vec::new();
        for id in node.content {
            content.extend(repository.blob(index, &BlobHandle { kind: BlobKind::Data, id })?);
        }
        if node.kind == Kind::File {
            assert_eq!(node.metadata.size, content.len() as u64, "{path:?}");
        }
        found.insert(path.clone(), content);
        if let Some(tree) = node.subtree {
            read_tree(repository, index, tree, &path, found)?;
        }
    }
    Ok(())
}

/// The snapshots that are there.
pub(crate) fn snapshots(repository: &ResticRepository) -> Vec<SnapshotId> {
    let snapshots = repository.snapshots().unwrap();
    assert!(snapshots.unreadable.is_empty());
    snapshots.readable.into_iter().map(|(id, _)| id).collect()
}
