//! What lies at a repository's URL; `docs/format.md` describes every byte of it.
//!
//! A repository is opened with what lies in the open ([`Repository::open`]: marker and recipient),
//! which is enough to write. Reading needs [`Secrets`], which a password or a person's key unlocks.
//!
//! A backup of a database is written as: origin (of a new lineage), LTX file, pin, manifest. Each is
//! durable before the next, and only the manifest makes a backup.

mod backup_type;
mod bases;
mod check;
mod compact;
mod copy;
mod create;
mod deferred;
mod deletion;
mod document;
mod drill;
mod error;
mod fetch;
mod files;
mod forget;
mod forgotten;
mod form;
mod host_key;
mod identity;
mod ids;
mod init;
mod keys;
mod ladder;
mod lease;
mod ltx_file;
mod manifest;
mod marker;
mod names;
mod needed;
mod origin;
mod outbox;
mod plan;
mod promised;
mod prune;
mod read_back;
mod recipient;
mod remove;
mod replica;
mod repository;
mod retention;
mod rewrite_key;
mod rotate;
mod survey;
#[cfg(test)]
mod table;
pub mod text;
mod time;
mod tree;
mod undelete;
mod unlock;
mod upload;
mod usage;
mod wanted;
mod ways;
mod wrapping;

pub use backup_type::BackupType;
pub use check::{CheckOptions, CheckReport, Finding, LostSource, Progress, check, check_names};
pub use compact::{
    BaseDue, CompactPlan, CompactReport, LineageMerges, LocalCopies, Merge, MergeOutcome, NoCopies,
    NotMerged, base_due, compact, compact_as_planned, merge, plan_compact, plan_merges,
};
pub use copy::{BackupCopy, Copier, CopyEnd, FilesCopy};
pub use deferred::{Deferred, SentBytes};
pub use drill::passed_drills;
pub use error::{Error, Result};
pub use fetch::{LtxReader, LtxStream, locate_damage, open_ltx};
pub use files::{FilesPrunePlan, FilesPruned, PromisedSnapshots, SNAPSHOT_TAG, snapshot_tags};
pub use forget::{ForgetReport, ForgetStep, Known, Wish, forget, plan_forget};
pub use forgotten::Forgotten;
pub use form::Form;
pub use host_key::{HostKey, HostTrust, Judgement, fingerprint};
pub use identity::Secrets;
pub use ids::{BackupId, KeyId, LineageId, RepositoryId};
pub use keys::{KeyEntry, KeyHolder};
pub use ladder::{Ladder, Rung};
pub use lease::{Claim, Fence, Lease, LeaseOutcome};
pub use lifeboat_restic::Subset;
pub use ltx_file::{LtxFile, LtxName, PART_BYTES};
pub use manifest::{
    BackupName, CommandSource, DatabaseSource, DeviceSource, FilesSource, MANIFEST_VERSION,
    Manifest, ObjectRef, PlacedDatabase, Problem, Signed, Source, StoredTree,
};
pub use marker::Marker;
pub use names::{MAX_NAME_BYTES, encode_name};
pub use origin::{ORIGIN_VERSION, Origin, Parent};
pub use outbox::Outgoing;
pub use plan::{Point, blame, onward, plan, points};
pub use promised::promised;
pub use prune::{Doomed, GRACE, PruneOptions, PrunePlan, PruneReport, Why, plan_prune, prune};
pub use recipient::Recipient;
pub use replica::refuse_replica;
pub use repository::Repository;
pub use retention::{Age, Candidate, KeepRules, Limit, Period, Reason, Verdict, has_tags, retain};
pub use rewrite_key::rewrite_key;
pub use rotate::{Person, RotatePlan};
pub use time::Time;
pub use tree::{DatabaseAddress, LineageAddress, LineageListing};
pub use undelete::{Returning, Undeletion, plan_undelete, undelete};
pub use upload::{LtxWriter, SealedLtx};
pub use usage::{DatabaseUsage, FilesUsage, Usage, usage};
pub use wrapping::{Credential, Holder, Wrapping, WrappingName};
