//! What to do with an entry in whose place there is something.

use rustix::fs::FileType;

use super::found::Found;
use crate::{Metadata, Overwrite};

/// What to do with an entry in whose place there is something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// What is there goes, the entry comes.
    Replace,
    /// What is there is as long as the entry: its content decides.
    Compare,
    /// What is there has the right content.
    Keep,
    /// What is there stays.
    Skip,
    /// It cannot be done by this rule.
    Refuse,
}

/// For a regular file. `may_stay`: what is there may become the entry
/// without being written anew.
pub(super) fn for_file(
    overwrite: Overwrite,
    found: &Found,
    metadata: &Metadata,
    may_stay: bool,
) -> Choice {
    if let Some(choice) = for_any(overwrite, found, metadata) {
        return choice;
    }
    if found.kind != FileType::RegularFile || found.size != metadata.size || !may_stay {
        return Choice::Replace;
    }
    let same_time = found.modified == metadata.modified;
    if found.size == 0 || (overwrite == Overwrite::IfChanged && same_time) {
        return Choice::Keep;
    }
    Choice::Compare
}

/// For anything that has no content. `same`: what is there is what the entry is.
pub(super) fn for_other(
    overwrite: Overwrite,
    found: &Found,
    metadata: &Metadata,
    same: bool,
) -> Choice {
    let unless_barred = if same { Choice::Keep } else { Choice::Replace };
    for_any(overwrite, found, metadata).unwrap_or(unless_barred)
}

/// Whether the metadata of a directory that is there becomes that of the entry.
pub(super) fn for_directory(overwrite: Overwrite, found: &Found, metadata: &Metadata) -> bool {
    match overwrite {
        Overwrite::Always | Overwrite::IfChanged => true,
        Overwrite::IfNewer => metadata.modified > found.modified,
        Overwrite::Never => false,
    }
}

fn for_any(overwrite: Overwrite, found: &Found, metadata: &Metadata) -> Option<Choice> {
    match overwrite {
        Overwrite::Never => Some(Choice::Skip),
        Overwrite::Always if found.is_directory() => Some(Choice::Replace),
        _ if found.is_directory() => Some(Choice::Refuse),
        Overwrite::IfNewer if metadata.modified <= found.modified => Some(Choice::Skip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileTime;
    use crate::put::found::Identity;

    fn found(kind: FileType, size: u64, seconds: i64) -> Found {
        Found {
            kind,
            permissions: 0o644,
            user_id: 0,
            group_id: 0,
            size,
            modified: FileTime { seconds, nanoseconds: 0 },
            links: 1,
            identity: Identity { device: 1, inode: 2 },
            device: 0,
        }
    }

    fn entry(size: u64) -> Metadata {
        Metadata { size, modified: FileTime { seconds: 10, nanoseconds: 0 }, ..Metadata::default() }
    }

    #[test]
    fn files() {
        use Choice::{Compare, Keep, Refuse, Replace, Skip};
        use FileType::{Directory, RegularFile, Symlink};
        let cases = [
            // What is there, its size and time; always, if changed, if newer, never.
            (RegularFile, 5, 10, [Compare, Keep, Skip, Skip]),
            (RegularFile, 5, 9, [Compare, Compare, Compare, Skip]),
            (RegularFile, 5, 11, [Compare, Compare, Skip, Skip]),
            (RegularFile, 6, 10, [Replace, Replace, Skip, Skip]),
            (RegularFile, 6, 9, [Replace, Replace, Replace, Skip]),
            (Symlink, 5, 10, [Replace, Replace, Skip, Skip]),
            (Symlink, 5, 9, [Replace, Replace, Replace, Skip]),
            (Directory, 5, 9, [Replace, Refuse, Refuse, Skip]),
        ];
        for (kind, size, seconds, expected) in cases {
            let found = found(kind, size, seconds);
            let chosen = ALL.map(|overwrite| for_file(overwrite, &found, &entry(5), true));
            assert_eq!(chosen, expected, "{found:?}");
        }
    }

    #[test]
    fn an_empty_file_has_no_content_to_compare() {
        let found = found(FileType::RegularFile, 0, 9);
        assert_eq!(for_file(Overwrite::Always, &found, &entry(0), true), Choice::Keep);
    }

    #[test]
    fn what_may_not_stay_is_written_anew() {
        let found = found(FileType::RegularFile, 5, 10);
        for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
            assert_eq!(for_file(overwrite, &found, &entry(5), false), Choice::Replace);
        }
    }

    #[test]
    fn others() {
        use Choice::{Keep, Refuse, Replace, Skip};
        let cases = [
            (FileType::Symlink, 10, true, [Keep, Keep, Skip, Skip]),
            (FileType::Symlink, 9, true, [Keep, Keep, Keep, Skip]),
            (FileType::Symlink, 9, false, [Replace, Replace, Replace, Skip]),
            (FileType::RegularFile, 11, false, [Replace, Replace, Skip, Skip]),
            (FileType::Directory, 9, false, [Replace, Refuse, Refuse, Skip]),
        ];
        for (kind, seconds, same, expected) in cases {
            let found = found(kind, 0, seconds);
            let chosen = ALL.map(|overwrite| for_other(overwrite, &found, &entry(0), same));
            assert_eq!(chosen, expected, "{found:?}");
        }
    }

    const ALL: [Overwrite; 4] =
        [Overwrite::Always, Overwrite::IfChanged, Overwrite::IfNewer, Overwrite::Never];
}
