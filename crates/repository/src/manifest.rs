//! `backups/<host>/<time>-<id>.<rev>.json.zst.age`: a backup is its manifest.

mod name;
mod source;

use lifeboat_restic::SnapshotId;
use lifeboat_storage::{Key, Storage, x25519};
use serde::{Deserialize, Serialize};

pub use self::name::BackupName;
pub use self::source::{
    CommandSource, DatabaseSource, DeviceSource, FilesSource, ObjectRef, PlacedDatabase, Source,
    StoredTree,
};

use crate::document::{parse_json, parse_versioned, put_document, read_document, to_json};
use crate::host_key::{HostKey, verify};
use crate::{
    BackupId, BackupType, DatabaseAddress, Error, Form, Result, Secrets, Time, encode_name,
};

/// The version of the document that this program writes, and the newest it reads.
pub const MANIFEST_VERSION: u32 = 1;

/// A backup: which source stood at which point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The id.
    pub id: BackupId,
    /// From 1; the highest one counts.
    pub revision: u32,
    /// The host, as configured.
    pub host: String,
    /// What the machine calls itself.
    pub hostname: String,
    /// A name given by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What kind of backup it is, as the user calls it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// Tags given by the user.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When the backup began; as in the key.
    pub started: Time,
    /// When all of it was stored.
    pub finished: Time,
    /// Program and version.
    pub tool: String,
    /// Sources that could not be read. Not empty: the backup is partial.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// Names of sources that this backup held once, and that were taken out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<String>,
    /// The sources.
    pub sources: Vec<Source>,
}

/// A source that could not be read, or something of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which source.
    pub source: String,
    /// What of it; absent if it is the source as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why.
    pub error: String,
}

/// A manifest whose signature was verified, and the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The manifest.
    pub manifest: Manifest,
    /// The public key, 64 hex digits. Whether it may speak for the host is for the reader to know.
    pub key: String,
}

#[derive(Serialize, Deserialize)]
struct SignatureLine {
    key: String,
    signature: String,
}

impl Manifest {
    /// Its name in a repository of this form.
    pub fn name(&self, form: Form) -> Result<BackupName> {
        Ok(BackupName {
            started: self.started,
            id: self.id,
            revision: self.revision,
            host: encode_name(&self.host)?,
            form,
        })
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&DatabaseSource> {
        self.sources.iter().filter_map(Source::database).find(|database| database.name == name)
    }

    /// The databases that lie among files, by their names, each with the name of the source of these files. One
    /// comes as often as it lies among some.
    pub fn placed_databases(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.sources.iter().filter_map(Source::files);
        files.flat_map(|files| files.databases.iter().map(|one| (&*one.name, &*files.name)))
    }

    /// Whether a database of this name lies among files.
    pub fn is_placed(&self, database: &str) -> bool {
        self.placed_databases().any(|(placed, _)| placed == database)
    }

    /// The next revision, without some of its sources; `None` if it has none of them.
    pub(crate) fn without(&self, names: &[String]) -> Option<Self> {
        let mut next = self.clone();
        let is_taken = |name: &str| names.iter().any(|taken| taken == name);
        next.sources.retain(|source| !source.name().is_some_and(|name| is_taken(name)));
        let taken = self.sources.iter().filter_map(Source::name).filter(|name| is_taken(name));
        // A database among files is named by them: taken with them, it leaves no name of its own.
        let placed = self.placed_databases().filter(|(_, files)| is_taken(files));
        let placed: Vec<&str> = placed.map(|(database, _)| database).collect();
        let named = taken.filter(|name| !placed.contains(&name.as_str()));
        next.forgotten.extend(named.cloned());
        next.revision += 1;
        (next.sources.len() < self.sources.len()).then_some(next)
    }

    /// The keys of the pins it needs.
    pub(crate) fn pins(&self) -> Result<Vec<Key>> {
        let databases = self.sources.iter().filter_map(Source::database);
        let pin = |source: &DatabaseSource| {
            let database = DatabaseAddress::new(&self.host, &source.name)?;
            database.lineage(source.lineage)?.pin(source.txid, self.id)
        };
        databases.map(pin).collect()
    }

    /// The snapshots that it names.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = SnapshotId> {
        self.sources.iter().filter_map(Source::stored).map(|stored| stored.snapshot)
    }

    /// Signs, seals and writes it: from here on the backup exists.
    pub(crate) fn write(
        &self,
        storage: &dyn Storage,
        recipient: Option<&x25519::Recipient>,
        host_key: &HostKey,
    ) -> Result<()> {
        let name = self.name(Form::of_recipient(recipient))?;
        let key = name.key()?;
        if BackupName::parse(&key) != Some(name) {
            return Err(Error::corrupt(&key, "no manifest can have this name"));
        }
        // A later revision must not lose what only a newer version understands.
        if self.sources.contains(&Source::Unknown) {
            let feature = "the kind of one of its sources".to_owned();
            return Err(Error::UnknownFeature { location: storage.location(), feature });
        }
        let mut lines = to_json(&key, self)?;
        let signature = host_key.sign(&lines);
        lines.push(b'\n');
        let line = SignatureLine { key: host_key.public(), signature };
        lines.extend(to_json(&key, &line)?);
        lines.push(b'\n');
        put_document(storage, &key, &lines, recipient)
    }

    /// Reads and verifies the one that has this name, from the key where it is.
    pub(crate) fn read(
        storage: &dyn Storage,
        key: &Key,
        name: &BackupName,
        secrets: &Secrets,
    ) -> Result<Signed> {
        let text = read_document(storage, key, secrets)?;
        let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
            return Err(Error::corrupt(key, "it has no signature"));
        };
        let (signed, line) = (&text[..end], &text[end + 1..]);
        let line: SignatureLine = parse_json(key, line)?;
        let fits = verify(&line.key, &line.signature, signed)
            .map_err(|error| Error::corrupt(key, format!("its signature is none: {error}")))?;
        if !fits {
            return Err(Error::corrupt(key, "its signature does not fit its content"));
        }
        let manifest: Self = parse_versioned(storage, key, signed, MANIFEST_VERSION)?;
        if manifest.name(name.form)? != *name {
            return Err(Error::corrupt(key, "its content belongs to another name"));
        }
        Ok(Signed { manifest, key: line.key })
    }
}
