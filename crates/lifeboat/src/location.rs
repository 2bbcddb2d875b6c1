//! Where repositories are.

mod remote;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_storage::{GoogleDrive, LocalStorage, Storage};

use self::remote::Remote;
pub(crate) use self::remote::{default_token_file, endpoints_at};
use crate::config::StoreConfig;
use crate::state::StateDirectory;
use crate::{Environment, Error, Result};

/// Where a repository is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// In a directory of this machine.
    Local(PathBuf),
    /// In a store that is reached over a network.
    Remote(Arc<Remote>),
}

/// What is needed to reach a place besides its URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) store: &'a StoreConfig,
    /// Where what is being sent waits.
    pub(crate) state: &'a StateDirectory,
}

impl Location {
    /// Reads a URL: a path, `file:///path` or `local:path`, or that of a store.
    pub(crate) fn parse(url: &str, means: Means<'_>) -> Result<Self> {
        match Remote::parse(url, means)? {
            Some(remote) => Ok(Self::Remote(Arc::new(remote))),
            None => local_path(url, means.environment.working_directory()).map(Self::Local),
        }
    }

    /// The storage at an existing location.
    pub(crate) fn open(&self) -> Result<Arc<dyn Storage>> {
        let none = || lifeboat_repository::Error::NoRepository { location: self.to_string() };
        match self {
            Self::Local(path) if !path.exists() => Err(none().into()),
            Self::Local(path) => Ok(Arc::new(LocalStorage::open(path)?)),
            Self::Remote(remote) => match remote.open() {
                Err(error) if remote.is_missing(&error) => Err(none().into()),
                storage => Ok(storage?),
            },
        }
    }

    /// The storage, made if it is not there.
    pub(crate) fn create(&self) -> Result<Arc<dyn Storage>> {
        match self {
            Self::Local(path) => Ok(Arc::new(LocalStorage::create(path)?)),
            Self::Remote(remote) => Ok(remote.create()?),
        }
    }

    /// Refuses a place where a repository would lie between what Litestream replicates.
    pub(crate) fn refuse_replica(&self) -> Result<()> {
        match self.open() {
            Err(error) if error.is_no_repository() => Ok(()),
            storage => Ok(lifeboat_repository::refuse_replica(&storage?)?),
        }
    }

    /// The folder, where it is one of Google Drive.
    pub(crate) fn folder(&self) -> Option<Result<GoogleDrive>> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => remote.folder().map(|folder| Ok(folder?)),
        }
    }

    /// The directory, where it is one of this machine.
    pub(crate) fn local_path(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(formatter, "{}", path.display()),
            Self::Remote(remote) => remote.fmt(formatter),
        }
    }
}

/// The directory of a URL that is none of a store.
pub(crate) fn local_path(url: &str, working_directory: &Path) -> Result<PathBuf> {
    let path = url.strip_prefix("file://").or_else(|| url.strip_prefix("local:")).unwrap_or(url);
    if path.is_empty() {
        return Err(Error::usage("the repository's URL is empty", "name a directory"));
    }
    Ok(working_directory.join(path))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Location, Means};
    use crate::Environment;
    use crate::config::StoreConfig;
    use crate::state::StateDirectory;

    fn parse(url: &str) -> crate::Result<Location> {
        let environment = Environment::of([("HOME", "/home/pi")], "/srv");
        let (store, state) = (StoreConfig::default(), StateDirectory::at(Path::new("/none")));
        Location::parse(url, Means { environment: &environment, store: &store, state: &state })
    }

    #[test]
    fn paths_in_all_spellings() {
        for (url, path) in [
            ("/backup", "/backup"),
            ("backup", "/srv/backup"),
            ("file:///backup", "/backup"),
            ("local:backup", "/srv/backup"),
            ("odd:name", "/srv/odd:name"),
        ] {
            assert_eq!(parse(url).unwrap().local_path(), Some(Path::new(path)), "{url}");
        }
        assert!(parse("").is_err());
    }

    #[test]
    fn stores_in_all_spellings() {
        for (url, shown) in [
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3:bucket/a", "s3://bucket/a"),
            ("s3://bucket", "s3://bucket"),
            ("gcs://bucket/x", "gcs://bucket/x"),
            ("gs:bucket:/x", "gcs://bucket/x"),
            ("b2:bucket:x", "b2://bucket/x"),
            ("azure:container:/x", "azblob://container/x"),
            ("sftp://pi@host:22/srv", "sftp://pi@host:22/srv"),
            ("sftp:pi@host:/srv", "sftp://pi@host/srv"),
            ("webdavs://pi@host/dav", "webdavs://pi@host/dav"),
            ("rclone:remote:path", "rclone:remote:path"),
            ("gdrive://My Backups/Pi", "gdrive://My Backups/Pi"),
        ] {
            let location = parse(url).unwrap();
            assert_eq!((location.to_string().as_str(), location.local_path()), (shown, None));
        }
        for (url, problem) in [
            ("s3://", "no bucket"),
            ("s3:///x", "no bucket"),
            ("sftp://host", "no path"),
            ("sftp://pi:secret@host/x", "password"),
            ("swift://x", "not supported"),
            ("rest:http://host/", "not supported"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
