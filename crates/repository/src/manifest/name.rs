//! The names of manifests.

use lifeboat_storage::Key;

use crate::document::key;
use crate::names::is_encoded_name;
use crate::{BackupId, Form, Result, Time};

/// The name of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName {
    /// When the backup began.
    pub started: Time,
    /// Its id.
    pub id: BackupId,
    /// Its revision.
    pub revision: u32,
    /// The host as it is encoded in keys.
    pub host: String,
    /// Of the repository.
    pub form: Form,
}

impl BackupName {
    /// Reads a key below `backups/`, of either form; `None` for any other.
    pub fn parse(key: &Key) -> Option<Self> {
        Self::parse_path(key.as_str().strip_prefix("backups/")?)
    }

    /// Reads `<host>/<time>-<id>.<rev>` and the suffix of either form.
    pub(crate) fn parse_path(path: &str) -> Option<Self> {
        let (host, file) = path.split_once('/').filter(|(host, _)| is_encoded_name(host))?;
        let suffixed =
            |form: Form| file.strip_suffix(form.document_suffix()).map(|stem| (form, stem));
        let (form, stem) = suffixed(Form::Sealed).or_else(|| suffixed(Form::Litestream))?;
        let (stem, revision) = stem.rsplit_once('.')?;
        let (started, id) = stem.rsplit_once('-')?;
        let digits = revision.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            started: Time::from_name(started).ok()?,
            id: id.parse().ok()?,
            revision: revision.parse().ok().filter(|_| digits && !revision.starts_with('0'))?,
            host: host.to_owned(),
            form,
        })
    }

    /// The key of the manifest.
    pub fn key(&self) -> Result<Key> {
        key(format!("backups/{}", self.path()))
    }

    pub(crate) fn path(&self) -> String {
        let Self { started, id, revision, host, form } = self;
        format!("{host}/{}-{id}.{revision}{}", started.name(), form.document_suffix())
    }
}
