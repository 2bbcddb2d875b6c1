//! Which snapshots of the files part must stay.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use lifeboat_restic::{Snapshot, SnapshotId};

use crate::{BackupId, Error, Manifest, PruneOptions, Repository, Result, Secrets};

/// Every snapshot of ours has it.
pub const SNAPSHOT_TAG: &str = "lifeboat";
/// Before the id of the backup that made a snapshot.
const BACKUP_TAG: &str = "backup-";
/// A snapshot that no backup names is left by one that ended before its manifest, after so long.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What names snapshots: backups, and forgotten ones that may come back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromisedSnapshots {
    named: BTreeSet<SnapshotId>,
    /// Backups whose manifests cannot be read: what they name is not known.
    unread: BTreeSet<BackupId>,
}

/// The tags of a snapshot of ours.
pub fn snapshot_tags(backup: BackupId) -> Vec<String> {
    vec![SNAPSHOT_TAG.to_owned(), format!("{BACKUP_TAG}{backup}")]
}

impl Repository {
    /// Reads what names snapshots. To be asked when nobody can begin a backup of files any more.
    pub fn promised_snapshots(
        &self,
        secrets: &Secrets,
        options: &PruneOptions,
    ) -> Result<PromisedSnapshots> {
        let mut promised = PromisedSnapshots::default();
        // A backup that is forgotten meanwhile is seen as one or the other: its copy is written first.
        for name in self.backups()? {
            let read = self.manifest(&name, secrets).map(|signed| signed.manifest);
            promised.add(name.id, read)?;
        }
        for copy in self.forgotten()? {
            if copy.until(options.grace) > options.now {
                let read = self.forgotten_manifest(&copy, secrets).map(|signed| signed.manifest);
                promised.add(copy.name.id, read)?;
            }
        }
        Ok(promised)
    }
}

impl PromisedSnapshots {
    fn add(&mut self, id: BackupId, manifest: Result<Manifest>) -> Result<()> {
        match manifest {
            Ok(manifest) => self.named.extend(manifest.snapshots()),
            Err(error) if error.is_gone() => {}
            Err(error @ Error::Storage(_)) => return Err(error),
            Err(_) => drop(self.unread.insert(id)),
        }
        Ok(())
    }

    /// Whether a snapshot stays: it is promised, it is not ours, or it may belong to a backup that is not there
    /// yet.
    pub fn keeps(&self, id: SnapshotId, snapshot: &Snapshot, options: &PruneOptions) -> bool {
        let is_ours = snapshot.tags.iter().any(|tag| tag == SNAPSHOT_TAG);
        let made_by =
            snapshot.tags.iter().find_map(|tag| tag.strip_prefix(BACKUP_TAG)?.parse().ok());
        let age = options.now.timestamp().duration_since(snapshot.time);
        let limit = SignedDuration::try_from(ABANDONED_AFTER.min(options.grace));
        let is_young = limit.is_ok_and(|limit| age < limit);
        !is_ours
            || self.named.contains(&id)
            || made_by.is_none_or(|backup| self.unread.contains(&backup))
            || is_young
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_restic::{Snapshot, SnapshotId, TreeId};

    use super::{PromisedSnapshots, snapshot_tags};
    use crate::{PruneOptions, Time};

    fn snapshot(tags: &[String], hours_ago: i64) -> Snapshot {
        let now: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        Snapshot {
            time: now - jiff::SignedDuration::from_hours(hours_ago),
            parent: None,
            tree: TreeId::of(b"tree"),
            paths: Vec::new(),
            hostname: String::new(),
            username: String::new(),
            uid: 0,
            gid: 0,
            excludes: Vec::new(),
            tags: tags.to_vec(),
            original: None,
            program_version: String::new(),
            summary: None,
        }
    }

    #[test]
    fn what_is_promised_foreign_or_young_stays() {
        let (named, other) = (SnapshotId::of(b"named"), SnapshotId::of(b"other"));
        let (known, unread) =
            ("0123456789abcdef".parse().unwrap(), "00000000000000ff".parse().unwrap());
        let promised = PromisedSnapshots { named: [named].into(), unread: [unread].into() };
        let (ours, unknown) = (snapshot_tags(known), snapshot_tags(unread));
        let now: Time = "2026-11-21T12:00:00Z".parse().unwrap();
        let day = Duration::from_secs(86_400);
        for (id, tags, hours_ago, grace, stays) in [
            (named, &ours[..], 1000, day, true),
            (other, &ours[..], 1000, day, false),
            (other, &ours[..], 23, day, true),
            (other, &ours[..], 25, day, false),
            (other, &ours[..], 2, Duration::from_secs(3600), false),
            (other, &ours[..], -2, day, true),
            (other, &unknown[..], 1000, day, true),
            (other, &[], 1000, day, true),
            (other, &["lifeboat".to_owned()], 1000, day, true),
            (other, &["nightly".to_owned()], 1000, day, true),
        ] {
            let options = PruneOptions { grace, now, ..PruneOptions::default() };
            let keeps = promised.keeps(id, &snapshot(tags, hours_ago), &options);
            assert_eq!(keeps, stays, "{tags:?} of {hours_ago} hours ago");
        }
    }
}
