//! What becomes of what is there already.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lifeboat_files::Overwrite::{self, Always, IfChanged, IfNewer, Never};
use lifeboat_files::{Decision, FileTime, Outcome, Put, PutOptions};

use crate::tree::{
    Node, assert_well, directory, file, fill_as, options, problems, put, read_entry, safe, scratch,
    symlink, write,
};

const ALL: [Overwrite; 4] = [Always, IfChanged, IfNewer, Never];

/// What came of an entry named `name` where there was what `before` makes.
fn outcome(overwrite: Overwrite, node: &Node, before: &dyn Fn(&Path)) -> (Outcome, String) {
    let scratch = scratch();
    before(&scratch.path().join("name"));
    let mut put = Put::open(scratch.path(), PutOptions { overwrite, ..safe() }).unwrap();
    let outcome = fill_as(&mut put, "name".as_ref(), node);
    let report = put.finish();
    assert_eq!(outcome == Outcome::Failed, report.problem_count > 0, "{:?}", report.problems);
    assert_eq!(outcome == Outcome::Replaced, report.moved_aside > 0);
    assert_eq!(outcome == Outcome::Replaced, report.replaced == 1);
    assert_eq!(outcome == Outcome::Skipped, report.skipped == 1);
    assert_eq!(report.moved_to.len() as u64, report.moved_aside);
    (outcome, show(&scratch.path().join("name")))
}

/// The content and time of a file, and what else something is.
fn show(path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        return "a directory".to_owned();
    }
    if metadata.is_symlink() {
        return format!("-> {}", fs::read_link(path).unwrap().display());
    }
    format!("{} {}", fs::read_to_string(path).unwrap(), metadata.mtime())
}

#[test]
fn files() {
    use Outcome::{Created, Replaced, Skipped, Unchanged};
    let cases = [
        ("nothing", None, [Created; 4]),
        ("the same", Some(("backup", 10)), [Unchanged, Unchanged, Skipped, Skipped]),
        ("the same, older", Some(("backup", 9)), [Unchanged, Unchanged, Unchanged, Skipped]),
        ("the same, newer", Some(("backup", 11)), [Unchanged, Unchanged, Skipped, Skipped]),
        ("as long", Some(("b@ckup", 10)), [Replaced, Unchanged, Skipped, Skipped]),
        ("as long, older", Some(("b@ckup", 9)), [Replaced, Replaced, Replaced, Skipped]),
        ("longer", Some(("the backup", 10)), [Replaced, Replaced, Skipped, Skipped]),
        ("longer, newer", Some(("the backup", 11)), [Replaced, Replaced, Skipped, Skipped]),
    ];
    for (what, before, expected) in cases {
        let node = file("name", b"backup", 10);
        for (overwrite, expected) in ALL.into_iter().zip(expected) {
            let (outcome, after) = outcome(overwrite, &node, &|path| {
                if let Some((content, seconds)) = before {
                    write(path.to_owned(), content.as_bytes(), seconds);
                }
            });
            assert_eq!(outcome, expected, "{what}, {overwrite:?}");
            let stays = before.filter(|_| matches!(expected, Skipped | Unchanged));
            let (content, mut seconds) = stays.unwrap_or(("backup", 10));
            if expected == Unchanged {
                seconds = 10;
            }
            assert_eq!(after, format!("{content} {seconds}"), "{what}, {overwrite:?}");
        }
    }
}

#[test]
fn links() {
    use Outcome::{Replaced, Skipped, Unchanged};
    // The backup's is of second 1000; the links that are there are of now, so newer.
    let node = symlink("name", "there");
    for (target, expected) in [
        ("there", [Unchanged, Unchanged, Skipped, Skipped]),
        ("elsewhere", [Replaced, Replaced, Skipped, Skipped]),
    ] {
        for (overwrite, expected) in ALL.into_iter().zip(expected) {
            let before = |path: &Path| std::os::unix::fs::symlink(target, path).unwrap();
            let (outcome, after) = outcome(overwrite, &node, &before);
            assert_eq!(outcome, expected, "{target}, {overwrite:?}");
            let stays = if expected == Skipped { target } else { "there" };
            assert_eq!(after, format!("-> {stays}"));
        }
    }
}

#[test]
fn something_else() {
    use Outcome::{Failed, Replaced, Skipped, Unchanged};
    let make_file = |path: &Path| write(path.to_owned(), b"is there", 5);
    let make_link = |path: &Path| std::os::unix::fs::symlink("/", path).unwrap();
    let make_directory = |path: &Path| {
        fs::create_dir(path).unwrap();
        write(path.join("below"), b"is there", 5);
    };
    let a_file = file("name", b"backup", 10_000_000_000);
    let a_link = symlink("name", "there");
    let a_directory = directory("name", vec![file("other", b"x", 1)]);
    let check = |node: &Node, before: &dyn Fn(&Path), expected: [Outcome; 4]| {
        for (overwrite, expected) in ALL.into_iter().zip(expected) {
            let (outcome, _) = outcome(overwrite, node, before);
            assert_eq!(outcome, expected, "{:?}, {overwrite:?}", node.entry.kind);
        }
    };
    check(&a_file, &make_link, [Replaced, Replaced, Replaced, Skipped]);
    check(&a_file, &make_directory, [Replaced, Failed, Failed, Skipped]);
    check(&a_link, &make_directory, [Replaced, Failed, Failed, Skipped]);
    check(&a_directory, &make_directory, [Unchanged; 4]);
    check(&a_directory, &make_file, [Replaced, Failed, Failed, Failed]);
    check(&a_directory, &make_link, [Replaced, Failed, Failed, Failed]);
}

/// What is below a directory that cannot be made is not put somewhere else.
#[test]
fn below_what_is_no_directory() {
    let scratch = scratch();
    let outside = crate::tree::scratch();
    std::os::unix::fs::symlink(outside.path(), scratch.path().join("name")).unwrap();
    let inner = directory("inner", vec![file("deep", b"x", 1), symlink("link", "x")]);
    let tree = [directory("name", vec![inner, file("file", b"x", 1)]), file("after", b"x", 1)];
    let report = put(scratch.path(), &tree, PutOptions { overwrite: IfChanged, ..options() });
    let name = scratch.path().join("name");
    let expected = format!("cannot put the directory {}: not a directory", name.display());
    assert_eq!(problems(&report), [expected]);
    assert_eq!((report.unreachable, report.files, report.directories), (4, 1, 0));
    assert_eq!(crate::tree::names(outside.path()), [""; 0]);
    assert_eq!(crate::tree::names(scratch.path()), ["after", "name"]);
}

/// The metadata of a directory that is there follows the same rule as files.
#[test]
fn directories() {
    for (overwrite, seconds, expected) in
        [(Always, 20, 10), (IfChanged, 20, 10), (IfNewer, 20, 20), (IfNewer, 5, 10), (Never, 5, 5)]
    {
        let scratch = scratch();
        let path = scratch.path().join("name");
        fs::create_dir(&path).unwrap();
        let mut node = directory("name", vec![]);
        node.entry.metadata.permissions = 0o710;
        node.entry.metadata.modified = FileTime { seconds: 10, nanoseconds: 0 };
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
        assert_well(&put(scratch.path(), &[node], PutOptions { overwrite, ..options() }));
        let metadata = read_entry(&path).metadata;
        assert_eq!(metadata.modified.seconds, expected, "{overwrite:?} {seconds}");
        let is_set = expected == 10;
        assert_eq!(metadata.permissions == 0o710, is_set, "{overwrite:?} {seconds}");
    }
}

/// A directory that is only on the way stays as it is; one that is missing is made as it was.
#[test]
fn directories_on_the_way() {
    let scratch = scratch();
    let path = scratch.path().join("there");
    fs::create_dir(&path).unwrap();
    let before = read_entry(&path).metadata;
    let mut put = Put::open(scratch.path(), options()).unwrap();
    let way = directory("way", vec![]);
    for name in ["there", "missing"] {
        put.pass(name.as_ref(), &way.entry);
        put.pass("deep".as_ref(), &way.entry);
        fill_as(&mut put, "file".as_ref(), &file("file", b"x", 1));
        put.leave();
        put.leave();
    }
    assert_well(&put.finish());
    let after = read_entry(&path).metadata;
    assert_eq!((after.permissions, after.user_id), (before.permissions, before.user_id));
    assert!(after.modified > before.modified, "something was put there");
    for name in ["there/deep", "missing", "missing/deep"] {
        let made = read_entry(&scratch.path().join(name)).metadata;
        assert_eq!(made.modified, way.entry.metadata.modified, "{name}");
    }
}

/// Only what differs is changed, so that the time of change tells of real changes.
#[test]
fn metadata_is_corrected() {
    let scratch = scratch();
    let node = file("name", b"backup", 10);
    crate::tree::put_well(scratch.path(), std::slice::from_ref(&node), options());
    let path = scratch.path().join("name");
    let before = read_entry(&path);
    crate::tree::put_well(scratch.path(), std::slice::from_ref(&node), options());
    assert_eq!(read_entry(&path), before);

    let mut node = node;
    node.entry.metadata.permissions = 0o4711;
    node.entry.metadata.attributes =
        vec![lifeboat_files::Attribute { name: "user.test".into(), value: b"value".to_vec() }];
    let report = crate::tree::put_well(scratch.path(), std::slice::from_ref(&node), options());
    assert_eq!((report.unchanged, report.replaced), (1, 0));
    let after = read_entry(&path).metadata;
    assert_eq!(after.inode, before.metadata.inode);
    assert_eq!(after.permissions, 0o4711);
    assert_eq!(after.attributes, node.entry.metadata.attributes);
}

/// An access list is permissions: the backup's are taken, and those of none are none.
#[test]
fn an_access_list_that_is_not_in_the_backup() {
    let scratch = scratch();
    let node = file("name", b"backup", 10);
    let path = scratch.path().join("name");
    crate::tree::put_well(scratch.path(), std::slice::from_ref(&node), options());
    let before = read_entry(&path);
    let flags = rustix::fs::XattrFlags::empty();
    let list = crate::round_trip::ACCESS_LIST;
    rustix::fs::setxattr(&path, "system.posix_acl_access", &list, flags).unwrap();
    rustix::fs::setxattr(&path, "user.mine", b"stays", flags).unwrap();
    crate::tree::put_well(scratch.path(), &[node], options());
    let after = read_entry(&path).metadata;
    assert_eq!(after.inode, before.metadata.inode);
    assert_eq!(after.permissions, 0o644);
    assert_eq!(after.attributes.len(), 1);
    assert_eq!(after.attributes[0].name, "user.mine");
}

#[test]
fn a_comparison_that_is_not_ended() {
    let scratch = scratch();
    let path = scratch.path().join("name");
    write(path.clone(), b"before", 5);
    let node = file("name", b"backup", 10);
    let mut put = Put::open(scratch.path(), options()).unwrap();
    let decision = put.file("name".as_ref(), &node.entry);
    assert!(matches!(decision, Decision::Compare(_)));
    drop(decision);
    let report = put.finish();
    let expected = format!("cannot put {}: it was not compared to the end", path.display());
    assert_eq!(problems(&report), [expected]);

    let mut put = Put::open(scratch.path(), options()).unwrap();
    let Decision::Compare(compared) = put.file("name".as_ref(), &node.entry) else { panic!() };
    compared.abandon("read from the backup", std::io::Error::other("it is gone"));
    let report = put.finish();
    let expected = format!("cannot read from the backup {}: it is gone", path.display());
    assert_eq!(problems(&report), [expected]);
    assert_eq!(show(&path), "before 5");
}

/// One inode cannot become two files of the backup, nor may a file under another name change.
#[test]
fn names_of_one_file_that_are_two_in_the_backup() {
    for (content, overwrite) in [("same", Always), ("same", IfChanged), ("", Always)] {
        let scratch = scratch();
        let (one, two) = (scratch.path().join("one"), scratch.path().join("two"));
        write(one.clone(), content.as_bytes(), 10);
        fs::hard_link(&one, &two).unwrap();
        fs::hard_link(&one, scratch.path().join("outside")).unwrap();
        let outside = fs::metadata(scratch.path().join("outside")).unwrap();
        let mut tree = [file("one", content.as_bytes(), 10), file("two", content.as_bytes(), 10)];
        tree[0].entry.metadata.permissions = 0o600;
        tree[1].entry.metadata.permissions = 0o666;
        put(scratch.path(), &tree, PutOptions { overwrite, ..options() });
        let (one, two) = (fs::metadata(one).unwrap(), fs::metadata(two).unwrap());
        assert_ne!(one.ino(), two.ino());
        assert_eq!((one.mode() & 0o777, two.mode() & 0o777), (0o600, 0o666));
        let after = fs::metadata(scratch.path().join("outside")).unwrap();
        assert_eq!((after.mode(), after.ino()), (outside.mode(), outside.ino()));
    }
}
