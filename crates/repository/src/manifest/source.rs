//! The sources of a backup.

use std::collections::BTreeMap;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_restic::{SnapshotId, TreeId};
use serde::{Deserialize, Serialize};

use crate::{Ladder, LineageId, Time, text};

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
