//! How a database makes its transactions atomic, and the files it has beside it for that.

use std::path::{Path, PathBuf};

use lifeboat_sqlite::{Access, Condition, SqliteVersion};

use super::finding::Diagnosis;
use crate::size;

/// Applications checkpoint a WAL of 4 MB by default. A larger one had a reason.
const LARGE_WAL: u64 = 64 << 20;

/// The companions of a database, as they were before anything of ours opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Companions {
    /// Bytes of the `-wal`.
    pub(super) wal: Option<u64>,
    /// Whether there is a `-shm`.
    pub(super) shm: bool,
}

impl Companions {
    /// Beside the database file `real`.
    pub(super) fn of(real: &Path) -> Self {
        let companion = |suffix: &str| {
            let mut name = real.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name).metadata().ok()
        };
        Self { wal: companion("-wal").map(|wal| wal.len()), shm: companion("-shm").is_some() }
    }
}

/// The journal, and what it needs.
pub(super) fn examine(condition: &Condition, companions: Companions) -> Vec<Diagnosis> {
    let mut findings = vec![judge_access(condition)];
    if condition.header.wal {
        findings.extend(judge_wal(companions));
    }
    findings.extend(judge_version(condition.header.sqlite_version, condition.header.wal));
    findings
}

fn judge_access(condition: &Condition) -> Diagnosis {
    match (condition.access, condition.header.wal) {
        (Access::InPlace, true) => Diagnosis::ok("journal mode", "WAL"),
        (Access::InPlace, false) => Diagnosis::ok(
            "journal mode",
            "rollback journal: writers wait while a backup copies it to a spool",
        ),
        (Access::HotJournal, _) => Diagnosis::warning(
            "hot journal",
            "a writer was killed in a transaction: its -journal is to be rolled back. Backups do \
             that in a copy",
            "start the application, which rolls back by itself; never delete the -journal",
        ),
        (Access::ReadOnlyDirectory, _) => Diagnosis::warning(
            "journal mode",
            "WAL, but the files that a reader needs beside it may not be made: every backup \
             copies it first",
            "let this user write to its directory, or back up while the application runs",
        ),
    }
}

fn judge_wal(companions: Companions) -> Vec<Diagnosis> {
    let Companions { wal, shm } = companions;
    let Some(bytes) = wal.filter(|bytes| *bytes > 0) else { return Vec::new() };
    let mut findings = Vec::new();
    let text = size::bytes(bytes);
    if bytes > LARGE_WAL {
        findings.push(Diagnosis::warning(
            "wal",
            format!(
                "the WAL is {text}: a reader that stays open kept checkpoints from resetting \
                     it, or one transaction was that large"
            ),
            "end long reads of the application; then PRAGMA wal_checkpoint(TRUNCATE) in it",
        ));
    } else {
        findings.push(Diagnosis::ok("wal", format!("a WAL of {text}")));
    }
    if !shm {
        findings.push(Diagnosis::warning(
            "wal",
            format!(
                "a WAL of {text} without -shm: its application was killed, or holds it with \
                     locking_mode=EXCLUSIVE. The WAL holds committed data"
            ),
            "start the application, which recovers it; never delete or leave behind the -wal",
        ));
    }
    findings
}

fn judge_version(version: SqliteVersion, wal: bool) -> Option<Diagnosis> {
    if version == SqliteVersion(0) {
        return None;
    }
    Some(if wal && version.may_lose_wal_pages() {
        Diagnosis::warning(
            "sqlite version",
            format!(
                "SQLite {version} last wrote it, whose checkpoints can lose committed pages (WAL \
                 reset bug, sqlite.org/wal.html#walresetbug)"
            ),
            "update the application's SQLite to 3.51.3 or newer (or 3.50.7, 3.44.6)",
        )
    } else {
        Diagnosis::ok("sqlite version", format!("SQLite {version} last wrote it"))
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_sqlite::SqliteVersion;

    use super::super::finding::Severity::{self, Ok, Warning};
    use super::{Companions, LARGE_WAL, judge_version, judge_wal};

    #[test]
    fn logs_by_size_and_index() {
        let cases: [(Option<u64>, bool, &[Severity]); 6] = [
            (None, false, &[]),
            (Some(0), true, &[]),
            (Some(4 << 20), true, &[Ok]),
            (Some(4 << 20), false, &[Ok, Warning]),
            (Some(LARGE_WAL), true, &[Ok]),
            (Some(LARGE_WAL + 1), true, &[Warning]),
        ];
        for (wal, shm, expected) in cases {
            let found = judge_wal(Companions { wal, shm });
            let found: Vec<_> = found.iter().map(|found| found.severity).collect();
            assert_eq!(found, expected, "{wal:?} {shm}");
        }
    }

    #[test]
    fn the_wal_reset_bug_needs_a_wal() {
        let severity =
            |version, wal| judge_version(SqliteVersion(version), wal).map(|found| found.severity);
        assert_eq!(severity(3_046_001, true), Some(Warning));
        assert_eq!(severity(3_046_001, false), Some(Ok));
        assert_eq!(severity(3_051_003, true), Some(Ok));
        assert_eq!(severity(0, true), None);
    }
}
