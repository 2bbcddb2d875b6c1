//! Documents of a restic repository, and patterns: what is read is written the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lifeboat_files::Patterns;
use lifeboat_restic::{Snapshot, Subset, Tree, TreeId, list_key_files};
use lifeboat_storage::{MemoryStorage, ObjectDigest, Storage};

/// The first byte says what the rest is.
pub fn restic(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 5 {
        0 => tree(rest),
        1 => drop(serde_json::from_slice::<Snapshot>(rest)),
        2 => key_file(rest),
        3 => patterns(rest),
        _ => {
            if let Ok(text) = std::str::from_utf8(rest) {
                drop(text.parse::<Subset>());
            }
        }
    }
}

fn tree(bytes: &[u8]) {
    let Ok(tree) = Tree::decode(TreeId::of(bytes), bytes) else { return };
    let written = Tree::encode(&tree.nodes).unwrap();
    let again = Tree::decode(TreeId::of(&written), &written).unwrap();
    // What means nothing to a node, such as the size of a device, is not written again.
    assert_eq!(Tree::encode(&again.nodes).unwrap(), written);
    assert_eq!(again.nodes.len(), tree.nodes.len());
    assert!(again.unreadable.is_empty());
    for node in &tree.nodes {
        let name = node.name.as_bytes();
        assert!(!name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/'));
        assert_eq!(tree.find(&node.name), Some(node));
    }
}

fn key_file(bytes: &[u8]) {
    let storage = MemoryStorage::new();
    let name = ObjectDigest::of(bytes);
    let key = format!("keys/{}", name.sha256_hex()).parse().unwrap();
    storage.put(&key, bytes).unwrap();
    drop(list_key_files(&storage));
}

/// A pattern, a zero byte, a path: what fits a path fits what is below it.
fn patterns(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (pattern, path) = (&bytes[..at], &bytes[at + 1..]);
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    if pattern.len() > 64 || path.len() > 64 || pattern.contains('!') || !path.starts_with(b"/") {
        return;
    }
    let Ok(patterns) = Patterns::new([pattern]) else { return };
    let path = Path::new(OsStr::from_bytes(path));
    if patterns.matches(path) {
        assert!(patterns.matches(&path.join("below")), "{pattern:?} {path:?}");
    }
}
