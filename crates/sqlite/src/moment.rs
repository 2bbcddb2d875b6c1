//! Where a database stood when it was pinned: what a later pin is held against.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wal_index::WalState;
use crate::{Error, JournalMode, Result, WalPosition};

/// File times come from a clock that some file systems round to two seconds: a file written to
/// within them may be written to again and look the same.
const COARSE: Duration = Duration::from_secs(2);

/// Where a database stood. Kept with what was captured of it, it tells the next capture what may
/// have changed since ([`since`](fn@crate::since)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// How it journalled.
    pub journal_mode: JournalMode,
    /// Its pages.
    pub page_count: u32,
    /// The counter in its header, which every transaction of a rollback journal moves.
    pub change_counter: u32,
    /// Where its WAL stood; `None` in rollback mode and where the WAL had no frame.
    pub wal: Option<WalMoment>,
    /// The file just before it was pinned: whatever happened to it since shows.
    pub file: FileStamp,
    /// Whether the file's times lay far enough in the past then that a later write must show in
    /// them.
    pub settled: bool,
}

/// Where a WAL stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalMoment {
    /// The end of the pinned state in it.
    pub position: WalPosition,
    /// Commits since its index was made. The index lives as long as anybody has the database open;
    /// who comes after that makes a new one and begins at 0.
    pub commits: u32,
    /// Frames that checkpoints had put into the database file.
    pub backfilled: u32,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// When its content changed, in nanoseconds since the Unix epoch. Anyone may set it.
    pub modified_ns: i64,
    /// When anything about it changed, in nanoseconds since the Unix epoch.
    pub changed_ns: i64,
}

impl FileStamp {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let file = path.metadata().map_err(Error::file("look at", path))?;
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified_ns: nanoseconds(file.mtime(), file.mtime_nsec()),
            changed_ns: nanoseconds(file.ctime(), file.ctime_nsec()),
        })
    }

    /// Whether both are of one file, in whatever state.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether its times lie far enough before `now`.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.checked_sub(COARSE).and_then(|now| now.duration_since(UNIX_EPOCH).ok());
        let Some(now) = now.and_then(|now| i64::try_from(now.as_nanos()).ok()) else {
            return false;
        };
        self.modified_ns.max(self.changed_ns) <= now
    }
}

impl Moment {
    /// Whether the file at `path` looks as it did, or was written to so recently that it is better looked
    /// at later, when a further write must show. With a rollback journal, nothing was committed then.
    pub fn is_still(&self, path: &Path) -> bool {
        let Ok(file) = FileStamp::of(path) else { return false };
        file == self.file && (self.settled || !file.is_settled(SystemTime::now()))
    }
}

impl WalMoment {
    /// `None` where no frame belongs to the state.
    pub(crate) fn of(wal: &WalState) -> Option<Self> {
        (wal.header.last_frame > 0).then(|| Self {
            position: wal.header.position(),
            commits: wal.header.commits,
            backfilled: wal.backfilled,
        })
    }

    /// Whether the database file held all of its frames.
    pub(crate) fn is_complete(&self) -> bool {
        self.backfilled >= self.position.frames
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::FileStamp;

    #[test]
    fn a_file_is_settled_two_seconds_after_its_last_change() {
        let second = 1_000_000_000;
        let stamp = |modified_ns, changed_ns| FileStamp {
            device: 1,
            inode: 2,
            size: 3,
            modified_ns,
            changed_ns,
        };
        let now = UNIX_EPOCH + Duration::from_secs(100);
        for (modified, changed, settled) in [
            (98 * second, 98 * second, true),
            (98 * second + 1, 98 * second, false),
            (98 * second, 98 * second + 1, false),
            (500 * second, 0, false),
            (i64::MIN, 0, true),
        ] {
            assert_eq!(stamp(modified, changed).is_settled(now), settled, "{modified} {changed}");
        }
        assert!(!stamp(0, 0).is_settled(UNIX_EPOCH + Duration::from_secs(1)));
    }
}
