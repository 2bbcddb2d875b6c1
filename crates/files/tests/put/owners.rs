//! To whom files belong, and what follows from that.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use lifeboat_files::{Attribute, Owners, PutOptions};

use crate::tree::{
    Node, directory, file, is_root, options, other, problems, put, put_well, read_entry, safe,
    scratch, skip, symlink, write,
};

fn owned(mut node: Node, user_id: u32, group_id: u32, permissions: u32) -> Node {
    let metadata = &mut node.entry.metadata;
    (metadata.user_id, metadata.group_id, metadata.permissions) = (user_id, group_id, permissions);
    node
}

fn named(mut node: Node, user: &str, group: &str) -> Node {
    node.entry.metadata.user = user.to_owned();
    node.entry.metadata.group = group.to_owned();
    node
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn root_only() -> bool {
    if !is_root() {
        skip("only root may give files away");
    }
    is_root()
}

/// The number that this host has for a name in one of its lists, without any of our code.
fn number(list: &str, name: &str) -> u32 {
    let output = std::process::Command::new("getent").args([list, name]).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

#[test]
fn by_name_and_by_number() {
    if !root_only() {
        return;
    }
    let known = (number("passwd", "daemon"), number("group", "mail"));
    let tree = [
        named(owned(file("known", b"x", 1), 54_321, 54_322, 0o644), "daemon", "mail"),
        named(owned(file("unknown", b"x", 1), 54_321, 54_322, 0o644), "no such user", "no such"),
        named(owned(symlink("half", "x"), 54_321, 54_322, 0o777), "daemon", "no such"),
        named(owned(directory("directory", vec![]), 54_321, 54_322, 0o755), "no such user", "mail"),
        owned(file("nameless", b"x", 1), 54_321, 54_322, 0o644),
    ];
    let scratch_one = scratch();
    let report = put_well(scratch_one.path(), &tree, options());
    let owner_of = |name| owner(&scratch_one.path().join(name));
    assert_eq!(owner_of("known"), known);
    assert_eq!(owner_of("unknown"), (54_321, 54_322), "never root");
    assert_eq!(owner_of("half"), (known.0, 54_322));
    assert_eq!(owner_of("directory"), (54_321, known.1));
    assert_eq!(owner_of("nameless"), (54_321, 54_322));
    let unknown: Vec<_> = report.unknown_owners.iter().map(String::as_str).collect();
    assert_eq!(unknown, ["no such", "no such user"]);

    let scratch_two = scratch();
    put_well(scratch_two.path(), &tree, PutOptions { owners: Owners::Numeric, ..options() });
    for node in &tree {
        let name = node.entry.path.file_name().unwrap();
        assert_eq!(owner(&scratch_two.path().join(name)), (54_321, 54_322), "{name:?}");
    }

    let scratch_three = scratch();
    let options = PutOptions { owners: Owners::Mine, ..options() };
    let report = put_well(scratch_three.path(), &tree, options);
    assert_eq!(report.owners_skipped, 5);
    assert_eq!(owner(&scratch_three.path().join("known")), (0, 0));
}

/// A change of owner clears these, so they are set after it.
#[test]
fn set_id_bits_and_capabilities() {
    if !root_only() {
        return;
    }
    // Version 2, effective, CAP_NET_BIND_SERVICE.
    let mut capability = vec![1, 0, 0, 2, 0, 4, 0, 0];
    capability.resize(20, 0);
    let attribute = Attribute { name: "security.capability".into(), value: capability };
    let mut able = owned(file("able", b"x", 1), 12_345, 12_345, 0o755);
    able.entry.metadata.attributes.push(attribute.clone());
    let tree = [
        owned(file("user", b"x", 1), 12_345, 12_345, 0o4755),
        owned(file("group", b"x", 1), 12_345, 12_345, 0o2755),
        owned(directory("directory", vec![]), 12_345, 12_345, 0o7777),
        able,
    ];
    let scratch = scratch();
    // The second time they have another owner, which changes back.
    for _ in 0..2 {
        let report = put_well(scratch.path(), &tree, options());
        assert_eq!((report.set_id_dropped, report.owners_skipped), (0, 0));
        for node in &tree {
            let path = scratch.path().join(node.entry.path.file_name().unwrap());
            assert_eq!(mode(&path), node.entry.metadata.permissions, "{path:?}");
            assert_eq!(read_entry(&path).metadata.attributes, node.entry.metadata.attributes);
            chown(&path, Some(1), Some(1)).unwrap();
        }
    }
}

/// Without its owner, the bits would give the rights of someone else.
#[test]
fn no_set_id_bits_without_the_owner() {
    if !root_only() {
        return;
    }
    let tree = [
        owned(file("user", b"x", 1), u32::MAX, 0, 0o4755),
        owned(file("group", b"x", 1), 0, u32::MAX, 0o6755),
        owned(other("pipe", lifeboat_files::Kind::Fifo), u32::MAX, u32::MAX, 0o6640),
    ];
    let first = scratch();
    let report = put(first.path(), &tree, options());
    let problems = problems(&report);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("cannot set the owner of "), "{problems:?}");
    assert!(problems[0].ends_with("/user: no owner has this number"), "{problems:?}");
    assert_eq!(report.set_id_dropped, 3);
    assert_eq!(mode(&first.path().join("user")), 0o755);
    assert_eq!(mode(&first.path().join("group")), 0o4755);
    assert_eq!(mode(&first.path().join("pipe")), 0o640);

    let second = scratch();
    let tree = [owned(file("user", b"x", 1), 12_345, 0, 0o6755)];
    let report = put_well(second.path(), &tree, PutOptions { owners: Owners::Mine, ..options() });
    assert_eq!((report.set_id_dropped, report.owners_skipped), (1, 1));
    assert_eq!(mode(&second.path().join("user")), 0o2755, "its group is the right one");
}

/// Someone else's file of the right content does not become a program with the rights of root:
/// it may be open for writing.
#[test]
fn a_privileged_file_is_written_anew() {
    if !root_only() {
        return;
    }
    for (permissions, stays) in [(0o755, true), (0o4755, false), (0o2755, false)] {
        let scratch = scratch();
        let path = scratch.path().join("file");
        write(path.clone(), b"content", 1);
        chown(&path, Some(12_345), Some(12_345)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let tree = [owned(file("file", b"content", 1), 0, 0, permissions)];
        let report = put_well(scratch.path(), &tree, safe());
        assert_eq!(report.unchanged, u64::from(stays), "{permissions:o}");
        let after = fs::metadata(&path).unwrap();
        assert_eq!(after.ino() == before.ino(), stays, "{permissions:o}");
        assert_eq!((mode(&path), after.uid()), (permissions, 0));
    }
}

/// A user puts another name for a file of root where theirs is restored.
#[test]
fn another_name_does_not_give_a_file_away() {
    if !root_only() {
        return;
    }
    let scratch = scratch();
    let secret = scratch.path().join("secret");
    write(secret.clone(), b"content", 1);
    let target = scratch.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::hard_link(&secret, target.join("file")).unwrap();
    let mut node = owned(file("file", b"content", 1), 12_345, 12_345, 0o666);
    for links in [1, 2] {
        node.entry.metadata.links = links;
        put_well(&target, std::slice::from_ref(&node), options());
        assert_eq!((owner(&secret), mode(&secret)), ((0, 0), 0o644));
        assert_eq!(owner(&target.join("file")), (12_345, 12_345));
        fs::remove_file(target.join("file")).unwrap();
        fs::hard_link(&secret, target.join("file")).unwrap();
    }
}

#[test]
fn what_is_no_time() {
    let scratch = scratch();
    let mut node = file("file", b"x", 1);
    // To the system this means "leave it as it is".
    node.entry.metadata.modified.nanoseconds = (1 << 30) - 2;
    let report = put(scratch.path(), &[node], options());
    assert_eq!(problems(&report).len(), 1);
    assert!(problems(&report)[0].ends_with("file: it is no time"));
    assert_eq!(report.files, 1, "the file is there all the same");
}

#[test]
fn an_attribute_that_cannot_be_set() {
    let scratch = scratch();
    let mut node = file("file", b"x", 1);
    node.entry.metadata.attributes = vec![
        Attribute { name: "unknown.space".into(), value: b"x".to_vec() },
        Attribute { name: "user.known".into(), value: b"x".to_vec() },
    ];
    let report = put(scratch.path(), &[node], options());
    let problems = problems(&report);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("unknown.space"), "{problems:?}");
    let made = read_entry(&scratch.path().join("file")).metadata;
    assert_eq!(made.attributes.len(), 1, "the other one is");
}
