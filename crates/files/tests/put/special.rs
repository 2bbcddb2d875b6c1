//! Links, devices, pipes and sockets.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use lifeboat_files::{Attribute, Kind, Outcome};

use crate::tree::{
    assert_same, is_root, options, other, problems, put, put_well, read, read_entry, safe, scratch,
    skip, symlink,
};

#[test]
fn devices() {
    if !is_root() {
        return skip("only root may make devices");
    }
    let scratch = scratch();
    let device = rustix::fs::makedev(7, 300);
    let tree = [
        other("block", Kind::BlockDevice { device }),
        other("character", Kind::CharacterDevice { device: rustix::fs::makedev(1, 3) }),
    ];
    put_well(scratch.path(), &tree, safe());
    let block = fs::metadata(scratch.path().join("block")).unwrap();
    assert!(block.file_type().is_block_device());
    assert_eq!((block.rdev(), block.mode() & 0o7777, block.mtime()), (device, 0o640, 1000));
    let null = fs::File::create(scratch.path().join("character"));
    assert!(null.is_ok_and(|null| null.metadata().unwrap().file_type().is_char_device()));

    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!((report.others, report.unchanged, report.replaced), (2, 2, 0));
    // Another device under the same name.
    let tree = [other("block", Kind::BlockDevice { device: device + 1 })];
    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!((report.others, report.replaced, report.moved_aside), (1, 1, 1));
    assert_eq!(fs::metadata(scratch.path().join("before/block")).unwrap().rdev(), device);
}

#[test]
fn pipes_and_sockets() {
    let scratch = scratch();
    let tree = [other("pipe", Kind::Fifo), other("socket", Kind::Socket)];
    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!(report.others, 2);
    let kind = |name| fs::metadata(scratch.path().join(name)).unwrap().file_type();
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!((report.unchanged, report.replaced), (2, 0));
    let tree = [other("pipe", Kind::Socket), other("socket", Kind::Fifo)];
    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!((report.unchanged, report.replaced), (0, 2));
    assert!(kind("pipe").is_socket() && kind("socket").is_fifo());
}

/// The link gets the metadata, not what it leads to.
#[test]
fn links() {
    let scratch = scratch();
    let outside = crate::tree::scratch();
    let victim = outside.path().join("victim");
    fs::write(&victim, "x").unwrap();
    let before = read_entry(&victim);
    let mut tree = vec![symlink("link", victim.to_str().unwrap()), symlink("dangling", "no/where")];
    if is_root() {
        for node in &mut tree {
            (node.entry.metadata.user_id, node.entry.metadata.group_id) = (12_345, 54_321);
            let attribute = Attribute { name: "trusted.test".into(), value: b"value".to_vec() };
            node.entry.metadata.attributes.push(attribute);
        }
    }
    for expected in [Outcome::Created, Outcome::Unchanged] {
        let report = put_well(scratch.path(), &tree, safe());
        assert_eq!((report.others, report.unchanged == 2), (2, expected == Outcome::Unchanged));
        for (node, made) in tree.iter().rev().zip(read(scratch.path())) {
            assert_eq!(made.entry.kind, node.entry.kind);
            let (made, wanted) = (made.entry.metadata, &node.entry.metadata);
            assert_eq!(made.modified, wanted.modified);
            assert_eq!((made.user_id, made.group_id), (wanted.user_id, wanted.group_id));
            assert_eq!(made.attributes, wanted.attributes);
        }
    }
    assert_eq!(read_entry(&victim), before);
    let copy = crate::tree::scratch();
    put_well(copy.path(), &read(scratch.path()), options());
    assert_same(scratch.path(), copy.path());
}

#[test]
fn what_cannot_be_made() {
    let scratch = scratch();
    let nowhere = symlink("empty", "");
    let zero = symlink("zero", "a\0b");
    let long = symlink("long", &"x".repeat(5000));
    let report = put(scratch.path(), &[nowhere, zero, long], options());
    assert_eq!(problems(&report).len(), 3);
    assert_eq!(report.others, 0);
    assert_eq!(crate::tree::names(scratch.path()), [""; 0]);
}
