//! Repository URLs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_storage::{LocalStorage, Storage};

use crate::{Error, Result};

/// Schemes that repositories will have, to tell them from odd file names.
const OTHER_SCHEMES: &[&str] = &[
    "s3", "sftp", "gdrive", "webdav", "gcs", "gs", "azblob", "azure", "b2", "rclone", "rest",
    "swift",
];

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    path: PathBuf,
}

impl Location {
    /// Reads a URL: a path, `file:///path` or `local:path`.
    pub(crate) fn parse(url: &str, working_directory: &Path) -> Result<Self> {
        let path =
            url.strip_prefix("file://").or_else(|| url.strip_prefix("local:")).unwrap_or(url);
        if let Some((scheme, _)) = url.split_once(':')
            && OTHER_SCHEMES.contains(&scheme)
        {
            return Err(Error::usage(
                format!("repositories at {scheme}: are not supported by this version"),
                "use a local path, for instance of a mounted disk",
            ));
        }
        if path.is_empty() {
            return Err(Error::usage("the repository's URL is empty", "name a directory"));
        }
        Ok(Self { path: working_directory.join(path) })
    }

    /// The storage at an existing location.
    pub(crate) fn open(&self) -> Result<Arc<dyn Storage>> {
        if !self.path.exists() {
            let location = self.path.display().to_string();
            return Err(lifeboat_repository::Error::NoRepository { location }.into());
        }
        Ok(Arc::new(LocalStorage::open(&self.path)?))
    }

    /// Refuses a place where a repository would lie between what Litestream replicates.
    pub(crate) fn refuse_replica(&self) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        Ok(lifeboat_repository::refuse_replica(&self.open()?)?)
    }

    /// The storage, made if it is not there.
    pub(crate) fn create(&self) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(LocalStorage::create(&self.path)?))
    }

    /// The directory, where it is one of this machine.
    pub(crate) fn local_path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Location;

    #[test]
    fn paths_in_all_spellings() {
        let directory = Path::new("/srv");
        for (url, path) in [
            ("/backup", "/backup"),
            ("backup", "/srv/backup"),
            ("file:///backup", "/backup"),
            ("local:backup", "/srv/backup"),
            ("odd:name", "/srv/odd:name"),
        ] {
            assert_eq!(
                Location::parse(url, directory).unwrap().local_path(),
                Some(Path::new(path))
            );
        }
        assert!(Location::parse("s3://bucket/x", directory).is_err());
        assert!(Location::parse("", directory).is_err());
    }
}
