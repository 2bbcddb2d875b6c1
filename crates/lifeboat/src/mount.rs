//! Which file system a path is on.

use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: PathBuf,
    /// Its type as the system calls it: `ext4`, `nfs4`, `fuse.sshfs`.
    pub(crate) kind: String,
}

/// The file system of an absolute path without links, where the system tells.
pub(crate) fn mount_of(path: &Path) -> Option<Mount> {
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

impl Mount {
    /// Whether several machines may see its files: then nobody here is told what the others write.
    pub(crate) fn is_shared(&self) -> bool {
        is_shared(&self.kind)
    }
}

/// Whether several machines may see the files of such a file system.
pub(crate) fn is_shared(kind: &str) -> bool {
    SHARED.contains(&kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

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
            let mount = find(MOUNTS, Path::new(path)).unwrap();
            assert_eq!(mount.kind, kind, "{path}");
            assert_eq!(mount.is_shared(), matches!(kind, "nfs4" | "fuse.sshfs"), "{path}");
        }
        assert_eq!(find("", Path::new("/")), None);
    }
}
