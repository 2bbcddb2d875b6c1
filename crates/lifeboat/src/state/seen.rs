//! What a capture saw of a database besides its pages: what lets the next one skip most of them.

use std::collections::BTreeMap;

use lifeboat_repository::Time;
use lifeboat_sqlite::{FileStamp, JournalMode, Moment, WalMoment, WalPosition};
use serde::{Deserialize, Serialize};

/// Kept with the capture whose page array it belongs to: the image that the array describes stood
/// at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Where the database stood.
    #[serde(with = "MomentForm")]
    pub(crate) moment: Moment,
    /// When all of its pages were last read.
    pub(crate) scanned: Time,
    /// What else a manifest says of it; `None` where nobody asked yet.
    #[serde(default)]
    pub(crate) facts: Option<Facts>,
}

/// What a manifest says of a database besides its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) page_size: u32,
    pub(crate) page_count: u32,
    pub(crate) journal_mode: String,
    pub(crate) schema_sha256: Option<String>,
    pub(crate) tables: BTreeMap<String, Option<u64>>,
}

// How the types of another crate are written; the compiler holds the members against theirs.

#[derive(Serialize, Deserialize)]
#[serde(remote = "Moment")]
struct MomentForm {
    #[serde(with = "JournalModeForm")]
    journal_mode: JournalMode,
    page_count: u32,
    change_counter: u32,
    #[serde(with = "optional_wal")]
    wal: Option<WalMoment>,
    #[serde(with = "FileStampForm")]
    file: FileStamp,
    settled: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "JournalMode", rename_all = "lowercase")]
enum JournalModeForm {
    Wal,
    Rollback,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WalMoment")]
struct WalMomentForm {
    #[serde(with = "WalPositionForm")]
    position: WalPosition,
    commits: u32,
    backfilled: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WalPosition")]
struct WalPositionForm {
    salts: [u8; 8],
    frames: u32,
    checksum: [u32; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileStamp")]
struct FileStampForm {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i64,
    changed_ns: i64,
}

mod optional_wal {
    use lifeboat_sqlite::WalMoment;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::WalMomentForm;

    #[derive(Serialize, Deserialize)]
    struct Form(#[serde(with = "WalMomentForm")] WalMoment);

    pub(super) fn serialize<S: Serializer>(
        wal: &Option<WalMoment>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        wal.map(Form).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<WalMoment>, D::Error> {
        Ok(Option::<Form>::deserialize(from)?.map(|form| form.0))
    }
}
