//! What is read from one directory and put into another is the same there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirEntryExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use lifeboat_files::{Durability, Kind, Outcome, Overwrite, Owners, Put, PutOptions};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, utimensat,
};

use crate::tree::{
    Node, assert_same, comparable, directory, file, fill_as, is_root, names, options, put_well,
    read, scratch,
};

#[derive(Clone, Debug)]
enum Content {
    File(Vec<u8>),
    /// Zeros with something behind them.
    Sparse(u32),
    Directory(Vec<(OsString, Thing)>),
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    Device(u32),
    /// Another name of a file made before.
    Link,
}

#[derive(Clone, Debug)]
struct Thing {
    content: Content,
    permissions: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    attribute: Option<Vec<u8>>,
    has_access_list: bool,
}

fn name() -> BoxedStrategy<OsString> {
    let byte = prop_oneof![3 => b'a'..=b'f', 1 => 1u8..=255];
    vec(byte, 1..12)
        .prop_filter("a name", |name| !name.contains(&b'/') && name != b"." && name != b"..")
        .prop_map(OsString::from_vec)
        .boxed()
}

/// One that two trees are likely to have in common.
fn short_name() -> BoxedStrategy<OsString> {
    (b'a'..=b'h').prop_map(|byte| OsString::from_vec(vec![byte])).boxed()
}

fn thing(name: fn() -> BoxedStrategy<OsString>) -> impl Strategy<Value = Thing> {
    let leaf = prop_oneof![
        3 => vec(any::<u8>(), 0..5000).prop_map(Content::File),
        // Equal ones in two trees, but for their metadata.
        1 => (0usize..2).prop_map(|size| Content::File(vec![7; size])),
        1 => (60_000u32..300_000).prop_map(Content::Sparse),
        2 => vec(1u8..=255, 1..40).prop_map(Content::Symlink),
        1 => Just(Content::Fifo),
        1 => Just(Content::Socket),
        1 => (0u32..1 << 12).prop_map(Content::Device),
        2 => Just(Content::Link),
    ];
    with_metadata(leaf).prop_recursive(4, 40, 8, move |inner| {
        let children = btree_map(name(), inner, 0..8);
        with_metadata(
            children.prop_map(|children| Content::Directory(children.into_iter().collect())),
        )
    })
}

fn with_metadata(content: impl Strategy<Value = Content>) -> impl Strategy<Value = Thing> {
    let owner = (0u32..70_000, prop_oneof![0u32..70_000, Just(u32::MAX - 1)]);
    let modified = (-3_000_000_000i64..10_000_000_000, 0i64..1_000_000_000);
    let attribute = proptest::option::weighted(0.3, vec(any::<u8>(), 0..200));
    (content, 0u32..0o10000, owner, modified, attribute, proptest::bool::weighted(0.2)).prop_map(
        |(content, permissions, owner, modified, attribute, has_access_list)| Thing {
            content,
            permissions,
            owner,
            modified,
            attribute,
            has_access_list,
        },
    )
}

/// Makes a thing, and what only root may make only as root.
fn make(path: &Path, thing: &Thing, first: &mut Option<PathBuf>) {
    let mut is_link = false;
    match &thing.content {
        Content::File(content) => fs::write(path, content).unwrap(),
        Content::Sparse(length) => {
            let mut content = vec![0; *length as usize];
            content.extend(b"end");
            fs::write(path, content).unwrap();
        }
        Content::Directory(children) => {
            fs::create_dir(path).unwrap();
            for (name, child) in children {
                make(&path.join(name), child, first);
            }
        }
        Content::Symlink(target) => {
            is_link = true;
            symlink(OsString::from_vec(target.clone()), path).unwrap();
        }
        Content::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
        Content::Socket => mknodat(CWD, path, FileType::Socket, Mode::RUSR, 0).unwrap(),
        Content::Device(number) if is_root() => {
            let kind =
                if number % 2 == 0 { FileType::BlockDevice } else { FileType::CharacterDevice };
            mknodat(CWD, path, kind, Mode::RUSR, u64::from(*number)).unwrap();
        }
        Content::Link if first.is_some() => {
            return fs::hard_link(first.as_ref().unwrap(), path).unwrap();
        }
        Content::Device(_) | Content::Link => fs::write(path, b"a file").unwrap(),
    }
    if matches!(thing.content, Content::File(_)) {
        *first = Some(path.to_owned());
    }
    set_metadata(path, thing, is_link);
}

fn set_metadata(path: &Path, thing: &Thing, is_link: bool) {
    let has_content = matches!(thing.content, Content::File(_) | Content::Directory(_));
    if is_root() {
        let (user, group) = thing.owner;
        std::os::unix::fs::lchown(path, Some(user), Some(group)).unwrap();
    }
    if let Some(value) = thing.attribute.as_ref().filter(|_| has_content) {
        rustix::fs::setxattr(path, "user.test", value, XattrFlags::empty()).unwrap();
    }
    if thing.has_access_list && has_content {
        let name = "system.posix_acl_access";
        rustix::fs::setxattr(path, name, &ACCESS_LIST, XattrFlags::empty()).unwrap();
        if matches!(thing.content, Content::Directory(_)) {
            let name = "system.posix_acl_default";
            rustix::fs::setxattr(path, name, &ACCESS_LIST, XattrFlags::empty()).unwrap();
        }
    }
    if !is_link {
        let readable =
            if is_root() { thing.permissions } else { thing.permissions & 0o777 | 0o700 };
        fs::set_permissions(path, fs::Permissions::from_mode(readable)).unwrap();
    }
    let (tv_sec, tv_nsec) = thing.modified;
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Owner rwx, user 1000 r-x, group r-x, mask r-x, others nothing; as the kernel keeps it.
#[rustfmt::skip]
pub(crate) const ACCESS_LIST: [u8; 44] = [
    2, 0, 0, 0,
    1, 0, 7, 0, 255, 255, 255, 255,
    2, 0, 5, 0, 232, 3, 0, 0,
    4, 0, 5, 0, 255, 255, 255, 255,
    16, 0, 5, 0, 255, 255, 255, 255,
    32, 0, 0, 0, 255, 255, 255, 255,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_trees(things in btree_map(name(), thing(name), 0..10), each_file in any::<bool>()) {
        let scratch = scratch();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::create_dir(&from).unwrap();
        let mut first = None;
        for (name, thing) in &things {
            make(&from.join(name), thing, &mut first);
        }
        let durability = if each_file { Durability::EachFile } else { Durability::Caller };
        let options = PutOptions { durability, owners: Owners::Numeric, ..options() };
        let tree = read(&from);
        let made = put_well(&to, &tree, options.clone());
        assert_same(&from, &to);
        prop_assert_eq!((made.replaced, made.unchanged, made.skipped), (0, 0, 0));

        // Once more, over itself: nothing is written, and not even the times of change move.
        let before = read(&to);
        let again = put_well(&to, &tree, options);
        prop_assert!(read(&to) == before);
        prop_assert_eq!((again.replaced, again.written_bytes), (0, 0));
        prop_assert_eq!(again.files + again.others, again.unchanged + again.linked);
        prop_assert_eq!(again.files, made.files);
        prop_assert_eq!(again.others, made.others);
        prop_assert_eq!(again.directories, made.directories);
    }

    /// Whatever was there: with `Always` it becomes the backup, and what was in the way is kept.
    #[test]
    fn over_another_tree(
        old in btree_map(short_name(), thing(short_name), 0..8),
        new in btree_map(short_name(), thing(short_name), 0..8),
    ) {
        let scratch = scratch();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        for (directory, things) in [(&from, &new), (&to, &old)] {
            fs::create_dir(directory).unwrap();
            let mut first = None;
            for (name, thing) in things {
                make(&directory.join(name), thing, &mut first);
            }
        }
        let safety = Some("saved-here".into());
        let options =
            PutOptions { safety, owners: Owners::Numeric, overwrite: Overwrite::Always, ..options() };
        let before = inodes(&to);
        let mut put = Put::open(&to, options).unwrap();
        put_and_remove_extras(&mut put, &read(&from));
        let report = put.finish();
        prop_assert_eq!(report.problem_count, 0, "{:#?}", report.problems);
        let after = inodes(&to);
        prop_assert!(before.is_subset(&after), "nothing that was there is gone");
        let saved = to.join("saved-here");
        prop_assert_eq!(saved.exists(), report.moved_aside > 0);
        if saved.exists() {
            fs::remove_dir_all(saved).unwrap();
        }
        // Other attributes of what was there are not taken from it.
        let without = |nodes: &[Node]| without_attributes(comparable(nodes));
        prop_assert!(without(&read(&from)) == without(&read(&to)));
    }
}

fn put_and_remove_extras(put: &mut Put, nodes: &[Node]) {
    for node in nodes {
        let name = node.entry.path.file_name().unwrap();
        if node.entry.kind == Kind::Directory {
            put.enter(name, &node.entry);
            put_and_remove_extras(put, &node.children);
            put.leave();
        } else {
            fill_as(put, name, node);
        }
    }
    put.remove_extras(|_| true);
}

fn inodes(directory: &Path) -> BTreeSet<u64> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        inodes.insert(entry.ino());
        if entry.file_type().unwrap().is_dir() {
            inodes.extend(self::inodes(&entry.path()));
        }
    }
    inodes
}

fn without_attributes(mut nodes: Vec<Node>) -> Vec<Node> {
    for node in &mut nodes {
        node.entry.metadata.attributes.retain(|attribute| attribute.name != "user.test");
        node.children = without_attributes(std::mem::take(&mut node.children));
    }
    nodes
}

/// More levels than a process may have files open.
#[test]
fn a_deep_tree() {
    let scratch = scratch();
    let depth = 2000;
    let level = directory("d", vec![]);
    let mut put = Put::open(scratch.path(), options()).unwrap();
    let mut most = 0;
    for level_number in 0..depth {
        let beside = file("file", level_number.to_string().as_bytes(), 8);
        fill_as(&mut put, "file".as_ref(), &beside);
        put.enter("d".as_ref(), &level.entry);
        if level_number % 100 == 0 {
            most = most.max(open_below_path(scratch.path()));
        }
    }
    fill_as(&mut put, "bottom".as_ref(), &file("bottom", b"here", 7));
    for level_number in 0..depth {
        put.leave();
        if level_number % 100 == 0 {
            most = most.max(open_below_path(scratch.path()));
        }
    }
    assert!(most < 50, "{most} directories were open");
    let report = put.finish();
    crate::tree::assert_well(&report);
    assert_eq!((report.directories, report.files), (depth, depth + 1));

    let mut at = fs::File::open(scratch.path()).unwrap();
    for level in 0..depth {
        assert_eq!(read_below(&at, "file"), level.to_string());
        at = open_below(&at, "d");
        assert_eq!(at.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(at.metadata().unwrap().modified().unwrap(), UNIX_EPOCH + Duration::new(1000, 5));
    }
    assert_eq!(read_below(&at, "bottom"), "here");

    // And away with it again.
    let mut put = Put::open(scratch.path(), options()).unwrap();
    put.remove_extras(|_| true);
    let report = put.finish();
    crate::tree::assert_well(&report);
    assert_eq!(report.removed, 2);
    assert_eq!(names(scratch.path()), [""; 0]);
}

/// How many files of this process are open there.
fn open_below_path(path: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|open| open.starts_with(path)).count()
}

fn open_below(directory: &fs::File, name: &str) -> fs::File {
    let flags = rustix::fs::OFlags::RDONLY;
    rustix::fs::openat(directory, name, flags, Mode::empty()).unwrap().into()
}

fn read_below(directory: &fs::File, name: &str) -> String {
    std::io::read_to_string(open_below(directory, name)).unwrap()
}

/// The default list of a directory is for what is made in it, not for what is put back there.
#[test]
fn nothing_is_inherited() {
    let scratch = scratch();
    let name = "system.posix_acl_default";
    rustix::fs::setxattr(scratch.path(), name, &ACCESS_LIST, XattrFlags::empty()).unwrap();
    let tree = [file("file", b"x", 1), directory("directory", vec![file("below", b"y", 1)])];
    put_well(scratch.path(), &tree, options());
    for (path, permissions) in [("file", 0o644), ("directory", 0o755), ("directory/below", 0o644)] {
        let metadata = crate::tree::read_entry(&scratch.path().join(path)).metadata;
        assert_eq!(metadata.attributes, [], "{path}");
        assert_eq!(metadata.permissions, permissions, "{path}");
    }
}

#[test]
fn what_came_of_it() {
    let scratch = scratch();
    let target = scratch.path().join("made/with/parents");
    let mut put = Put::open(&target, options()).unwrap();
    let mode = fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "for its owner only");
    let tree = directory("directory", vec![file("file", b"12345", 1)]);
    assert_eq!(fill_as(&mut put, "directory".as_ref(), &tree), Outcome::Created);
    assert_eq!(fill_as(&mut put, "file".as_ref(), &file("file", b"123", 1)), Outcome::Created);
    let link = crate::tree::symlink("link", "nowhere");
    assert_eq!(fill_as(&mut put, "link".as_ref(), &link), Outcome::Created);
    // The last directory need not be left.
    put.enter("last".as_ref(), &directory("last", vec![]).entry);
    let report = put.finish();
    crate::tree::assert_well(&report);
    assert_eq!((report.files, report.directories, report.others), (2, 2, 1));
    assert_eq!(report.written_bytes, 8);
    let mode = fs::metadata(target.join("last")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn a_target_that_is_no_directory() {
    let scratch = scratch();
    let target = scratch.path().join("file");
    fs::write(&target, "x").unwrap();
    let problem = Put::open(&target, options()).unwrap_err();
    assert_eq!(problem.path, target);
    let problem = Put::open(&target, PutOptions { dry_run: true, ..options() }).unwrap_err();
    assert_eq!(problem.source.kind(), std::io::ErrorKind::NotADirectory);
}

/// On the disk by each of the ways; that it is there after a power cut cannot be shown here.
#[test]
fn durable() {
    for durability in [Durability::AtEnd, Durability::EachFile] {
        let scratch = scratch();
        let options = PutOptions { durability, safety: Some("before".into()), ..options() };
        let tree = [directory("directory", vec![file("file", b"old", 1)])];
        put_well(scratch.path(), &tree, options.clone());
        let tree = [directory("directory", vec![file("file", b"newer", 1)])];
        put_well(scratch.path(), &tree, options);
        assert_eq!(fs::read(scratch.path().join("directory/file")).unwrap(), b"newer");
        assert_eq!(fs::read(scratch.path().join("before/directory/file")).unwrap(), b"old");
    }
}
