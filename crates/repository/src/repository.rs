//! An open repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_ltx::Txid;
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{Child, Key, Storage, x25519};

use crate::lease::fences;
use crate::marker::{MARKER_KEY, Marker};
use crate::sealed::{key, put_plain_json, put_sealed, read_plain_json, read_sealed_json};
use crate::{
    BackupId, BackupName, DatabaseAddress, Error, HostKey, LineageAddress, LineageId,
    LineageListing, LtxName, LtxWriter, Manifest, Origin, PART_BYTES, Recipient, Result, Secrets,
    Signed,
};

/// A repository, opened with what lies in the open: enough to write to it.
#[derive(Clone, Debug)]
pub struct Repository {
    storage: Arc<dyn Storage>,
    marker: Marker,
    recipient: Recipient,
    public_key: x25519::Recipient,
    part_bytes: u64,
}

impl Repository {
    /// Makes a repository whose secrets `password` unlocks; `label` names the password in listings.
    ///
    /// The marker is written last: what a crash leaves before it is no repository, and is replaced.
    pub fn init(storage: Arc<dyn Storage>, password: &SecretString, label: &str) -> Result<Self> {
        let location = storage.location();
        if storage.stat(&key(MARKER_KEY)?)?.is_some() {
            return Err(Error::AlreadyInitialized { location });
        }
        if storage.stat(&key("config")?)?.is_some() {
            return Err(Error::PlainRestic { location });
        }
        remove_unfinished_init(&storage)?;
        let secrets = Secrets::generate();
        let recipient = Recipient::new(1, &secrets.recipients()[0]);
        put_plain_json(&storage, &Recipient::key(1)?, &recipient)?;
        secrets.wrap(&storage, password, label)?;
        put_plain_json(&storage, &key(MARKER_KEY)?, &Marker::new())?;
        Self::open(storage)
    }

    /// Opens a repository.
    ///
    /// [`Error::NoRepository`], [`Error::PlainRestic`], [`Error::UnknownFeature`].
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self> {
        let location = storage.location();
        let marker: Marker = match read_plain_json(&storage, &key(MARKER_KEY)?) {
            Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => {
                return Err(if storage.stat(&key("config")?)?.is_some() {
                    Error::PlainRestic { location }
                } else {
                    Error::NoRepository { location }
                });
            }
            other => other?,
        };
        marker.require_readable(&location)?;
        let recipient = Recipient::current(&storage)?;
        let public_key = recipient.public_key()?;
        Ok(Self { storage, marker, recipient, public_key, part_bytes: PART_BYTES })
    }

    /// For tests: cuts sealed files into smaller parts.
    #[doc(hidden)]
    #[must_use]
    pub fn with_part_bytes(mut self, part_bytes: u64) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    /// Where it is, for messages.
    pub fn location(&self) -> String {
        self.storage.location()
    }

    /// The storage below.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// What it is.
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Whom new objects are sealed for.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Unlocks the secrets, and makes sure that they open what is sealed from now on.
    pub fn unlock(&self, password: &SecretString) -> Result<Secrets> {
        let secrets = Secrets::unlock(&self.storage, password)?;
        let own = secrets.recipients().iter().map(ToString::to_string).collect::<Vec<_>>();
        if own.contains(&self.recipient.recipient) {
            return Ok(secrets);
        }
        Err(Error::RecipientChanged {
            location: self.location(),
            expected: own.last().cloned().unwrap_or_default(),
            found: self.recipient.recipient.clone(),
        })
    }

    /// Refuses to write where a writer must know more than this version does.
    pub fn require_writable(&self) -> Result<()> {
        self.marker.require_writable(&self.location())
    }

    /// Databases of all hosts.
    pub fn databases(&self) -> Result<Vec<DatabaseAddress>> {
        let mut databases = Vec::new();
        for host in self.directories("databases")? {
            for name in self.directories(host.as_str())? {
                databases.push(DatabaseAddress::encoded(host.file_name(), name.file_name())?);
            }
        }
        Ok(databases)
    }

    /// Lineages of a database, in no particular order.
    pub fn lineages(&self, database: &DatabaseAddress) -> Result<Vec<LineageAddress>> {
        self.directories(database.key().as_str())?
            .iter()
            .filter_map(|key| key.file_name().parse::<LineageId>().ok())
            .map(|id| database.lineage(id))
            .collect()
    }

    fn directories(&self, below: &str) -> Result<Vec<Key>> {
        let children = self.storage.list_names(Some(&key(below)?))?;
        let directories = children.into_iter().filter_map(|child| match child {
            Child::Directory(key) => Some(key),
            Child::Object(_) => None,
        });
        Ok(directories.collect())
    }

    /// What a lineage holds, without what a lease fences off.
    pub fn listing(&self, lineage: &LineageAddress) -> Result<LineageListing> {
        let entries = self.storage.list(Some(lineage.key()))?;
        let mut listing = LineageListing::of(lineage, entries);
        for fence in fences(&*self.storage, lineage.database())? {
            if fence.lineage == lineage.id() {
                listing.files.retain(|file| fence.after.is_some_and(|last| file.name.max <= last));
            }
        }
        Ok(listing)
    }

    /// Begins a lineage.
    pub fn write_origin(&self, lineage: &LineageAddress, origin: &Origin) -> Result<()> {
        let key = lineage.origin()?;
        let json = serde_json::to_vec(origin)
            .map_err(|source| Error::Json { key: key.clone(), source })?;
        put_sealed(&*self.storage, &key, &json, &self.public_key)
    }

    /// Reads the origin of a lineage.
    pub fn origin(&self, lineage: &LineageAddress, secrets: &Secrets) -> Result<Origin> {
        read_sealed_json(&*self.storage, &lineage.origin()?, secrets)
    }

    /// Begins an LTX file.
    pub fn begin_ltx(&self, lineage: &LineageAddress, name: LtxName) -> Result<LtxWriter> {
        let storage = self.storage.clone();
        LtxWriter::begin(storage, lineage.key(), name, &self.public_key, self.part_bytes)
    }

    /// Pins a transaction for a backup.
    pub fn write_pin(&self, lineage: &LineageAddress, txid: Txid, backup: BackupId) -> Result<()> {
        Ok(self.storage.put(&lineage.pin(txid, backup)?, &[])?)
    }

    /// Writes a manifest: from here on the backup exists.
    pub fn write_manifest(&self, manifest: &Manifest, host_key: &HostKey) -> Result<()> {
        manifest.write(&*self.storage, &self.public_key, host_key)
    }

    /// The names of all backups in their highest revision, newest first.
    pub fn backups(&self) -> Result<Vec<BackupName>> {
        let entries = self.storage.list(Some(&key("backups")?))?;
        let mut newest = BTreeMap::new();
        for name in entries.iter().filter_map(|entry| BackupName::parse(&entry.key)) {
            let revision = newest.entry((name.started, name.id, name.host.clone())).or_insert(0);
            *revision = name.revision.max(*revision);
        }
        let names = newest.into_iter().rev();
        Ok(names
            .map(|((started, id, host), revision)| BackupName { started, id, revision, host })
            .collect())
    }

    /// Reads and verifies a manifest.
    pub fn manifest(&self, name: &BackupName, secrets: &Secrets) -> Result<Signed> {
        Manifest::read(&*self.storage, name, secrets)
    }
}

/// Removes the keys of an init that did not come to its end. A missing marker alone does not show
/// that a key is unused: only a repository without data does.
fn remove_unfinished_init(storage: &Arc<dyn Storage>) -> Result<()> {
    for used in ["backups", "databases"] {
        let directory = key(used)?;
        if !storage.list_names(Some(&directory))?.is_empty() {
            return Err(Error::corrupt(&key(MARKER_KEY)?, "it is missing, but data is there"));
        }
    }
    for unfinished in ["recipients", "identities"] {
        for entry in storage.list(Some(&key(unfinished)?))? {
            storage.remove(&entry.key)?;
        }
    }
    Ok(())
}
