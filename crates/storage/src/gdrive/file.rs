//! Files as Drive describes them.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use crate::remote::Attempt;
use crate::{Cause, Entry, Failure, Key};

pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";
/// Documents, shortcuts and folders: what has no bytes of its own.
const GOOGLES: &str = "application/vnd.google-apps.";
/// What is asked for of each file.
pub(super) const FIELDS: &str =
    "id,name,mimeType,size,createdTime,modifiedTime,md5Checksum,headRevisionId,trashed";

/// A file or a folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct DriveFile {
    pub(super) id: String,
    pub(super) name: String,
    mime_type: String,
    size: Option<String>,
    created_time: String,
    modified_time: String,
    md5_checksum: Option<String>,
    head_revision_id: Option<String>,
    /// Also of what is in a folder that is in the trash.
    #[serde(default)]
    pub(super) trashed: bool,
}

/// A page of a search.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileList {
    #[serde(default)]
    pub(super) files: Vec<DriveFile>,
    pub(super) next_page_token: Option<String>,
}

/// Where a file is seen.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Linked {
    pub(super) web_view_link: Option<String>,
}

impl DriveFile {
    pub(super) fn is_folder(&self) -> bool {
        self.mime_type == FOLDER
    }

    pub(super) fn is_object(&self) -> bool {
        !self.mime_type.starts_with(GOOGLES)
    }

    pub(super) fn size(&self) -> Attempt<u64> {
        let size = self.size.as_ref().and_then(|size| size.parse().ok());
        size.ok_or_else(|| missing("size", &self.name))
    }

    /// What tells it from another under the same key, and from what would be put into it.
    pub(super) fn version(&self) -> String {
        let content = self.head_revision_id.as_deref().or(self.md5_checksum.as_deref());
        format!("{} {}", self.id, content.unwrap_or_default())
    }

    pub(super) fn entry(&self, key: Key) -> Attempt<Entry> {
        let modified = parse_time(&self.modified_time);
        let modified = modified.ok_or_else(|| missing("time", &self.name))?;
        Ok(Entry { key, size: self.size()?, modified })
    }
}

fn missing(what: &str, name: &str) -> Failure {
    Failure::new(Cause::Protocol, format!("Drive tells no {what} of {name}"))
}

/// The oldest first, of those of one instant the one with the smallest id: the first is the one that stands.
pub(super) fn in_order(mut files: Vec<DriveFile>) -> Vec<DriveFile> {
    // What has no time that can be read is younger than all others.
    let rank = |file: &DriveFile| match parse_time(&file.created_time) {
        Some(created) => (0, created),
        None => (1, SystemTime::UNIX_EPOCH),
    };
    files.sort_by(|one, other| (rank(one), &one.id).cmp(&(rank(other), &other.id)));
    files
}

fn parse_time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

/// RFC 3339 with milliseconds; `None` for a time that no calendar has.
pub(super) fn format_time(time: SystemTime) -> Option<String> {
    let timestamp = Timestamp::try_from(time).ok()?;
    Some(format!("{timestamp:.3}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file(id: &str, created: &str) -> DriveFile {
        let text = format!(
            r#"{{"id":"{id}","name":"x","mimeType":"a/b","size":"1","createdTime":"{created}",
            "modifiedTime":"{created}"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_oldest_stands() {
        let files = vec![
            file("d", "never"),
            file("c", "2026-11-22T01:00:00.100Z"),
            file("b", "2026-11-22T01:00:00.1Z"),
            file("a", "2026-11-22T01:00:01Z"),
        ];
        let ids: Vec<String> = in_order(files).into_iter().map(|file| file.id).collect();
        assert_eq!(ids, ["b", "c", "a", "d"]);
    }

    #[test]
    fn times_keep_their_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_229_340_123);
        let text = format_time(time).unwrap();
        assert_eq!(text, "2026-11-21T02:49:00.123Z");
        assert_eq!(parse_time(&text), Some(time));
        assert_eq!(format_time(SystemTime::UNIX_EPOCH).unwrap(), "1970-01-01T00:00:00.000Z");
    }
}
