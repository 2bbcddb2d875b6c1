//! Snapshots: when what was backed up where, and the tree of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Listed, ObjectId as _, ResticRepository, Result, Root, SnapshotId, TreeId, go_json,
    list, timestamp, unpacked,
};

/// What a snapshot may be long. Of its members only lists of excludes and paths grow.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// A backup as restic sees it. Members that other programs add are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the backup began.
    #[serde(with = "timestamp")]
    pub time: Timestamp,
    /// The one that was compared with to see what had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// The directory that stands for `/`.
    pub tree: TreeId,
    /// What was to be backed up.
    #[serde(default, deserialize_with = "or_default")]
    pub paths: Vec<String>,
    /// On which host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// By whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// His number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// That of his group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// What was left out, as patterns.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// By which it can be found.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The one that it took the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SnapshotId>,
    /// The program that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
    /// What the backup did, known to restic since 0.17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<SnapshotSummary>,
}

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSummary {
    /// When it began.
    #[serde(with = "timestamp")]
    pub backup_start: Timestamp,
    /// When it ended.
    #[serde(with = "timestamp")]
    pub backup_end: Timestamp,
    /// Files that the parent does not have.
    #[serde(default)]
    pub files_new: u64,
    /// Files that are other in the parent.
    #[serde(default)]
    pub files_changed: u64,
    /// Files that are the same in the parent.
    #[serde(default)]
    pub files_unmodified: u64,
    /// Directories that the parent does not have.
    #[serde(default)]
    pub dirs_new: u64,
    /// Directories that are other in the parent.
    #[serde(default)]
    pub dirs_changed: u64,
    /// Directories that are the same in the parent.
    #[serde(default)]
    pub dirs_unmodified: u64,
    /// Pieces of files that were stored.
    #[serde(default)]
    pub data_blobs: u64,
    /// Directories that were stored.
    #[serde(default)]
    pub tree_blobs: u64,
    /// Bytes that were stored, before compression.
    #[serde(default)]
    pub data_added: u64,
    /// Bytes that were stored.
    #[serde(default)]
    pub data_added_packed: u64,
    /// Files that are in it.
    #[serde(default)]
    pub total_files_processed: u64,
    /// Their bytes.
    #[serde(default)]
    pub total_bytes_processed: u64,
}

/// The snapshots of a repository.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Those that could be read, in the order of their ids.
    pub readable: Vec<(SnapshotId, Snapshot)>,
    /// Those that could not, and why. What they hold is not known: whoever removes anything must not go on.
    pub unreadable: Vec<(SnapshotId, Error)>,
}

impl Snapshots {
    /// All of them, for whoever removes what they do not need: one that cannot be read is an error.
    pub fn require_all(self) -> Result<Vec<(SnapshotId, Snapshot)>> {
        match self.unreadable.into_iter().next() {
            None => Ok(self.readable),
            Some((_, error)) => Err(error),
        }
    }

    /// The readable ones, as what a check starts from.
    #[must_use]
    pub fn roots(&self) -> Vec<Root> {
        let roots = self.readable.iter();
        roots.map(|(id, snapshot)| Root { snapshot: *id, tree: snapshot.tree }).collect()
    }
}

impl ResticRepository {
    /// Creates a snapshot. What it names must have been stored before: from then on all of it is seen.
    pub fn save_snapshot(&self, snapshot: &Snapshot) -> Result<SnapshotId> {
        let json = go_json::encode(snapshot)
            .map_err(|error| Error::corrupt("a snapshot to be written", error.to_string()))?;
        unpacked::write(&**self.storage(), self.cipher(), &json)
    }

    /// Reads a snapshot.
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        let json = unpacked::read(&**self.storage(), self.cipher(), id, LIMIT_BYTES)?;
        serde_json::from_slice(&json)
            .map_err(|error| Error::corrupt(format!("snapshot {id}"), error.to_string()))
    }

    /// Reads all snapshots. One that cannot be read does not hide the others; one that was removed meanwhile
    /// is not there.
    pub fn snapshots(&self) -> Result<Snapshots> {
        let mut snapshots = Snapshots::default();
        for Listed { id, .. } in list::<SnapshotId>(&**self.storage())? {
            match self.snapshot(&id) {
                Ok(snapshot) => snapshots.readable.push((id, snapshot)),
                Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => {}
                Err(error) => snapshots.unreadable.push((id, error)),
            }
        }
        Ok(snapshots)
    }

    /// Removes a snapshot; `false` if there was none. What only it needed stays until somebody prunes.
    pub fn remove_snapshot(&self, id: &SnapshotId) -> Result<bool> {
        Ok(self.storage().remove(&id.key()?)?)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Go writes `null` for a list that was never made.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// As restic 0.17 writes it, but for the offset of its times.
    fn json() -> String {
        format!(
            "{{\"time\":\"2024-05-06T07:08:09.5Z\",\"parent\":\"{TREE}\",\"tree\":\"{TREE}\",\"paths\":[\"/etc\"],\
             \"hostname\":\"pi\",\"username\":\"a\\u0026b\",\"uid\":1,\"gid\":2,\"excludes\":[\"*~\"],\
             \"tags\":[\"x\"],\"original\":\"{TREE}\",\"program_version\":\"restic 0.17.0\",\"summary\":{{\
             \"backup_start\":\"2024-05-06T07:08:09.5Z\",\"backup_end\":\"2024-05-06T07:08:10Z\",\
             \"files_new\":1,\"files_changed\":2,\"files_unmodified\":3,\"dirs_new\":4,\"dirs_changed\":5,\
             \"dirs_unmodified\":6,\"data_blobs\":7,\"tree_blobs\":8,\"data_added\":9,\
             \"data_added_packed\":10,\"total_files_processed\":11,\"total_bytes_processed\":12}}}}"
        )
    }

    #[test]
    fn reads_and_writes_what_restic_writes() {
        let snapshot: Snapshot = serde_json::from_str(&json()).unwrap();
        assert_eq!(snapshot.username, "a&b");
        assert_eq!(snapshot.summary.as_ref().unwrap().data_added_packed, 10);
        let written = go_json::encode(&snapshot).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), json());
    }

    #[test]
    fn takes_what_older_and_other_programs_write() {
        let json = format!(
            r#"{{"time":"2015-01-02T18:10:50.895208559+01:00","tree":"{TREE}","paths":null,"label":"x"}}"#
        );
        let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
        assert_eq!(snapshot.time.to_string(), "2015-01-02T17:10:50.895208559Z");
        assert_eq!((snapshot.paths.len(), snapshot.parent, snapshot.summary), (0, None, None));
        assert!(serde_json::from_str::<Snapshot>(&json.replace("tree", "tee")).is_err());
        assert!(serde_json::from_str::<Snapshot>(&json.replace("2015", "today")).is_err());
    }
}
