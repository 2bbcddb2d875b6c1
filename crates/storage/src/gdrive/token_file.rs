//! What gives access, as it is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Error, Result};

/// Access that the owner granted, with the client that it was granted to. A file of this is JSON, 0600.
#[derive(Clone, Debug)]
pub struct TokenFile {
    /// Of the owner's own OAuth client.
    pub client_id: String,
    /// Of the owner's own OAuth client.
    pub client_secret: SecretString,
    /// What new access tokens are fetched with.
    pub refresh_token: SecretString,
    /// What requests are sent with.
    pub access_token: Option<SecretString>,
    /// When that ends.
    pub access_expires: Option<SystemTime>,
    /// What it opens, separated by spaces.
    pub scope: String,
    /// When the owner granted it.
    pub granted: Option<SystemTime>,
    /// When it ends unless it is granted again; `None` if Google did not say, which means that it does not.
    pub refresh_expires: Option<SystemTime>,
}

/// Times are seconds of the Unix epoch.
#[derive(Serialize, Deserialize)]
struct Document {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_expires: Option<u64>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires: Option<u64>,
}

impl TokenFile {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let read = || -> io::Result<Self> {
            let document: Document = serde_json::from_slice(&fs::read(path)?)
                // What it quotes might be a secret.
                .map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    let message = format!("no file of tokens: line {line}, column {column}");
                    io::Error::new(io::ErrorKind::InvalidData, message)
                })?;
            Ok(Self::from_document(document))
        };
        read().map_err(|source| error("read", path, source))
    }

    /// Writes the file at `path`, in place of the one that is there, durably.
    pub fn save(&self, path: &Path) -> Result<()> {
        let write = || -> io::Result<()> {
            let directory = directory_of(path);
            // Made 0600.
            let mut file = NamedTempFile::new_in(&directory)?;
            serde_json::to_writer_pretty(&mut file, &self.document())?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| error("write", path, source))
    }

    /// When access ends unless it is granted again: after seven days for a client that is in "testing", which
    /// Google says when it is granted. `None` if it does not end.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.refresh_expires
    }

    fn from_document(document: Document) -> Self {
        Self {
            client_id: document.client_id,
            client_secret: document.client_secret.into(),
            refresh_token: document.refresh_token.into(),
            access_token: document.access_token.map(SecretString::from),
            access_expires: document.access_expires.and_then(time_of),
            scope: document.scope,
            granted: document.granted.and_then(time_of),
            refresh_expires: document.refresh_expires.and_then(time_of),
        }
    }

    fn document(&self) -> Document {
        let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
        Document {
            client_id: self.client_id.clone(),
            client_secret: exposed(&self.client_secret),
            refresh_token: exposed(&self.refresh_token),
            access_token: self.access_token.as_ref().map(exposed),
            access_expires: self.access_expires.and_then(seconds_of),
            scope: self.scope.clone(),
            granted: self.granted.and_then(seconds_of),
            refresh_expires: self.refresh_expires.and_then(seconds_of),
        }
    }
}

fn time_of(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
}

fn seconds_of(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    let object = "the tokens of Google Drive".to_owned();
    Error::Storage { operation, object, location: path.display().to_string(), source }
}

/// Held while a token is refreshed, by one process at a time. Beside the file, which is replaced.
pub(super) fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = || -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&name)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|source| error("lock", path, source))
}
