//! What sources may do, and what comes of it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use lifeboat_files::{Attribute, Entry, Kind, Problem};
use lifeboat_restic::{
    ArchiveOptions, ArchiveProgress, Error, Index, IndexId, ObjectId, PackId, SnapshotId,
    SourceContent, SourceItem, archive, list,
};
use lifeboat_storage::MemoryStorage;
use lifeboat_storage::testing::{Faulty, Operation};

use crate::fixture::noise;
use crate::script::{Script, Unchanged, entry, new_repository, options, read_all, snapshots};

fn problem(path: &str) -> Problem {
    Problem { path: path.into(), operation: "open", source: io::Error::other("not for us") }
}

fn paths(expected: &[&str]) -> Vec<PathBuf> {
    expected.iter().map(PathBuf::from).collect()
}

#[derive(Default)]
struct Told {
    entries: RefCell<Vec<PathBuf>>,
    content: RefCell<u64>,
    problems: RefCell<Vec<String>>,
}

impl ArchiveProgress for Told {
    fn entry(&self, entry: &Entry) {
        self.entries.borrow_mut().push(entry.path.clone());
    }

    fn content(&self, bytes: u64) {
        *self.content.borrow_mut() += bytes;
    }

    fn problem(&self, problem: &Problem) {
        self.problems.borrow_mut().push(problem.to_string());
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_told() {
    let repository = new_repository(MemoryStorage::new());
    let breaks = || {
        let half = io::Cursor::new(noise(9, 3_000_000)).chain(Failing);
        Ok(Some(Box::new(Unchanged(half)) as Box<dyn SourceContent>))
    };
    let mut script = Script::default()
        .file("/a", *b"first")
        .opened("/breaks", 6_000_000, breaks)
        .opened("/closed", 7, || Err(problem("/closed")))
        .item(SourceItem::Problem(problem("/directory")))
        .opened("/gone", 8, || Ok(None))
        .item(SourceItem::Vanished("/h".into()))
        .item(SourceItem::LeftOut)
        .file("/z", *b"last");
    let told = Told::default();
    let (options, mut index) = (options(None), Index::load(&repository).unwrap());
    let archived =
        archive(&repository, &mut index, &mut script, &options, &|| Ok(()), &told).unwrap();

    let kept = read_all(&repository, &archived.snapshot).unwrap();
    assert_eq!(
        kept.into_iter().collect::<Vec<_>>(),
        [("/a".into(), b"first".to_vec()), ("/z".into(), b"last".to_vec())]
    );
    assert_eq!((archived.files, archived.files_new, archived.size_bytes), (2, 2, 9));
    assert_eq!((archived.vanished, archived.left_out), (2, 1));
    let problems = ["cannot read /breaks", "cannot open /closed", "cannot open /directory"];
    assert_eq!(told.problems.into_inner(), problems);
    assert_eq!(archived.problems.count(), 3);
    let first = archived.problems.first().iter().map(ToString::to_string);
    assert_eq!(first.collect::<Vec<_>>(), problems);
    assert_eq!(*told.entries.borrow(), paths(&["/a", "/breaks", "/closed", "/gone", "/z"]));
    assert_eq!(told.content.into_inner(), archived.read_bytes);
    assert!((9..=3_000_009).contains(&archived.read_bytes));
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}

#[test]
fn all_problems_are_counted_and_a_hundred_kept() {
    let repository = new_repository(MemoryStorage::new());
    let mut script = Script::default().file("/a", *b"first");
    for _ in 0..250 {
        script = script.item(SourceItem::Problem(problem("/b")));
    }
    let archived = script.archive(&repository, None).unwrap();
    assert_eq!((archived.problems.count(), archived.problems.first().len()), (250, 100));
}

/// A file that grows or shrinks is as long as what was read of it.
#[test]
fn a_file_is_as_long_as_its_content() {
    let repository = new_repository(MemoryStorage::new());
    let content = noise(3, 100_000);
    let script = Script::default()
        .sized("/grows", 10_000, content.clone().into())
        .sized("/shrinks", 5_000_000, content.clone().into())
        .sized("/was empty", 0, content.clone().into());
    let archived = script.archive(&repository, None).unwrap();
    let kept = read_all(&repository, &archived.snapshot).unwrap();
    assert_eq!(kept.into_values().collect::<Vec<_>>(), [&content[..]; 3]);
    assert_eq!((archived.size_bytes, archived.data_blobs_new), (300_000, 1));
}

struct Changing;

impl Read for Changing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl SourceContent for Changing {
    fn changed(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[test]
fn a_file_that_changes_is_kept_and_counted() {
    let repository = new_repository(MemoryStorage::new());
    let script = Script::default().opened("/a", 0, || Ok(Some(Box::new(Changing))));
    let archived = script.archive(&repository, None).unwrap();
    assert_eq!((archived.files, archived.changed_while_read), (1, 1));
}

/// Such as a command that exits with an error after all of its output.
#[test]
fn a_source_that_is_not_whole_leaves_no_snapshot() {
    let repository = new_repository(MemoryStorage::new());
    let mut script = Script::default().file("/dump", *b"half of it");
    script.veto = Some("exit status 1");
    let error = script.archive(&repository, None).unwrap_err();
    let Error::Source { source } = &error else { panic!("{error}") };
    assert_eq!(source.to_string(), "exit status 1");
    assert!(snapshots(&repository).is_empty());
}

#[test]
fn nothing_is_no_backup() {
    let repository = new_repository(MemoryStorage::new());
    for script in [Script::default(), Script::default().item(SourceItem::Problem(problem("/a")))] {
        let error = script.archive(&repository, None).unwrap_err();
        assert!(matches!(error, Error::Nothing), "{error}");
    }
    assert!(snapshots(&repository).is_empty());
}

/// None of them may become a tree that others cannot read.
#[test]
fn a_source_out_of_order_leaves_no_snapshot() {
    let repository = new_repository(MemoryStorage::new());
    let root = || SourceItem::Enter(entry("/", Kind::Directory, 0));
    for script in [
        Script::default().file("/a", *b"1").file("/a", *b"2"),
        Script::default().file("/b", *b"1").file("/a", *b"2"),
        Script::default().enter("/a").leave().file("/a", *b"2"),
        Script::default().file("/a", *b"1").enter("/a").leave(),
        Script::default().file("/a/b", *b"1"),
        Script::default().file("a", *b"1"),
        Script::default().enter("/a").file("/b", *b"1").leave(),
        Script::default().enter("/a").file("/a/b/c", *b"1").leave(),
        Script::default().enter("/a").file("/a/b", *b"1"),
        Script::default().file("/a", *b"1").leave(),
        Script::default().enter("/a").leave().leave(),
        Script::default().item(root()).file("/a", *b"1").leave(),
        Script::default().file("/a", *b"1").file("/b/..", *b"2"),
    ] {
        let items: Vec<_> = script.items.iter().map(describe).collect();
        let error = script.archive(&repository, None).expect_err(&format!("{items:?}"));
        assert!(matches!(error, Error::Disorder { .. } | Error::Corrupt { .. }), "{error:?}");
    }
    assert!(snapshots(&repository).is_empty());
}

fn describe(item: &SourceItem) -> String {
    match item {
        SourceItem::Enter(entry) => format!("enter {:?}", entry.path),
        SourceItem::File(file) => format!("file {:?}", file.entry().path),
        _ => "leave".to_owned(),
    }
}

#[test]
fn attributes_without_a_name_in_unicode_are_told() {
    let repository = new_repository(MemoryStorage::new());
    let mut device = entry("/device", Kind::CharacterDevice { device: 0x103 }, 0);
    let name = |name: &[u8]| OsString::from_vec(name.to_vec());
    device.metadata.attributes = vec![
        Attribute { name: name(b"user.good"), value: b"kept".to_vec() },
        Attribute { name: name(b"user.\xff"), value: b"lost".to_vec() },
    ];
    let script = Script::default().item(SourceItem::Entry(device));
    let archived = script.archive(&repository, None).unwrap();
    assert_eq!((archived.others, archived.problems.count()), (1, 1));
    let index = Index::load(&repository).unwrap();
    let tree = repository.tree(&index, &archived.tree).unwrap();
    let kept = &tree.nodes[0].metadata.attributes;
    assert_eq!((kept.len(), &*kept[0].value), (1, &b"kept"[..]));
}

fn two(a: &[u8], b: &[u8]) -> Script {
    Script::default().enter("/d").file("/d/a", a).leave().file("/e", b)
}

#[test]
fn what_was_not_touched_is_not_opened() {
    let repository = new_repository(MemoryStorage::new());
    let first = two(b"1", b"2").archive(&repository, None).unwrap();
    let closed =
        || Script::default().enter("/d").opened("/d/a", 1, || Err(problem("/d/a"))).leave();
    let second = closed().file("/e", *b"22").archive(&repository, Some(first.snapshot)).unwrap();
    assert_eq!((second.files_unmodified, second.files_changed), (1, 1));
    assert_eq!((second.problems.count(), second.read_bytes), (0, 2));
    let kept = read_all(&repository, &second.snapshot).unwrap();
    assert_eq!(kept[&PathBuf::from("/d/a")], b"1");

    let mut forced = closed().file("/e", *b"22");
    let options = ArchiveOptions { force: true, ..options(Some(second.snapshot)) };
    let mut index = Index::load(&repository).unwrap();
    let third = archive(&repository, &mut index, &mut forced, &options, &|| Ok(()), &()).unwrap();
    assert_eq!((third.files_unmodified, third.problems.count()), (0, 1));
}

/// Any of size, times and inode that differs.
#[test]
fn what_was_touched_is_read() {
    let repository = new_repository(MemoryStorage::new());
    let first = Script::default().file("/a", *b"1").archive(&repository, None).unwrap();
    let changes: [fn(&mut lifeboat_files::Metadata); 4] = [
        |metadata| metadata.modified.nanoseconds += 1,
        |metadata| metadata.changed.nanoseconds += 1,
        |metadata| metadata.inode += 1,
        |metadata| metadata.size += 1,
    ];
    for change in changes {
        let script = Script::default().file_with("/a", b"2", change);
        let second = script.archive(&repository, Some(first.snapshot)).unwrap();
        assert_eq!((second.files_changed, second.read_bytes), (1, 1));
    }
    let mut link = entry("/a", Kind::Symlink { target: "b".into() }, 0);
    link.metadata.size = 1;
    let link = Script::default().item(SourceItem::Entry(link));
    let second = link.archive(&repository, Some(first.snapshot)).unwrap();
    let third = Script::default().file("/a", *b"1");
    let third = third.archive(&repository, Some(second.snapshot)).unwrap();
    assert_eq!((third.files_new, third.files_unmodified), (1, 0));
}

/// The trees of the parent are megabytes: they are read in stretches, in few requests.
#[test]
fn a_large_parent_is_read_in_few_requests() {
    const DIRECTORIES: u64 = 120;
    let storage = Faulty::new(MemoryStorage::new(), None);
    let repository = new_repository(storage.clone());
    let script = || {
        let mut script = Script::default();
        for directory in 0..DIRECTORIES {
            let path = format!("/{directory:03}");
            script = script.enter(&path).enter(&format!("{path}/in"));
            for number in 0..10 {
                let target = OsString::from_vec(noise(directory * 10 + number, 4000));
                let link = entry(&format!("{path}/in/{number}"), Kind::Symlink { target }, 0);
                script = script.item(SourceItem::Entry(link));
            }
            script = script.leave().leave();
        }
        script
    };
    let options = |parent| ArchiveOptions { pack_bytes: 3_000_000, ..options(parent) };
    let run = |parent| {
        let mut index = Index::load(&repository)?;
        archive(&repository, &mut index, &mut script(), &options(parent), &|| Ok(()), &())
    };
    let first = run(None).unwrap();
    assert!(first.stored_bytes > 5_000_000, "{first:?}");
    storage.reset(None);
    let second = run(Some(first.snapshot)).unwrap();
    assert_eq!((second.tree, second.unreadable_parent_trees), (first.tree, 0));
    assert_eq!(second.tree_blobs_new, 0);
    let is_pack = |operation: &Operation| match operation {
        Operation::Read(key) => key.as_str().starts_with(PackId::DIRECTORY),
        _ => false,
    };
    let requests = storage.operations().iter().filter(|operation| is_pack(operation)).count();
    assert!(requests < 30, "{requests}");
}

/// A directory of the parent that cannot be read is as if it had not been there, and no error.
#[test]
fn a_damaged_parent_is_no_parent() {
    let storage = MemoryStorage::new();
    let repository = new_repository(storage.clone());
    let first = two(b"1", b"2").archive(&repository, None).unwrap();
    let missing = SnapshotId::of(b"missing");
    let second = two(b"1", b"2").archive(&repository, Some(missing)).unwrap();
    assert_eq!((second.unreadable_parent_trees, second.files_new), (1, 2));
    assert_eq!(repository.snapshot(&second.snapshot).unwrap().parent, None);

    let index = Index::load(&repository).unwrap();
    let trees: Vec<_> = index.blobs(lifeboat_restic::BlobKind::Tree).collect();
    let subtree = repository.tree(&index, &first.tree).unwrap().nodes[0].subtree.unwrap();
    for (id, location) in trees {
        let key = location.pack.key().unwrap();
        let place = location.extent.offset as usize + 20;
        assert!(storage.damage(&key, |bytes| bytes[place] ^= 1));
        let third = two(b"1", b"2").archive(&repository, Some(first.snapshot)).unwrap();
        assert_eq!(third.unreadable_parent_trees, 1);
        assert_eq!(third.files_new, if id == subtree.into() { 1 } else { 2 });
        assert!(storage.damage(&key, |bytes| bytes[place] ^= 1));
    }
}

/// What the parent says of a file is worth nothing if its pieces are gone.
#[test]
fn pieces_that_are_in_no_index_are_read_again() {
    let repository = new_repository(MemoryStorage::new());
    let first = Script::default().file("/a", *b"1").archive(&repository, None).unwrap();
    let [index] = list::<IndexId>(&**repository.storage()).unwrap()[..] else { panic!() };
    let second = Script::default().file("/a", *b"1").file("/b", *b"2");
    let second = second.archive(&repository, Some(first.snapshot)).unwrap();
    assert_eq!(second.files_unmodified, 1);
    repository.storage().remove(&index.id.key().unwrap()).unwrap();

    let third = Script::default().file("/a", *b"1").file("/b", *b"2");
    let third = third.archive(&repository, Some(second.snapshot)).unwrap();
    assert_eq!((third.files_changed, third.files_unmodified), (1, 1));
    assert_eq!(third.data_blobs_new, 1);
    assert_eq!(read_all(&repository, &third.snapshot).unwrap().len(), 2);
    assert!(!list::<PackId>(&**repository.storage()).unwrap().is_empty());
}
