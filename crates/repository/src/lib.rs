//! What lies at a repository's URL; `docs/format.md` describes every byte of it.
//!
//! A repository is opened with what lies in the open ([`Repository::open`]: marker and recipient),
//! which is enough to write. Reading needs [`Secrets`], which a password unlocks.
//!
//! A backup of a database is written as: origin (of a new lineage), LTX file, pin, manifest. Each is
//! durable before the next, and only the manifest makes a backup.

mod check;
mod create;
mod deletion;
mod error;
mod fetch;
mod host_key;
mod identity;
mod ids;
mod init;
mod lease;
mod ltx_file;
mod manifest;
mod marker;
mod names;
mod origin;
mod plan;
mod recipient;
mod repository;
mod sealed;
pub mod text;
mod time;
mod tree;
mod upload;
mod usage;

pub use check::{CheckOptions, CheckReport, Finding, Progress, check};
pub use error::{Error, Result};
pub use fetch::{LtxReader, open_ltx};
pub use host_key::HostKey;
pub use identity::Secrets;
pub use ids::{BackupId, LineageId, RepositoryId};
pub use ltx_file::{LtxFile, LtxName, PART_BYTES};
pub use manifest::{
    BackupName, DatabaseSource, MANIFEST_VERSION, Manifest, ObjectRef, Problem, Signed, Source,
};
pub use marker::Marker;
pub use names::{MAX_NAME_BYTES, encode_name};
pub use origin::{ORIGIN_VERSION, Origin, Parent};
pub use plan::{Point, plan, points};
pub use recipient::Recipient;
pub use repository::Repository;
pub use time::Time;
pub use tree::{DatabaseAddress, LineageAddress, LineageListing};
pub use upload::{LtxWriter, SealedLtx};
pub use usage::{DatabaseUsage, Usage, usage};
