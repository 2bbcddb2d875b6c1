//! Random trees, listed as `find` lists them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_files::{Entry, FileTime, Kind, WalkOptions};
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev};

use crate::common::{Scratch, entries, walk};
use crate::oracle::have;

/// Something to be made: in which of the directories so far, what, and how.
#[derive(Clone, Debug)]
struct Thing {
    place: prop::sample::Index,
    name: Vec<u8>,
    kind: Make,
    mode: u32,
    owner: u32,
    seconds: i64,
    nanoseconds: i64,
}

#[derive(Clone, Debug)]
enum Make {
    File(u16),
    Directory,
    Symlink(Vec<u8>),
    HardLink(prop::sample::Index),
    Fifo,
    Socket,
    Device(bool, u32, u32),
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let name = prop_oneof![
        4 => "[a-cA-C.~-]{1,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(1_u8..=255, 1..6),
        1 => prop::sample::select(vec!["new\nline", " ", "é", "\\", "\"", "-rf", "a b"])
            .prop_map(|name| name.as_bytes().to_vec()),
    ];
    let target = prop::collection::vec(1_u8..=255, 1..300);
    let kind = prop_oneof![
        4 => any::<u16>().prop_map(Make::File),
        3 => Just(Make::Directory),
        1 => target.prop_map(Make::Symlink),
        1 => any::<prop::sample::Index>().prop_map(Make::HardLink),
        1 => Just(Make::Fifo),
        1 => Just(Make::Socket),
        1 => (any::<bool>(), 0_u32..4096, 0_u32..1_048_576).prop_map(|(a, b, c)| Make::Device(a, b, c)),
    ];
    // ext4 keeps times from 1901 to 2446.
    let time = (-2_000_000_000_i64..15_000_000_000, 0_i64..1_000_000_000);
    let owner = prop_oneof![Just(0_u32), Just(65_534), any::<u32>().prop_map(|id| id / 2)];
    let thing = (any::<prop::sample::Index>(), name, kind, 0_u32..0o10000, owner, time);
    let thing = thing.prop_map(|(place, name, kind, mode, owner, (seconds, nanoseconds))| Thing {
        place,
        name,
        kind,
        mode,
        owner,
        seconds,
        nanoseconds,
    });
    prop::collection::vec(thing, 0..40)
}

/// Makes what can be made; returns whether anything is there.
fn make(root: &Path, things: &[Thing]) {
    let (mut directories, mut files) = (vec![root.to_owned()], Vec::new());
    let mut made = Vec::new();
    for thing in things {
        let name: Vec<u8> = thing.name.iter().map(|b| if *b == b'/' { b'_' } else { *b }).collect();
        let path = thing.place.get(&directories).join(OsStr::from_bytes(&name));
        if matches!(&*name, b"." | b"..") || path.symlink_metadata().is_ok() {
            continue;
        }
        if make_one(&path, &thing.kind, &files) {
            made.push((path.clone(), thing));
            match thing.kind {
                Make::Directory => directories.push(path),
                Make::File(_) => files.push(path),
                _ => {}
            }
        }
    }
    // What is in a directory changes its time, so the deepest come first.
    for (path, thing) in made.iter().rev() {
        dress(path, thing);
    }
}

fn make_one(path: &Path, kind: &Make, files: &[PathBuf]) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    match kind {
        Make::File(size) => fs::write(path, vec![1; (*size).into()]).unwrap(),
        Make::Directory => fs::create_dir(path).unwrap(),
        Make::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Make::HardLink(_) if files.is_empty() => return false,
        Make::HardLink(of) => fs::hard_link(of.get(files), path).unwrap(),
        Make::Fifo => rustix::fs::mkfifoat(CWD, path, Mode::RUSR).unwrap(),
        Make::Socket if path.as_os_str().len() > 100 => return false,
        Make::Socket => drop(UnixListener::bind(path).unwrap()),
        Make::Device(..) if !is_root => return false,
        Make::Device(is_block, major, minor) => {
            let kind = if *is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
            let device = makedev(*major, *minor);
            rustix::fs::mknodat(CWD, path, kind, Mode::RUSR, device).unwrap();
        }
    }
    true
}

/// Owner, permissions and times.
fn dress(path: &Path, thing: &Thing) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, Some(thing.owner), Some(thing.owner / 3)).unwrap();
    }
    if !matches!(thing.kind, Make::Symlink(_)) {
        // Whoever is not root has to be able to list it.
        let mode =
            if matches!(thing.kind, Make::Directory) { thing.mode | 0o700 } else { thing.mode };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let time = Timespec { tv_sec: thing.seconds, tv_nsec: thing.nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A line of what `find` says of each path, in the order of a walk.
fn found(root: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let format = r"%p\0%y\0%m\0%U\0%G\0%u\0%g\0%T@\0%C@\0%s\0%i\0%D\0%n\0%l\0";
    let output = Command::new("find").arg(root).args(["-printf", format]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let fields: Vec<_> = output.stdout.split(|byte| *byte == 0).collect();
    let lines = fields.chunks_exact(14).map(|fields| {
        let path = PathBuf::from(std::ffi::OsString::from_vec(fields[0].to_vec()));
        (path, fields[1..].iter().map(|field| latin(field)).collect())
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

/// Bytes one to one.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The same of an entry; `find`'s own word where a directory's or link's size is not kept.
fn described(entry: &Entry, theirs: &[String]) -> Vec<String> {
    let metadata = &entry.metadata;
    let (kind, target) = match &entry.kind {
        Kind::File => ("f", ""),
        Kind::Directory => ("d", ""),
        Kind::Symlink { .. } => ("l", ""),
        Kind::BlockDevice { .. } => ("b", ""),
        Kind::CharacterDevice { .. } => ("c", ""),
        Kind::Fifo => ("p", ""),
        Kind::Socket => ("s", ""),
    };
    let target = match &entry.kind {
        Kind::Symlink { target } => latin(target.as_bytes()),
        _ => target.to_owned(),
    };
    let named =
        |name: &str, id: u32| if name.is_empty() { id.to_string() } else { name.to_owned() };
    let size = if entry.kind == Kind::File { metadata.size.to_string() } else { theirs[8].clone() };
    assert!(entry.kind == Kind::File || metadata.size == 0);
    vec![
        kind.to_owned(),
        format!("{:o}", metadata.permissions),
        metadata.user_id.to_string(),
        metadata.group_id.to_string(),
        named(&metadata.user, metadata.user_id),
        named(&metadata.group, metadata.group_id),
        time(metadata.modified),
        time(metadata.changed),
        size,
        metadata.inode.to_string(),
        metadata.device.to_string(),
        metadata.links.to_string(),
        target,
    ]
}

fn time(time: FileTime) -> String {
    format!("{}.{:09}0", time.seconds, time.nanoseconds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_trees_are_listed_as_find_lists_them(things in things()) {
        if have("find", "--version") {
            let scratch = Scratch::new();
            make(scratch.root(), &things);
            let theirs = found(scratch.root());
            let ours = entries(walk(scratch.root(), WalkOptions::default()));
            let ours: Vec<_> =
                ours.iter().filter(|entry| entry.path.starts_with(scratch.root())).collect();
            let paths: Vec<_> = theirs.iter().map(|(path, _)| path).collect();
            prop_assert_eq!(ours.iter().map(|entry| &entry.path).collect::<Vec<_>>(), paths);
            for (entry, (path, theirs)) in ours.iter().zip(&theirs) {
                prop_assert_eq!(&described(entry, theirs), theirs, "{:?}", path);
            }
        }
    }
}

#[test]
fn devices_are_told_with_their_numbers() {
    let null = entries(walk(Path::new("/dev/null"), WalkOptions::default())).pop().unwrap();
    assert_eq!(null.kind, Kind::CharacterDevice { device: makedev(1, 3) });
}
