//! `backups/<host>/<time>-<id>.<rev>.json.zst.age`: a backup is its manifest.

use std::collections::BTreeMap;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_restic::{SnapshotId, TreeId};
use lifeboat_storage::{Key, Storage, x25519};
use serde::{Deserialize, Serialize};

use crate::document::{key, parse_json, parse_versioned, put_document, read_document, to_json};
use crate::host_key::{HostKey, verify};
use crate::names::is_encoded_name;
use crate::{
    BackupId, BackupType, DatabaseAddress, Error, Form, Ladder, LineageId, Result, Secrets, Time,
    encode_name, text,
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

/// One source of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// A database.
    Database(Box<DatabaseSource>),
    /// Files.
    Files(Box<FilesSource>),
    /// What a program printed.
    Command(Box<CommandSource>),
    /// A device, or an image of one.
    Device(Box<DeviceSource>),
    /// A kind that this version does not know: reported and left alone.
    #[serde(other)]
    Unknown,
}

impl Source {
    /// Its name; `None` where its kind is not known.
    pub fn name(&self) -> Option<&String> {
        match self {
            Self::Database(database) => Some(&database.name),
            Self::Files(files) => Some(&files.name),
            Self::Command(command) => Some(&command.name),
            Self::Device(device) => Some(&device.name),
            Self::Unknown => None,
        }
    }

    /// The database, if it is one.
    pub fn database(&self) -> Option<&DatabaseSource> {
        match self {
            Self::Database(database) => Some(database),
            _ => None,
        }
    }

    /// The files, if it is files.
    pub fn files(&self) -> Option<&FilesSource> {
        match self {
            Self::Files(files) => Some(files),
            _ => None,
        }
    }

    /// The snapshot that holds it, if it is not a database.
    pub fn stored(&self) -> Option<&StoredTree> {
        match self {
            Self::Files(files) => Some(&files.stored),
            Self::Command(command) => Some(&command.stored),
            Self::Device(device) => Some(&device.stored),
            Self::Database(_) | Self::Unknown => None,
        }
    }

    pub(crate) fn database_mut(&mut self) -> Option<&mut DatabaseSource> {
        match self {
            Self::Database(database) => Some(database),
            _ => None,
        }
    }

    pub(crate) fn stored_mut(&mut self) -> Option<&mut StoredTree> {
        match self {
            Self::Files(files) => Some(&mut files.stored),
            Self::Command(command) => Some(&mut command.stored),
            Self::Device(device) => Some(&mut device.stored),
            Self::Database(_) | Self::Unknown => None,
        }
    }

    /// Bytes of what it restores to.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Database(database) => database.size_bytes,
            Self::Files(files) => files.size_bytes,
            Self::Command(command) => command.size_bytes,
            Self::Device(device) => device.size_bytes,
            Self::Unknown => 0,
        }
    }

    /// Bytes that the backup added for it.
    pub fn stored_bytes(&self) -> u64 {
        let database = self.database().map(|database| database.stored_bytes);
        database.or(self.stored().map(|stored| stored.stored_bytes)).unwrap_or_default()
    }

    /// How long it took, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        let database = self.database().map(|database| database.duration_ms);
        database.or(self.stored().map(|stored| stored.duration_ms)).unwrap_or_default()
    }

    pub(crate) fn into_database(self) -> Option<DatabaseSource> {
        match self {
            Self::Database(database) => Some(*database),
            _ => None,
        }
    }
}

/// The point at which a backup holds a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSource {
    /// Its name.
    pub name: String,
    /// Its path on the host.
    pub path: String,
    /// The lineage.
    pub lineage: LineageId,
    /// The transaction, pinned.
    #[serde(with = "text")]
    pub txid: Txid,
    /// When that transaction was captured.
    pub time: Time,
    /// Bytes in a page.
    pub page_size: u32,
    /// Pages.
    pub page_count: u32,
    /// Bytes of the restored file.
    pub size_bytes: u64,
    /// The LTX database checksum.
    #[serde(with = "text")]
    pub checksum: Checksum,
    /// `wal` or `rollback`.
    pub journal_mode: String,
    /// A fingerprint of the schema, to compare for equality.
    pub schema_sha256: Option<String>,
    /// Rows by table; null where they could not be counted.
    #[serde(default)]
    pub tables: BTreeMap<String, Option<u64>>,
    /// Permissions in octal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How long its points stay, where that was configured; what cannot be read counts as nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_known")]
    pub points: Option<Ladder>,
    /// Pages that differ from `changed_from`.
    pub changed_pages: u32,
    /// The transaction that the pages were compared with.
    #[serde(with = "text::optional")]
    pub changed_from: Option<Txid>,
    /// Sealed bytes that this backup added.
    pub stored_bytes: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// All sealed objects that a restore of the point needs.
    pub objects: Vec<ObjectRef>,
}

/// The snapshot that holds a source in the files part of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTree {
    /// The snapshot; a copy in another repository has another one.
    pub snapshot: SnapshotId,
    /// Its tree: a hash of all content and metadata, the same in each repository.
    pub tree: TreeId,
    /// Packed bytes that this backup added.
    pub stored_bytes: u64,
    /// How long it took.
    pub duration_ms: u64,
}

/// The files of a source as a backup holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSource {
    /// Its name.
    pub name: String,
    /// The paths that were named, on the host; bytes that are no text are escaped as in restic.
    pub paths: Vec<String>,
    /// Where it is.
    #[serde(flatten)]
    pub stored: StoredTree,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Links, devices, pipes and sockets.
    pub others: u64,
    /// Bytes of the regular files.
    pub size_bytes: u64,
    /// Files that the backup before did not have.
    pub new_files: u64,
    /// Files that were read because they are not as they were then.
    pub changed_files: u64,
    /// Files that are as they were then.
    pub unchanged_files: u64,
    /// What rules have left out; a directory counts once.
    pub excluded: u64,
    /// How many paths could not be read; `problems` names the first of them.
    pub problem_count: u64,
    /// Databases among the files, which the backup holds as sources of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<PlacedDatabase>,
}

/// Where among the files of a source a database belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedDatabase {
    /// Its name as a source.
    pub name: String,
    /// Its path among the files, escaped as those are.
    pub path: String,
}

/// What a program printed, as one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSource {
    /// Its name.
    pub name: String,
    /// The command as configured.
    pub command: String,
    /// What the file is called.
    pub file_name: String,
    /// Where it is.
    #[serde(flatten)]
    pub stored: StoredTree,
    /// Bytes that were printed.
    pub size_bytes: u64,
    /// Their SHA-256 in hex.
    pub sha256: String,
    /// With what it ended: 0, else there is no such source.
    pub exit_status: i32,
    /// Lines that it wrote to its standard error.
    pub stderr_lines: u64,
}

/// A device, or an image of one, as one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSource {
    /// Its name.
    pub name: String,
    /// Its path on the host.
    pub path: String,
    /// What the file is called.
    pub file_name: String,
    /// Where it is.
    #[serde(flatten)]
    pub stored: StoredTree,
    /// Bytes.
    pub size_bytes: u64,
    /// Their SHA-256 in hex.
    pub sha256: String,
}

/// A later version may write ladders that this one does not know.
fn if_known<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Ladder>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

/// A sealed object, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256 in hex.
    pub sha256: String,
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
