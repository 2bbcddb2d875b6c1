//! A tree in memory: read from a directory, put into another, compared.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use lifeboat_files::{
    Attribute, Decision, Durability, Entry, FileTime, Kind, Metadata, Outcome, Put, PutOptions,
    PutReport,
};

/// An entry with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) entry: Entry,
    pub(crate) content: Vec<u8>,
    pub(crate) children: Vec<Node>,
}

/// What a directory holds, sorted by name.
pub(crate) fn read(directory: &Path) -> Vec<Node> {
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| read_node(&path)).collect()
}

fn read_node(path: &Path) -> Node {
    let entry = read_entry(path);
    Node {
        content: if entry.kind == Kind::File { fs::read(path).unwrap() } else { Vec::new() },
        children: if entry.kind == Kind::Directory { read(path) } else { Vec::new() },
        entry,
    }
}

pub(crate) fn read_entry(path: &Path) -> Entry {
    let stat = fs::symlink_metadata(path).unwrap();
    let kind = stat.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink { target: fs::read_link(path).unwrap().into_os_string() }
    } else if kind.is_block_device() {
        Kind::BlockDevice { device: stat.rdev() }
    } else if kind.is_char_device() {
        Kind::CharacterDevice { device: stat.rdev() }
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else {
        Kind::File
    };
    let time = |seconds, nanoseconds| FileTime {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap(),
    };
    let metadata = Metadata {
        permissions: stat.mode() & 0o7777,
        user_id: stat.uid(),
        group_id: stat.gid(),
        modified: time(stat.mtime(), stat.mtime_nsec()),
        changed: time(stat.ctime(), stat.ctime_nsec()),
        size: if kind == Kind::File { stat.size() } else { 0 },
        inode: stat.ino(),
        device: stat.dev(),
        links: stat.nlink(),
        attributes: attributes(path),
        ..Metadata::default()
    };
    Entry { path: path.to_owned(), kind, metadata }
}

fn attributes(path: &Path) -> Vec<Attribute> {
    let mut list = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, list.as_mut_slice()).unwrap();
    let mut attributes: Vec<_> = list[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| Attribute {
            name: OsStr::from_bytes(name).to_owned(),
            value: attribute(path, OsStr::from_bytes(name)),
        })
        .collect();
    attributes.sort_by(|one, other| one.name.cmp(&other.name));
    attributes
}

fn attribute(path: &Path, name: &OsStr) -> Vec<u8> {
    let mut value = vec![0; 65536];
    let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
    value.truncate(length);
    value
}

/// What two equal trees have in common: everything except where they are and when any of it was
/// last changed. Inodes become numbers in the order in which they are met.
pub(crate) fn comparable(nodes: &[Node]) -> Vec<Node> {
    compare_below(Path::new(""), nodes, &mut HashMap::new())
}

fn compare_below(above: &Path, nodes: &[Node], inodes: &mut HashMap<(u64, u64), u64>) -> Vec<Node> {
    let compare = |node: &Node| {
        let mut node = node.clone();
        node.entry.path = above.join(node.entry.path.file_name().unwrap());
        let metadata = &mut node.entry.metadata;
        let next = inodes.len() as u64 + 1;
        let number = *inodes.entry((metadata.device, metadata.inode)).or_insert(next);
        (metadata.device, metadata.inode) = (0, number);
        metadata.changed = FileTime::default();
        if node.entry.kind == Kind::Directory {
            metadata.links = 0;
        }
        node.children = compare_below(&node.entry.path, &node.children, inodes);
        node
    };
    nodes.iter().map(compare).collect()
}

/// Whether both directories hold the same.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (comparable(&read(one)), comparable(&read(other)));
    assert!(one == other, "{one:#?}\nis not\n{other:#?}");
}

/// Options for tests: the disk need not keep anything.
pub(crate) fn options() -> PutOptions {
    PutOptions { durability: Durability::Caller, ..PutOptions::default() }
}

/// Options with which replaced files are moved to `before`.
pub(crate) fn safe() -> PutOptions {
    PutOptions { safety: Some("before".into()), ..options() }
}

/// Puts a tree into `target`.
pub(crate) fn put(target: &Path, nodes: &[Node], options: PutOptions) -> PutReport {
    let mut put = Put::open(target, options).unwrap();
    fill(&mut put, nodes);
    put.finish()
}

/// Puts a tree of which nothing may be missing afterwards.
#[track_caller]
pub(crate) fn put_well(target: &Path, nodes: &[Node], options: PutOptions) -> PutReport {
    let report = put(target, nodes, options);
    assert_well(&report);
    report
}

#[track_caller]
pub(crate) fn assert_well(report: &PutReport) {
    assert_eq!(report.problem_count, 0, "{:#?}", report.problems);
    assert_eq!(report.unreachable, 0);
}

/// The problems as text.
pub(crate) fn problems(report: &PutReport) -> Vec<String> {
    assert_eq!(report.problem_count, report.problems.len() as u64);
    report.problems.iter().map(|problem| format!("{problem}: {}", problem.source)).collect()
}

/// Puts entries into the current directory.
pub(crate) fn fill(put: &mut Put, nodes: &[Node]) {
    for node in nodes {
        let name = node.entry.path.file_name().unwrap();
        fill_as(put, name, node);
    }
}

/// Puts an entry under a name that need not be one.
pub(crate) fn fill_as(put: &mut Put, name: &OsStr, node: &Node) -> Outcome {
    match node.entry.kind {
        Kind::Directory => {
            let outcome = put.enter(name, &node.entry);
            fill(put, &node.children);
            put.leave();
            outcome
        }
        Kind::File => put_file(put, name, node),
        _ => put.other(name, &node.entry),
    }
}

pub(crate) fn put_file(put: &mut Put, name: &OsStr, node: &Node) -> Outcome {
    finish_file(put.file(name, &node.entry), &node.content)
}

pub(crate) fn finish_file(decision: Decision<'_>, content: &[u8]) -> Outcome {
    match decision {
        Decision::Done(outcome) => outcome,
        Decision::Compare(mut file) => {
            let mut present = Vec::new();
            file.read_to_end(&mut present).unwrap();
            if present == content { file.keep() } else { finish_file(file.replace(), content) }
        }
        Decision::Write(mut file) => {
            // An error is in the report as well.
            let _ = content.chunks(100_000).try_for_each(|part| file.write_all(part));
            file.commit()
        }
    }
}

/// A regular file of the present user, last changed at the given second.
pub(crate) fn file(name: &str, content: &[u8], seconds: i64) -> Node {
    let metadata = Metadata { size: content.len() as u64, ..metadata(0o644, seconds) };
    Node { entry: entry(name, Kind::File, metadata), content: content.to_vec(), children: vec![] }
}

pub(crate) fn directory(name: &str, children: Vec<Node>) -> Node {
    let entry = entry(name, Kind::Directory, metadata(0o755, 1_000));
    Node { entry, content: vec![], children }
}

pub(crate) fn other(name: &str, kind: Kind) -> Node {
    Node { entry: entry(name, kind, metadata(0o640, 1_000)), content: vec![], children: vec![] }
}

pub(crate) fn symlink(name: &str, target: &str) -> Node {
    other(name, Kind::Symlink { target: target.into() })
}

fn entry(name: &str, kind: Kind, metadata: Metadata) -> Entry {
    Entry { path: Path::new("/backup").join(name), kind, metadata }
}

fn metadata(permissions: u32, seconds: i64) -> Metadata {
    Metadata {
        permissions,
        user_id: rustix::process::geteuid().as_raw(),
        group_id: rustix::process::getegid().as_raw(),
        modified: FileTime { seconds, nanoseconds: 5 },
        links: 1,
        ..Metadata::default()
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test did nothing. The checks run as root, where nothing is skipped.
#[allow(clippy::print_stdout, reason = "says why the test was skipped")]
pub(crate) fn skip(why: &str) {
    println!("skipped: {why}");
}

/// All names below a directory, sorted; without those of temporary files there must be none.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    collect(directory, directory, &mut names);
    names.sort();
    names
}

fn collect(top: &Path, directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(top).unwrap().as_os_str().to_owned();
        names.push(String::from_utf8_lossy(&name.into_vec()).into_owned());
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            collect(top, &path, names);
        }
    }
}

/// A directory that is gone when dropped.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn write(path: PathBuf, content: &[u8], seconds: i64) {
    let mut file = File::create(path).unwrap();
    file.write_all(content).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds.try_into().unwrap(), 5);
    file.set_modified(time).unwrap();
}
