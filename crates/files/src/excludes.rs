//! What is left out.
//!
//! The rules are restic's, with one difference: what was named is never left out by a pattern, nor is what
//! is below it by a pattern that fits it or a directory above. `restic backup --exclude '*~' /srv/old~`
//! stores nothing.

mod file;
mod marker;

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use self::marker::Marker;
use crate::directory::Directory;
use crate::{Entry, Kind, Patterns, Result};

/// What hardly anybody wants kept: files that editors leave beside those that they edit, what a file
/// system check has found, and downloads that have not come to their ends.
pub const DEFAULT_EXCLUDES: [&str; 5] = ["*~", ".*.swp", ".#*", "lost+found", "*.part"];

/// What is not kept of a whole system: what is in the directories that the kernel fills or that other
/// disks are mounted on. The directories themselves are kept: a restored system needs them.
pub const SYSTEM_EXCLUDES: [&str; 8] =
    ["/proc/*", "/sys/*", "/dev/*", "/tmp/*", "/run/*", "/mnt/*", "/media/*", "/backup/*"];

/// How a directory says that what is in it can be made again (<https://bford.info/cachedir/>).
const CACHE_MARKER: &str = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55";

/// Why something is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exclusion {
    /// A pattern fits its path.
    Pattern(OsString),
    /// A file of this name marks the directory that it is in.
    Marker(OsString),
    /// It is larger than what is wanted at most.
    Size,
    /// It is on another file system than the path that was named; of a directory, what is in it is.
    OtherFileSystem,
    /// The caller left it out.
    Skipped,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "excluded by {}", pattern.display()),
            Self::Marker(name) => write!(f, "its directory is marked by {}", name.display()),
            Self::Size => f.write_str("too large"),
            Self::OtherFileSystem => f.write_str("on another file system"),
            Self::Skipped => f.write_str("not meant"),
        }
    }
}

/// What to leave out.
#[derive(Clone, Debug, Default)]
pub struct ExcludeOptions {
    /// Patterns for paths ([`Patterns`]).
    pub patterns: Vec<String>,
    /// Patterns for which capital letters are as good as small ones.
    pub patterns_ignoring_case: Vec<String>,
    /// Files with more of the former: one a line, without white space around it; lines that begin with `#`
    /// are comments; `$NAME` and `${NAME}` are what the environment says, `$$` is `$`.
    pub files: Vec<PathBuf>,
    /// Files with more of the latter.
    pub files_ignoring_case: Vec<PathBuf>,
    /// Leave out what is in directories that say of themselves that they are caches (`CACHEDIR.TAG`).
    pub caches: bool,
    /// Leave out what is in directories in which there is a file of such a name, or after `NAME:` one that
    /// begins so. The file itself stays.
    pub if_present: Vec<String>,
    /// Leave out files of more bytes.
    pub larger_than: Option<u64>,
}

/// What is left out. An empty one leaves out nothing.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    lists: [Patterns; 2],
    markers: Vec<Marker>,
    larger_than: Option<u64>,
}

impl Excludes {
    /// Reads the files that were named. Patterns, markers and files that are no good are errors, and
    /// name themselves.
    pub fn new(options: &ExcludeOptions) -> Result<Self> {
        let caches = options.caches.then_some(CACHE_MARKER);
        let markers = options.if_present.iter().map(String::as_str).chain(caches);
        let exact = file::with_files(&options.patterns, &options.files)?;
        let ignoring_case =
            file::with_files(&options.patterns_ignoring_case, &options.files_ignoring_case)?;
        Ok(Self {
            lists: [Patterns::new(exact)?, Patterns::ignoring_case(ignoring_case)?],
            markers: markers.map(Marker::parse).collect::<Result<_>>()?,
            larger_than: options.larger_than,
        })
    }

    /// Whether a path is left out, below a path that was named and has `named` names.
    pub(crate) fn by_path(&self, path: &Path, named: usize) -> Option<Exclusion> {
        let pattern = self.lists.iter().find_map(|list| list.matching(path, named))?;
        Some(Exclusion::Pattern(pattern.to_owned()))
    }

    /// Whether something is left out for what it is.
    pub(crate) fn by_entry(&self, entry: &Entry) -> Option<Exclusion> {
        let is_large = self.larger_than.is_some_and(|most| entry.metadata.size > most);
        (is_large && entry.kind == Kind::File).then_some(Exclusion::Size)
    }

    /// The names in a directory that mark it: everything in it is left out but that, for each of them.
    pub(crate) fn marks(&self, directory: &Directory, names: &[CString]) -> Vec<CString> {
        let is_there = |marker: &&Marker| names.iter().any(|name| name.as_c_str() == marker.name());
        let marks = self.markers.iter().filter(is_there).filter(|m| m.marks(directory));
        marks.map(|marker| marker.name().to_owned()).collect()
    }
}

/// Why a name in a directory with such marks is left out.
pub(crate) fn by_marks(marks: &[CString], name: &OsStr) -> Option<Exclusion> {
    let mark = marks.iter().find(|mark| mark.to_bytes() != name.as_bytes())?;
    Some(Exclusion::Marker(OsStr::from_bytes(mark.to_bytes()).to_owned()))
}
