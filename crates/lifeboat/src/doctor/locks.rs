//! Which process holds a lock of ours, without touching the lock.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that holds a `flock` on a file, as `name (pid 12)`, where the system tells.
///
/// To try the lock would take it for a moment, in which a backup that starts would give up.
pub(super) fn holder(path: &Path) -> Option<String> {
    let inode = path.metadata().ok()?.ino();
    let pid = find(&std::fs::read_to_string("/proc/locks").ok()?, inode)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim_end()))
}

/// Lines are `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`, with the device in hex.
///
/// The device is left out of the comparison: some file systems show another one here than `stat`
/// does. A wrong answer needs another file with the same inode number to be locked just now.
fn find(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields.as_slice() else { return None };
        let found: u64 = file.rsplit(':').next()?.parse().ok()?;
        (found == inode).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_the_holder() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:5678 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fe:00:567 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fe:00:9 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 14 00:2d:5678 0 EOF\n";
        assert_eq!(find(locks, 5678), Some(14));
        assert_eq!(find(locks, 567), Some(12));
        assert_eq!(find(locks, 9), None);
        assert_eq!(find("", 1), None);
    }
}
