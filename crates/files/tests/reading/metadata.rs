//! What is kept of an entry beside its content: times, owners, extended attributes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use lifeboat_files::{Attribute, Entry, Kind, Walk, WalkItem, WalkOptions};
use rustix::fs::{XattrFlags, lsetxattr};

use crate::common::{Scratch, entries, walk};

fn entry(path: &Path) -> Entry {
    entries(walk(path, WalkOptions::default()))
        .into_iter()
        .find(|entry| entry.path == path)
        .unwrap()
}

fn attribute(name: &str, value: &[u8]) -> Attribute {
    Attribute { name: name.into(), value: value.to_vec() }
}

fn set(path: &Path, attribute: &Attribute) {
    lsetxattr(path, &attribute.name, &attribute.value, XattrFlags::empty()).unwrap();
}

#[test]
fn extended_attributes_are_read_of_files_and_directories_in_the_order_of_their_names() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    let directory = scratch.make("directory");
    let expected = [
        attribute("user.a", b""),
        attribute("user.b", b"value\0\xff"),
        attribute("user.large", &[7; 2_000]),
    ];
    for path in [&file, &directory] {
        for attribute in expected.iter().rev() {
            set(path, attribute);
        }
        assert_eq!(entry(path).metadata.attributes, expected);
    }
}

#[test]
fn a_list_of_attributes_may_be_long_and_their_names_need_not_be_text() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    let mut expected: Vec<_> = (10..70)
        .map(|number| attribute(&format!("user.a-rather-long-name-{number}"), b""))
        .collect();
    expected.push(Attribute {
        name: OsString::from_vec(b"user.\xff".to_vec()),
        value: b"odd".to_vec(),
    });
    for attribute in &expected {
        set(&file, attribute);
    }
    assert_eq!(entry(&file).metadata.attributes, expected);
}

#[test]
fn access_control_lists_are_attributes() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    // Version 2; owner rw, user 1000 r, group r, mask r, others nothing: tag, permissions, number.
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, 1000),
        (4, 4, u32::MAX),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let expected = attribute("system.posix_acl_access", &list);
    set(&file, &expected);
    assert_eq!(entry(&file).metadata.attributes, [expected]);
}

#[test]
fn a_link_has_its_own_attributes() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    set(&file, &attribute("user.of-the-file", b""));
    let link = scratch.path("link");
    symlink("file", &link).unwrap();
    assert_eq!(entry(&link).metadata.attributes, []);
    // Only root may give some to a link.
    if rustix::process::geteuid().is_root() {
        let own = attribute("trusted.of-the-link", b"1");
        set(&link, &own);
        assert_eq!(entry(&link).metadata.attributes, [own]);
    }
}

#[test]
fn the_directories_above_have_their_attributes_too() {
    let scratch = Scratch::new();
    let file = scratch.write("above/file", "");
    let of_above = attribute("user.above", b"1");
    set(&scratch.path("above"), &of_above);
    let found = entries(walk(&file, WalkOptions::default()));
    let above = found.iter().find(|entry| entry.path == scratch.path("above")).unwrap();
    assert_eq!(above.metadata.attributes, [of_above]);
}

#[test]
fn a_walk_can_do_without_attributes() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    set(&file, &attribute("user.a", b""));
    let options = WalkOptions { attributes: false, ..WalkOptions::default() };
    assert!(entries(walk(&file, options)).iter().all(|entry| entry.metadata.attributes.is_empty()));
}

#[test]
fn names_of_hard_links_share_an_inode() {
    let scratch = Scratch::new();
    let one = scratch.write("one", "content");
    fs::hard_link(&one, scratch.path("two")).unwrap();
    let (one, two) = (entry(&one), entry(&scratch.path("two")));
    assert_eq!(one.metadata, two.metadata);
    assert_eq!((one.metadata.links, one.kind), (2, Kind::File));
}

#[test]
fn a_walk_can_go_to_another_thread() {
    fn is_sendable<T: Send + 'static>() {}
    is_sendable::<Walk>();
    is_sendable::<WalkItem>();
    let scratch = Scratch::new();
    scratch.write("file", "");
    let walk = walk(scratch.root(), WalkOptions::default());
    let found = std::thread::spawn(move || entries(walk).len()).join().unwrap();
    assert_eq!(found, scratch.root().components().count());
}
