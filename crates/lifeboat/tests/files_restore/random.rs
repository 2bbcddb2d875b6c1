//! Trees by chance, with all that a file system knows.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// The same seed, the same course (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

/// Makes and unmakes some entries below a directory.
pub(crate) fn edit(root: &Path, dice: &mut Dice, edits: u64) {
    edit_with(Attributes::Some, root, dice, edits);
}

/// Whether edits give extended attributes. A restore takes none away from what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    Some,
    None,
}

pub(crate) fn edit_with(attributes: Attributes, root: &Path, dice: &mut Dice, edits: u64) {
    for _ in 0..edits {
        let (directories, files) = entries(root);
        let directory =
            directories[usize::try_from(dice.below(directories.len() as u64)).unwrap()].clone();
        let name = name(dice);
        let path = directory.join(&name);
        match dice.below(12) {
            0 | 1 => drop(fs::create_dir(&path)),
            2 => {
                let targets: [&[u8]; 3] = [b"../a", b"no \"where\"\n", b"\xfe and elsewhere"];
                let target = OsStr::from_bytes(dice.pick(&targets));
                drop(std::os::unix::fs::symlink(target, &path));
            }
            3 => {
                if let Some(file) = files.first() {
                    drop(fs::hard_link(file, &path));
                }
            }
            4 => drop(rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0)),
            5 => {
                if let Some(file) = files.last() {
                    fs::remove_file(file).unwrap();
                }
            }
            6 if !path.exists() => sparse(&path, dice),
            _ if !path.exists() => {
                let length = dice.pick(&[0, 1, 100, 5000, 70_000]);
                fs::write(&path, dice.bytes(length)).unwrap();
            }
            _ => {}
        }
        if let Ok(found) = path.symlink_metadata() {
            dress(&path, found.file_type().is_symlink(), attributes, dice);
        }
    }
    // Filling a directory has changed its time, and may not be allowed any more after this.
    for directory in entries(root).0.iter().rev() {
        dress(directory, false, attributes, dice);
    }
}

/// Directories, the root first, and regular files.
fn entries(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut directories, mut files) = (vec![root.to_owned()], Vec::new());
    let mut at = 0;
    while at < directories.len() {
        let mut here: Vec<_> =
            fs::read_dir(&directories[at]).unwrap().map(Result::unwrap).collect();
        here.sort_by_key(fs::DirEntry::file_name);
        for entry in here {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        at += 1;
    }
    (directories, files)
}

fn name(dice: &mut Dice) -> OsString {
    let names: [&[u8]; 8] = [
        b"a",
        b"b.conf",
        b"caf\xc3\xa9",
        b"\xff\xfe",
        b"new\nline",
        b"back\\slash",
        b"quo\"te",
        b" ",
    ];
    let mut name = dice.pick(&names).to_vec();
    name.extend(dice.below(30).to_string().into_bytes());
    OsString::from_vec(name)
}

fn sparse(path: &Path, dice: &mut Dice) {
    let file = File::create(path).unwrap();
    file.set_len(2_000_000).unwrap();
    file.write_all_at(&dice.bytes(1000), 1_000_000 + dice.below(5000)).unwrap();
}

/// Gives it permissions, a time and extended attributes.
fn dress(path: &Path, is_link: bool, attributes: Attributes, dice: &mut Dice) {
    if !is_link {
        let mode = dice.pick(&[0o600, 0o644, 0o755, 0o4755, 0o2711, 0o1777, 0o400, 0o700]);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        if attributes == Attributes::Some && dice.below(3) == 0 {
            let value = dice.bytes(20);
            // Some file systems know none.
            let _ = rustix::fs::lsetxattr(path, "user.comment", &value, XattrFlags::empty());
        }
    }
    let time = Timespec {
        tv_sec: i64::try_from(dice.below(2_000_000_000)).unwrap() - 100_000_000,
        tv_nsec: i64::try_from(dice.below(1_000_000_000)).unwrap(),
    };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Sets the time of a file to some seconds after 1970.
pub(crate) fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}
