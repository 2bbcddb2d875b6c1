//! Files with several names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lifeboat_files::{Outcome, Overwrite, Put, PutOptions};

use crate::tree::{
    Node, assert_well, directory, file, fill_as, options, put_well, safe, scratch, write,
};

/// Another name of file number `inode` of the backup.
fn name_of(inode: u64, name: &str) -> Node {
    let mut node = file(name, format!("file {inode}").as_bytes(), 10);
    node.entry.metadata.inode = inode;
    node.entry.metadata.device = 1;
    node.entry.metadata.links = 3;
    node
}

fn inode(target: &Path, name: &str) -> u64 {
    fs::metadata(target.join(name)).unwrap().ino()
}

fn tree() -> Vec<Node> {
    vec![
        directory("a", vec![name_of(1, "one"), directory("b", vec![name_of(2, "two")])]),
        name_of(1, "one again"),
        directory("c", vec![name_of(2, "two again"), name_of(1, "one once more")]),
    ]
}

fn assert_linked(target: &Path) {
    let names = [
        ["a/one", "one again", "c/one once more"].as_slice(),
        ["a/b/two", "c/two again"].as_slice(),
    ];
    for (number, names) in names.into_iter().enumerate() {
        for name in names {
            assert_eq!(inode(target, name), inode(target, names[0]), "{name}");
            let content = fs::read_to_string(target.join(name)).unwrap();
            assert_eq!(content, format!("file {}", number + 1));
        }
        let links = fs::metadata(target.join(names[0])).unwrap().nlink();
        assert_eq!(links, names.len() as u64);
    }
}

#[test]
fn they_are_linked() {
    let scratch = scratch();
    let report = put_well(scratch.path(), &tree(), options());
    assert_linked(scratch.path());
    assert_eq!((report.files, report.linked, report.written_bytes), (5, 3, 12));
    let again = put_well(scratch.path(), &tree(), safe());
    assert_linked(scratch.path());
    assert_eq!((again.files, again.linked, again.unchanged), (5, 3, 2));
    assert_eq!((again.replaced, again.moved_aside, again.written_bytes), (0, 0, 0));
}

/// Whatever the names were before.
#[test]
fn over_other_files() {
    for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
        let scratch = scratch();
        let target = scratch.path();
        fs::create_dir_all(target.join("a/b")).unwrap();
        fs::create_dir_all(target.join("c/two again")).unwrap();
        write(target.join("a/one"), b"file 1", 10);
        write(target.join("one again"), b"file 1", 9);
        fs::hard_link(target.join("one again"), target.join("a/b/two")).unwrap();
        fs::remove_dir(target.join("c/two again")).unwrap();
        write(target.join("c/one once more"), b"other", 10);
        put_well(target, &tree(), PutOptions { overwrite, ..safe() });
        assert_linked(target);
        assert_eq!(fs::read(target.join("before/a/b/two")).unwrap(), b"file 1");
        assert_eq!(fs::read(target.join("before/c/one once more")).unwrap(), b"other");
    }
}

#[test]
fn names_that_stay() {
    let scratch = scratch();
    let target = scratch.path();
    write(target.join("one"), b"stays", 10);
    write(target.join("three"), b"stays", 10);
    let tree = [name_of(1, "one"), name_of(1, "two"), name_of(1, "three"), name_of(1, "four")];
    let report = put_well(target, &tree, PutOptions { overwrite: Overwrite::Never, ..options() });
    assert_eq!((report.files, report.linked, report.skipped), (2, 1, 2));
    assert_eq!(fs::read(target.join("one")).unwrap(), b"stays");
    assert_eq!(fs::read(target.join("three")).unwrap(), b"stays");
    assert_eq!(fs::read(target.join("two")).unwrap(), b"file 1");
    assert_eq!(inode(target, "two"), inode(target, "four"));
}

/// The first name leads to another file by now: that one is not linked, the content is asked for.
#[test]
fn the_first_is_gone() {
    for exchanged in [true, false] {
        let scratch = scratch();
        let target = scratch.path();
        let mut put = Put::open(target, options()).unwrap();
        fill_as(&mut put, "one".as_ref(), &name_of(1, "one"));
        fs::remove_file(target.join("one")).unwrap();
        if exchanged {
            write(target.join("one"), b"a secret", 10);
        }
        let outcome = fill_as(&mut put, "two".as_ref(), &name_of(1, "two"));
        assert_eq!(outcome, Outcome::Created);
        let outcome = fill_as(&mut put, "three".as_ref(), &name_of(1, "three"));
        assert_eq!(outcome, Outcome::Linked);
        let report = put.finish();
        assert_well(&report);
        assert_eq!((report.linked, report.separated), (1, 1));
        assert_eq!(fs::read(target.join("two")).unwrap(), b"file 1");
        assert_eq!(inode(target, "two"), inode(target, "three"));
        assert!(crate::tree::names(target).iter().all(|name| !name.contains(".tmp")));
    }
}

/// Without a number of their inode, names have nothing in common.
#[test]
fn without_an_inode() {
    let scratch = scratch();
    let tree = [name_of(0, "one"), name_of(0, "two")];
    let report = put_well(scratch.path(), &tree, options());
    assert_eq!((report.files, report.linked), (2, 0));
    assert_ne!(inode(scratch.path(), "one"), inode(scratch.path(), "two"));
}
