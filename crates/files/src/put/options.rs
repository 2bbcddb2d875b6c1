//! How a tree is put back.

use std::ffi::OsString;

/// How a tree is put back.
#[derive(Clone, Debug)]
pub struct PutOptions {
    /// What becomes of what is there already.
    pub overwrite: Overwrite,
    /// To whom the files belong afterwards.
    pub owners: Owners,
    /// Long runs of zeros take no room.
    pub sparse: bool,
    /// Decide and count, but touch nothing. No content is asked for then.
    pub dry_run: bool,
    /// The directory in the target that replaced and removed files are moved to, made (0700) when
    /// the first of them is. A mount point within the target gets its own. `None`: they are lost;
    /// a directory in the way of something else is then removed only if it is empty.
    pub safety: Option<OsString>,
    /// When what was put is on the disk for certain.
    pub durability: Durability,
}

impl Default for PutOptions {
    fn default() -> Self {
        Self {
            overwrite: Overwrite::default(),
            owners: Owners::default(),
            sparse: true,
            dry_run: false,
            safety: None,
            durability: Durability::default(),
        }
    }
}

/// What becomes of what is there already, by restic's rules.
///
/// An existing directory is entered in every case. Something else in the way of a directory, or a
/// directory in the way of something else, goes only with `Always`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced, unless its content is the same.
    #[default]
    Always,
    /// As `Always`, but a file of the same size and time is taken to be the same.
    IfChanged,
    /// As `Always` where the backup has the later time; else it stays.
    IfNewer,
    /// It stays, with its metadata.
    Never,
}

/// To whom files belong. Only root gives files away: for anyone else it is always `Mine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// To the user and group that have the same names here; by number if there are none.
    #[default]
    ByName,
    /// To the user and group with the same numbers.
    Numeric,
    /// To whoever runs this.
    Mine,
}

/// When what was put is on the disk for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When [`Put::finish`](crate::Put::finish) returns: one `syncfs` for each file system.
    ///
    /// That is enough, because until then nothing was promised: after a power cut the same restore
    /// is run again. Files that it replaced were on the disk before and are only moved, so they are
    /// at their old name, at their safe one or at both. It takes a fraction of the time that
    /// 100,000 calls of `fsync` take.
    #[default]
    AtEnd,
    /// Each file before it gets its name, each directory when it is left.
    EachFile,
    /// The caller sees to it.
    Caller,
}
