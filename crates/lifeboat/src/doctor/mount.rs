//! Which kind of file system a path is on, and what that means for a database.

use std::path::{Path, PathBuf};

use lifeboat_sqlite::JournalMode;

use super::finding::Diagnosis;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) point: PathBuf,
    /// Its type as the system calls it: `ext4`, `nfs4`, `fuse.sshfs`.
    pub(super) kind: String,
}

/// The file system of an absolute path without links, where the system tells.
pub(super) fn mount_of(path: &Path) -> Option<Mount> {
    find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, path)
}

/// The longest mount point above a path; of several at one place the last one covers the others.
/// Device numbers would be shorter to compare, but overlays and subvolumes have other ones.
fn find(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = PathBuf::from(unescape(place.split(' ').nth(4)?));
        let kind = kind.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some(Mount { point, kind })
    });
    mounts.max_by_key(|mount| mount.point.components().count())
}

/// Blanks and the like stand as `\040`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Where several machines may see the same files.
const SHARED: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gfs2",
    "ocfs2",
    "virtiofs",
    "vboxsf",
    "vmhgfs",
    "prl_fs",
    "fuse.sshfs",
    "fuse.rclone",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
    "fuse.vmhgfs-fuse",
    "davfs",
];

/// What a file system means for a database on it.
pub(super) fn judge(kind: &str, journal_mode: JournalMode) -> Diagnosis {
    const EXAMINED: &str = "file system";
    let warning = |found: String, remedy: &str| Diagnosis::warning(EXAMINED, found, remedy);
    match (kind, journal_mode) {
        (kind, JournalMode::Wal) if SHARED.contains(&kind) => Diagnosis::problem(
            EXAMINED,
            format!(
                "it is in WAL mode on {kind}: machines do not share the memory that a WAL needs, \
                 and corrupt the database when two of them use it"
            ),
            "keep it on a local disk, or let one machine alone use it, in rollback mode",
        ),
        (kind, JournalMode::Rollback) if SHARED.contains(&kind) => warning(
            format!("it is on {kind}, whose locks often do not hold between machines"),
            "keep it on a local disk, or let one machine alone use it",
        ),
        ("tmpfs" | "ramfs", _) => warning(
            format!("it is on {kind}, in memory: it is gone after the next restart"),
            "keep it on a disk; until then, back it up often",
        ),
        ("overlay" | "aufs", _) => warning(
            format!("it is on {kind}, in a container's own layer: it goes with the container"),
            "keep it on a volume that is mounted into the container",
        ),
        ("vfat" | "exfat" | "msdos", _) => warning(
            format!("it is on {kind}, which may lose files when the power fails"),
            "keep it on a journaling file system such as ext4",
        ),
        (kind, _) if kind.starts_with("fuse") => warning(
            format!("it is on {kind}: whether locks and syncs hold is up to its driver"),
            "keep it on a local file system of the kernel's",
        ),
        (kind, _) => Diagnosis::ok(EXAMINED, format!("on {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lifeboat_sqlite::JournalMode::{Rollback, Wal};

    use super::super::finding::Severity::{self, Ok, Problem, Warning};
    use super::{find, judge};

    const MOUNTS: &str = "\
        22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        30 22 0:26 / /mnt/nas rw - nfs4 nas:/share rw,vers=4.2\n\
        31 22 0:27 / /mnt/my\\040disk rw master:1 - vfat /dev/sdb1 rw\n\
        32 22 0:28 / /srv rw - ext4 /dev/sdc1 rw\n\
        33 32 0:29 / /srv rw - fuse.sshfs pi@host:/ rw\n";

    #[test]
    fn finds_the_nearest_mount() {
        for (path, kind) in [
            ("/var/lib/app.db", "ext4"),
            ("/mnt/nas/app/app.db", "nfs4"),
            ("/mnt/nasty/app.db", "ext4"),
            ("/mnt/my disk/app.db", "vfat"),
            ("/srv/app.db", "fuse.sshfs"),
        ] {
            assert_eq!(find(MOUNTS, Path::new(path)).unwrap().kind, kind, "{path}");
        }
        assert_eq!(find("", Path::new("/")), None);
    }

    #[test]
    fn judges_file_systems() {
        let cases: [(&str, _, Severity, &str); 12] = [
            ("ext4", Wal, Ok, "on ext4"),
            ("btrfs", Rollback, Ok, "on btrfs"),
            ("nfs4", Wal, Problem, "WAL mode on nfs4"),
            ("nfs4", Rollback, Warning, "locks"),
            ("cifs", Wal, Problem, "WAL mode on cifs"),
            ("9p", Wal, Problem, "WAL mode on 9p"),
            ("fuse.sshfs", Wal, Problem, "WAL mode on fuse.sshfs"),
            ("fuse.sshfs", Rollback, Warning, "locks"),
            ("fuseblk", Wal, Warning, "driver"),
            ("overlay", Wal, Warning, "container"),
            ("tmpfs", Rollback, Warning, "memory"),
            ("vfat", Wal, Warning, "power"),
        ];
        for (kind, journal_mode, severity, found) in cases {
            let judged = judge(kind, journal_mode);
            assert_eq!(judged.severity, severity, "{kind} {journal_mode}");
            assert!(judged.found.contains(found), "{kind} {journal_mode}: {judged:?}");
            assert_eq!(judged.remedy.is_none(), severity == Ok, "{kind} {journal_mode}");
        }
    }
}
