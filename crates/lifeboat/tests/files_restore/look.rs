//! What a tree looks like, as far as a restore brings it back.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    device: u64,
    content: Vec<u8>,
    attributes: BTreeMap<OsString, Vec<u8>>,
    /// The first of its names.
    first_name: PathBuf,
}

pub(crate) type Look = BTreeMap<PathBuf, Seen>;

/// All below a directory, and it itself, by path from there.
pub(crate) fn look(directory: &Path) -> Look {
    let (mut look, mut names) = (Look::new(), HashMap::new());
    add(directory, Path::new(""), &mut look, &mut names);
    look
}

/// As [`look`], without what begins with some paths.
pub(crate) fn look_without(directory: &Path, left_out: &[&str]) -> Look {
    let mut look = look(directory);
    look.retain(|path, _| !left_out.iter().any(|name| path.to_string_lossy().starts_with(name)));
    look
}

/// Symbolic links whose targets are no UTF-8.
pub(crate) fn odd_links(look: &Look) -> Vec<PathBuf> {
    let is_odd = |seen: &Seen| {
        seen.mode & 0o170_000 == 0o120_000 && std::str::from_utf8(&seen.content).is_err()
    };
    look.iter().filter(|(_, seen)| is_odd(seen)).map(|(path, _)| path.clone()).collect()
}

fn add(directory: &Path, path: &Path, look: &mut Look, names: &mut HashMap<(u64, u64), PathBuf>) {
    let full =
        if path.as_os_str().is_empty() { directory.to_owned() } else { directory.join(path) };
    let found = full.symlink_metadata().unwrap();
    let kind = found.file_type();
    let content = if kind.is_file() {
        fs::read(&full).unwrap()
    } else if kind.is_symlink() {
        fs::read_link(&full).unwrap().as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    let inode = (found.dev(), found.ino());
    let first_name = names.entry(inode).or_insert_with(|| path.to_owned()).clone();
    let is_device = kind.is_block_device() || kind.is_char_device();
    let seen = Seen {
        mode: found.mode(),
        owner: (found.uid(), found.gid()),
        modified: (found.mtime(), found.mtime_nsec()),
        device: if is_device { found.rdev() } else { 0 },
        content,
        attributes: if kind.is_symlink() { BTreeMap::new() } else { attributes(&full) },
        first_name,
    };
    look.insert(path.to_owned(), seen);
    if kind.is_dir() {
        let mut names_here: Vec<_> =
            fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names_here.sort();
        for name in names_here {
            add(directory, &path.join(name), look, names);
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut list = vec![0; 64 * 1024];
    let length = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = std::ffi::OsStr::from_bytes(name);
            let mut value = vec![0; 64 * 1024];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            value.truncate(length);
            (name.to_owned(), value)
        })
        .collect()
}

/// Says what differs, path by path.
#[track_caller]
pub(crate) fn assert_same(found: &Look, expected: &Look, what: &str) {
    for (path, seen) in expected {
        let other = found.get(path);
        assert!(other.is_some(), "{what}: {} is missing", path.display());
        let brief = |seen: &Seen| Seen { content: Vec::new(), ..seen.clone() };
        let (one, other) = (brief(seen), brief(other.unwrap()));
        assert_eq!(other, one, "{what}: {}", path.display());
        assert!(found[path].content == seen.content, "{what}: content of {}", path.display());
    }
    for path in found.keys() {
        assert!(expected.contains_key(path), "{what}: {} should not be there", path.display());
    }
}
