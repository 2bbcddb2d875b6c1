//! `deletions/<time>-<id>.json.zst.age`: what was announced for removal.

use std::collections::HashSet;

use lifeboat_storage::{Key, Storage};
use serde::{Deserialize, Serialize};

use crate::document::{key, parse_versioned, read_document};
use crate::{BackupId, Error, Form, Result, Secrets, Time};

const DELETION_VERSION: u32 = 1;

/// A notice. An object that it names may be gone from `not_before` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deletion {
    version: u32,
    /// Random; in the form of a backup's.
    id: BackupId,
    /// Who announces it.
    #[serde(default)]
    host: String,
    created: Time,
    pub(crate) not_before: Time,
    /// For people.
    #[serde(default)]
    reason: String,
    pub(crate) objects: Vec<DeletedObject>,
    /// What takes their place, and was read to its end before.
    #[serde(default)]
    pub(crate) replaced_by: Vec<String>,
}

/// An object of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletedObject {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) size: u64,
}

impl Deletion {
    pub(crate) fn new(
        host: &str,
        created: Time,
        not_before: Time,
        reason: &str,
        objects: Vec<DeletedObject>,
    ) -> Self {
        Self {
            version: DELETION_VERSION,
            id: BackupId::random(),
            host: host.to_owned(),
            created,
            not_before,
            reason: reason.to_owned(),
            objects,
            replaced_by: Vec::new(),
        }
    }

    /// The same under another name, by who writes it now.
    pub(crate) fn anew(self, host: &str, created: Time) -> Self {
        Self { id: BackupId::random(), host: host.to_owned(), created, ..self }
    }

    /// With what takes the place of the objects.
    pub(crate) fn replaced_by(mut self, keys: Vec<String>) -> Self {
        self.replaced_by = keys;
        self
    }

    pub(crate) fn key(&self, form: Form) -> Result<Key> {
        let suffix = form.document_suffix();
        key(format!("deletions/{}-{}{suffix}", self.created.name(), self.id))
    }

    pub(crate) fn read(
        storage: &dyn Storage,
        form: Form,
        key: &Key,
        secrets: &Secrets,
    ) -> Result<Self> {
        let bytes = read_document(storage, key, secrets)?;
        let deletion: Self = parse_versioned(storage, key, &bytes, DELETION_VERSION)?;
        if Some(deletion.id) != id_of(form, key) {
            return Err(Error::corrupt(key, format!("its content belongs to id {}", deletion.id)));
        }
        Ok(deletion)
    }
}

/// Reads all notices. One that is gone since it was listed has become a part of another, which was
/// there before: so they are listed again.
pub(crate) fn for_each_deletion(
    storage: &dyn Storage,
    form: Form,
    secrets: &Secrets,
    look: &mut dyn FnMut(&Key, Result<Deletion>) -> Result<()>,
) -> Result<()> {
    let mut seen: HashSet<Key> = HashSet::new();
    loop {
        let entries = storage.list(Some(&key("deletions")?))?;
        let keys = entries.into_iter().map(|entry| entry.key);
        let mut is_stale = false;
        for key in keys.filter(|key| id_of(form, key).is_some()) {
            if !seen.insert(key.clone()) {
                continue;
            }
            match Deletion::read(storage, form, &key, secrets) {
                Err(error) if error.is_gone() => is_stale = true,
                read => look(&key, read)?,
            }
        }
        if !is_stale {
            return Ok(());
        }
    }
}

/// The id in a notice's name; it has the form of a backup's.
fn id_of(form: Form, key: &Key) -> Option<BackupId> {
    let name = key.as_str().strip_prefix("deletions/")?.strip_suffix(form.document_suffix())?;
    let (time, id) = name.split_once('-')?;
    Time::from_name(time).ok()?;
    id.parse().ok()
}
