//! File systems that are full, or mounted within the target.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lifeboat_files::{Durability, Outcome, Put, PutOptions};

use crate::small_disk::SmallDisk;
use crate::tree::{
    assert_well, directory, file, fill, fill_as, names, options, problems, put, safe, scratch,
    write,
};

#[test]
fn a_full_disk() {
    let scratch = scratch();
    let Some(disk) = SmallDisk::mount(&scratch.path().join("disk"), "1m") else { return };
    write(disk.path.join("file"), b"old", 1);
    let large = vec![1; 2 << 20];
    let mut put = Put::open(&disk.path, safe()).unwrap();
    let outcome = fill_as(&mut put, "file".as_ref(), &file("file", &large, 2));
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(names(&disk.path), ["file"], "what there is of it takes no room");
    // A small one has room again.
    let outcome = fill_as(&mut put, "small".as_ref(), &file("small", b"new", 2));
    assert_eq!(outcome, Outcome::Created);
    let report = put.finish();
    let path = disk.path.join("file");
    let expected =
        format!("cannot write {}: No space left on device (os error 28)", path.display());
    assert_eq!(problems(&report), [expected]);
    assert_eq!((report.files, report.written_bytes), (1, 3));
    assert_eq!(fs::read(path).unwrap(), b"old");
}

/// Neither a file nor a directory can be made: every one is a problem, and what is there stays.
#[test]
fn no_inodes() {
    let scratch = scratch();
    let Some(disk) = SmallDisk::mount(&scratch.path().join("disk"), "1m,nr_inodes=3") else {
        return;
    };
    write(disk.path.join("file"), b"old", 1);
    write(disk.path.join("other"), b"old", 1);
    let tree = [
        file("file", b"newer", 2),
        directory("directory", vec![file("below", b"x", 1)]),
        crate::tree::symlink("link", "x"),
        directory("other", vec![]),
    ];
    let report = put(&disk.path, &tree, safe());
    assert_eq!((problems(&report).len(), report.unreachable), (4, 1));
    assert_eq!(names(&disk.path), ["file", "other"]);
    assert_eq!(fs::read(disk.path.join("file")).unwrap(), b"old");
}

/// A replaced file stays on its file system, because it is only renamed.
#[test]
fn replaced_on_another_file_system() {
    let scratch = scratch();
    let target = scratch.path();
    let Some(disk) = SmallDisk::mount(&target.join("a/disk"), "1m") else { return };
    fs::create_dir(disk.path.join("b")).unwrap();
    write(disk.path.join("file"), b"old", 1);
    write(disk.path.join("b/file"), b"old", 1);
    write(target.join("a/file"), b"old", 1);
    let inner = vec![directory("b", vec![file("file", b"newer", 2)]), file("file", b"newer", 2)];
    let tree = [directory("a", vec![directory("disk", inner), file("file", b"newer", 2)])];
    let report = put(target, &tree, PutOptions { durability: Durability::AtEnd, ..safe() });
    assert_well(&report);
    assert_eq!(report.moved_aside, 3);
    let (one, two) = (target.join("a/disk/before"), target.join("before"));
    assert_eq!(report.moved_to, [one.clone(), two.clone()]);
    assert_eq!(names(&one), ["b", "b/file", "file"]);
    assert_eq!(names(&two), ["a", "a/file"]);
}

/// Names of one file on two file systems are two files.
#[test]
fn hard_links_to_another_file_system() {
    let scratch = scratch();
    let Some(disk) = SmallDisk::mount(&scratch.path().join("disk"), "1m") else { return };
    let name = |name: &str| {
        let mut node = file(name, b"content", 1);
        (node.entry.metadata.inode, node.entry.metadata.links) = (7, 4);
        node
    };
    let tree = [name("one"), directory("disk", vec![name("two"), name("three")]), name("four")];
    let report = put(scratch.path(), &tree, options());
    assert_well(&report);
    assert_eq!((report.files, report.linked, report.separated), (4, 1, 2));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&disk.path.join("two")), inode(&disk.path.join("three")));
    for name in ["one", "four", "disk/two"] {
        assert_eq!(fs::read(scratch.path().join(name)).unwrap(), b"content");
    }
}

/// What is mounted there is not in the backup, and is nobody's to move or empty.
#[test]
fn a_mount_point_that_is_extra() {
    for options in [safe(), options()] {
        let scratch = scratch();
        let Some(disk) = SmallDisk::mount(&scratch.path().join("deep/disk"), "1m") else { return };
        write(disk.path.join("file"), b"old", 1);
        let mut put = Put::open(scratch.path(), options.clone()).unwrap();
        put.enter("deep".as_ref(), &directory("deep", vec![]).entry);
        fill(&mut put, &[file("file", b"x", 1)]);
        put.remove_extras(|_| true);
        put.leave();
        let report = put.finish();
        assert_eq!((problems(&report).len(), report.removed), (1, 0));
        assert_eq!(fs::read(disk.path.join("file")).unwrap(), b"old");

        let mut put = Put::open(scratch.path(), PutOptions { safety: None, ..options }).unwrap();
        put.remove_extras(|_| true);
        let report = put.finish();
        let problems = problems(&report);
        assert!(problems[0].ends_with("another file system is mounted there"), "{problems:?}");
        assert_eq!(fs::read(disk.path.join("file")).unwrap(), b"old");
    }
}
