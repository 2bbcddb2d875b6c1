//! What the file system that a database is on means for it.

use lifeboat_sqlite::JournalMode;

use super::finding::Diagnosis;
use crate::mount::is_shared;

/// What a file system means for a database on it.
pub(super) fn judge(kind: &str, journal_mode: JournalMode) -> Diagnosis {
    const EXAMINED: &str = "file system";
    let warning = |found: String, remedy: &str| Diagnosis::warning(EXAMINED, found, remedy);
    match (kind, journal_mode) {
        (kind, JournalMode::Wal) if is_shared(kind) => Diagnosis::problem(
            EXAMINED,
            format!(
                "it is in WAL mode on {kind}: machines do not share the memory that a WAL needs, \
                 and corrupt the database when two of them use it"
            ),
            "keep it on a local disk, or let one machine alone use it, in rollback mode",
        ),
        (kind, JournalMode::Rollback) if is_shared(kind) => warning(
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
    use lifeboat_sqlite::JournalMode::{Rollback, Wal};

    use super::super::finding::Severity::{self, Ok, Problem, Warning};
    use super::judge;

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
