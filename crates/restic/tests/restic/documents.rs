//! Trees and snapshots: what restic wrote is understood, and written again byte for byte.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use lifeboat_files::Kind;
use lifeboat_restic::{Snapshot, SnapshotId, Tree, TreeId};

use crate::common::{Place, have_restic};

/// A tree with all that can be made without being root, and strange names.
fn make_tree(root: &Path) {
    fs::create_dir(root).unwrap();
    for name in [
        &b"plain"[..],
        b"with space",
        b"quo\"te",
        b"back\\slash",
        b"new\nline",
        b"tab\t",
        b"\x01\x7f",
        b"caf\xe9",
        b"\xff\xfe",
        "süß日本🚀".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{a0}\u{ad}\u{200b}".as_bytes(),
        "\u{feff}\u{e000}\u{2028}".as_bytes(),
        b"<html>&",
        b"'single'",
        "\u{fffd}".as_bytes(),
    ] {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(root.join("empty"), "").unwrap();
    fs::create_dir_all(root.join("directory/empty")).unwrap();
    fs::write(root.join("directory/file"), vec![7; 3_000_000]).unwrap();
    fs::hard_link(root.join("directory/file"), root.join("directory/link")).unwrap();
    symlink("../a<b", root.join("symlink")).unwrap();
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2711), ("all", 0o7777), ("none", 0)] {
        fs::write(root.join(name), name).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("directory"), fs::Permissions::from_mode(0o1777)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).current_dir(root).status().unwrap();
        assert!(run.success(), "{program} {arguments:?}");
    };
    run("mkfifo", &["pipe"]);
    run("touch", &["-d", "1969-12-31T23:59:59.25Z", "plain"]);
    run("touch", &["-d", "2038-02-01T00:00:00.000000001Z", "empty"]);
    set_attribute(&root.join("plain"));
}

/// Where the file system has extended attributes.
fn set_attribute(path: &Path) {
    use rustix::fs::{XattrFlags, setxattr};
    let set = setxattr(path, "user.lifeboat", &[0, 255, b'<'], XattrFlags::empty());
    assert!(set.is_ok() || set == Err(rustix::io::Errno::OPNOTSUPP), "{set:?}");
}

/// restic 0.14 writes the device of every node, later ones only where it tells hard links apart.
fn without_needless_devices(json: &str) -> String {
    let mut kept = String::new();
    for node in json.split_inclusive("{\"name\"") {
        let links = node.split("\"links\":").nth(1).and_then(|rest| rest.split(',').next());
        let shared = links.is_some_and(|links| links != "1");
        match (node.split_once("\"device_id\":"), shared) {
            (Some((before, after)), false) => {
                kept.push_str(before);
                kept.push_str(after.split_once(',').unwrap().1);
            }
            _ => kept.push_str(node),
        }
    }
    kept
}

#[test]
fn trees_of_restic_are_written_again_byte_for_byte() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    place.init();
    make_tree(&place.path("tree"));
    place.restic(&["backup", "tree"]);
    let id = place.restic(&["list", "snapshots"]);
    let snapshot: Snapshot =
        serde_json::from_str(&place.restic(&["cat", "snapshot", id.trim()])).unwrap();

    let (mut kinds, mut waiting) = (BTreeSet::new(), vec![snapshot.tree]);
    while let Some(id) = waiting.pop() {
        let blob = place.restic_bytes(&["cat", "blob", &id.to_string()]);
        let tree = Tree::decode(id, &blob).unwrap();
        assert_eq!(tree.unreadable, []);
        let expected = without_needless_devices(std::str::from_utf8(&blob).unwrap());
        let written = Tree::encode(&tree.nodes).unwrap();
        assert_eq!(std::str::from_utf8(&written).unwrap(), expected);
        let again = Tree::decode(TreeId::of(&written), &written).unwrap();
        assert_eq!(Tree::encode(&again.nodes).unwrap(), written);
        for node in &tree.nodes {
            assert!(tree.find(&node.name) == Some(node));
            kinds.insert(format!("{:?}", node.kind).split(' ').next().unwrap().to_owned());
            if let Kind::Symlink { target } = &node.kind {
                assert_eq!(target, "../a<b");
            }
        }
        waiting.extend(tree.nodes.iter().filter_map(|node| node.subtree));
    }
    assert_eq!(Vec::from_iter(kinds), ["Directory", "Fifo", "File", "Symlink"]);
}

#[test]
fn snapshots_go_both_ways() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let repository = place.init();
    fs::write(place.path("file"), "text").unwrap();
    place.restic(&["backup", "--tag", "a,b", "--exclude", "*~", "--host", "pi", "file"]);
    place.restic(&["backup", "--host", "pi", "file"]);
    let snapshots = repository.snapshots().unwrap();
    assert!(snapshots.unreadable.is_empty());
    let (mut first, mut second) = (snapshots.readable[0].clone(), snapshots.readable[1].clone());
    if first.1.parent.is_some() {
        (first, second) = (second, first);
    }
    assert_eq!(
        (&*first.1.tags, &*first.1.excludes),
        (&["a".into(), "b".into()][..], &["*~".into()][..])
    );
    assert_eq!((&*first.1.hostname, first.1.parent), ("pi", None));
    assert_eq!((second.1.parent, second.1.tree), (Some(first.0), first.1.tree));

    let id = repository.save_snapshot(&Snapshot { tags: vec!["ours".into()], ..second.1 }).unwrap();
    let shown = place.restic(&["snapshots", "--json", "--tag", "ours"]);
    assert!(shown.contains(&id.to_string()), "{shown}");
    place.restic(&["check", "--read-data"]);
    place.restic(&["restore", &id.to_string(), "--target", "out"]);
    assert!(repository.remove_snapshot(&id).unwrap());
    assert!(!repository.remove_snapshot(&id).unwrap());
    assert!(!place.restic(&["list", "snapshots"]).contains(&id.to_string()));
}

#[test]
fn one_unreadable_snapshot_does_not_hide_the_others() {
    let place = Place::new();
    let repository = place.init();
    let snapshot = Snapshot {
        time: jiff::Timestamp::now(),
        parent: None,
        tree: TreeId::of(b""),
        paths: vec!["/etc".to_owned()],
        hostname: "pi".to_owned(),
        username: String::new(),
        uid: 0,
        gid: 0,
        excludes: Vec::new(),
        tags: Vec::new(),
        original: None,
        program_version: String::new(),
        summary: None,
    };
    let good = repository.save_snapshot(&snapshot).unwrap();
    let bad = repository.save_snapshot(&snapshot).unwrap();
    let path = |id: &SnapshotId| place.root().join(format!("snapshots/{id}"));
    let mut bytes = fs::read(path(&bad)).unwrap();
    bytes[40] ^= 1;
    fs::set_permissions(path(&bad), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path(&bad), bytes).unwrap();
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(snapshots.readable, [(good, snapshot)]);
    let [(id, error)] = &snapshots.unreadable[..] else { panic!("{snapshots:?}") };
    assert_eq!(*id, bad);
    assert!(error.to_string().contains(&bad.to_string()), "{error}");
}
