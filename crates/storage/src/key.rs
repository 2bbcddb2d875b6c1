//! Names of objects.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The longest key in bytes; S3 allows no more.
const MAX_BYTES: usize = 1024;
/// The longest segment in bytes; no file system in use allows more.
const MAX_SEGMENT_BYTES: usize = 255;
/// The directory in which storages of files keep unfinished objects.
pub(crate) const TEMPORARY: &str = "tmp";

/// The name of an object, or of a "directory" of them: segments of `[A-Za-z0-9._%-]` separated by
/// `/`, none of them empty, `.` or `..`, at most 255 bytes each and 1,024 together.
///
/// A first segment `tmp`, in whatever case, is refused: storages of files keep unfinished objects
/// there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key `rest`, itself one or more segments, below this one.
    pub fn join(&self, rest: &str) -> Result<Self> {
        format!("{self}/{rest}").parse()
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The key without its last segment; `None` for a key of one segment.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `name` below `directory`, where `None` is the top.
    pub(crate) fn below(directory: Option<&Self>, name: &str) -> Result<Self> {
        directory.map_or_else(|| name.parse(), |directory| directory.join(name))
    }

    /// What is listed, in a message; `None` is the top.
    pub(crate) fn name_of(directory: Option<&Self>) -> &str {
        directory.map_or("the repository", Self::as_str)
    }

    /// What follows `directory` and its separator, if this key is below it.
    pub(crate) fn relative_to(&self, directory: Option<&Self>) -> Option<&str> {
        match directory {
            None => Some(&self.0),
            Some(directory) => self.0.strip_prefix(&directory.0)?.strip_prefix('/'),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match broken_rule(text) {
            None => Ok(Self(text.to_owned())),
            Some(reason) => Err(Error::InvalidKey { key: text.to_owned(), reason }),
        }
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        return Some("longer than 1024 bytes");
    }
    let first = text.split('/').next().unwrap_or_default();
    if first.eq_ignore_ascii_case(TEMPORARY) {
        return Some("tmp is kept for unfinished objects");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("empty segment"),
        "." | ".." => Some("segment . or .."),
        _ if segment.len() > MAX_SEGMENT_BYTES => Some("segment longer than 255 bytes"),
        _ if !segment.bytes().all(is_allowed) => Some("character outside A-Z a-z 0-9 . _ % -"),
        _ => None,
    })
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_repositories_use() {
        for text in [
            "lifeboat.json",
            "backups/pi%2d1/20261121T024900.123Z-0123456789abcdef.1.json.zst.age",
            "databases/host/name/0123456789abcdef/ltx/9/1-2-x.ltx.zst.age.0004.last",
            "%2etmp/tmp",
            "a/.b/..c/d..",
        ] {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn refuses_and_names_the_bad_key() {
        for text in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a b", "a\\b", "a\0", "ä",
            "a:b", "a+b", "tmp", "tmp/a", "TMP/a",
        ] {
            let error = text.parse::<Key>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert!("a".repeat(256).parse::<Key>().is_err());
        let long = vec!["a".repeat(204); 5].join("/");
        assert_eq!(long.len(), 1024);
        assert!(long.parse::<Key>().is_ok());
        assert!(format!("{long}a").parse::<Key>().is_err());
    }

    #[test]
    fn joins_and_splits() {
        let key: Key = "a".parse().unwrap();
        let joined = key.join("b/c").unwrap();
        assert_eq!(joined.as_str(), "a/b/c");
        assert_eq!(joined.file_name(), "c");
        assert_eq!(joined.parent(), Some("a/b".parse().unwrap()));
        assert_eq!((key.file_name(), key.parent()), ("a", None));
        assert!(key.join("..").is_err());
        assert_eq!(joined.relative_to(Some(&key)), Some("b/c"));
        let other: Key = "ab/c".parse().unwrap();
        assert_eq!(other.relative_to(Some(&key)), None);
    }
}
