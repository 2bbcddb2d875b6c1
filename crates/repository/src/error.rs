//! What can go wrong with a repository.

use lifeboat_storage::Key;

use crate::host_key::fingerprint;

/// The result of an operation on a repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage failed; its own message says at what.
    #[error(transparent)]
    Storage(#[from] lifeboat_storage::Error),
    /// The files part failed, or is damaged.
    #[error(transparent)]
    Files(lifeboat_restic::Error),
    /// The repository cannot hold files.
    #[error("{location} cannot hold files: nothing in it is encrypted (form litestream)")]
    NoFiles {
        /// Where.
        location: String,
    },
    /// Litestream cannot restore a database without a page, so none is stored for it.
    #[error("database {name} is empty, which {location} cannot hold (form litestream)")]
    EmptyDatabase {
        /// The database.
        name: String,
        /// Where.
        location: String,
    },
    /// There is no repository at the location.
    #[error("no repository at {location}")]
    NoRepository {
        /// Where it was looked for.
        location: String,
    },
    /// A restic repository that Lifeboat did not make.
    #[error("{location} is a restic repository, not one of Lifeboat's")]
    PlainRestic {
        /// Where.
        location: String,
    },
    /// Replicas that Litestream wrote, where something was to be written.
    #[error("{location} holds what Litestream replicated, which can only be read")]
    LitestreamReplica {
        /// Where.
        location: String,
    },
    /// The storage replaces objects, which a repository must never let happen.
    #[error("{location} does not refuse to overwrite an object")]
    Overwrites {
        /// Where.
        location: String,
    },
    /// The storage does not keep the time that an object is given to the millisecond, which Litestream's files need.
    #[error("{location} does not keep times exactly, which form litestream needs")]
    TimesNotKept {
        /// Where.
        location: String,
    },
    /// What a forgotten backup needs is being removed.
    #[error("what backup {} needs is being removed by a prune", backup.short())]
    Pruned {
        /// The backup.
        backup: crate::BackupId,
    },
    /// There is a repository already.
    #[error("{location} already holds a repository")]
    AlreadyInitialized {
        /// Where.
        location: String,
    },
    /// The repository was written by a newer version.
    #[error("repository {location} needs {feature:?}, which this version does not know")]
    UnknownFeature {
        /// Where.
        location: String,
        /// The feature or version that is not known.
        feature: String,
    },
    /// The password unlocks no identity.
    #[error("wrong password for repository {location}")]
    WrongPassword {
        /// Which repository.
        location: String,
    },
    /// The secret key of a person unlocks nothing.
    #[error("the identity opens nothing of repository {location}")]
    WrongIdentity {
        /// Which repository.
        location: String,
    },
    /// No identity is there to unlock.
    #[error("repository {location} holds no identity that a password unlocks")]
    NoIdentity {
        /// Which repository.
        location: String,
    },
    /// The public key that backups are sealed for is not the one it was.
    #[error("the recipient of repository {location} has changed from {expected} to {found}")]
    RecipientChanged {
        /// Which repository.
        location: String,
        /// The recipient this machine has used so far.
        expected: String,
        /// The recipient that stands in the repository now.
        found: String,
    },
    /// A manifest is signed with another key than those that are known of its host.
    #[error(
        "the key of host {host} has changed: expected {}, found {}",
        expected.iter().map(|key| fingerprint(key)).collect::<Vec<_>>().join(" or "),
        fingerprint(found)
    )]
    HostKeyChanged {
        /// The host, as it stands in keys.
        host: String,
        /// The public keys that may speak for it.
        expected: Vec<String>,
        /// The public key that signed.
        found: String,
    },
    /// Someone else began a generation at the same time.
    #[error("generation {generation} of repository {location} was begun by someone else meanwhile")]
    GenerationTaken {
        /// Which repository.
        location: String,
        /// Which generation.
        generation: u32,
    },
    /// An object is not what it should be.
    #[error("{key} is corrupt: {detail}")]
    Corrupt {
        /// The object.
        key: Key,
        /// What was expected and what was found.
        detail: String,
    },
    /// An object cannot be unsealed.
    #[error("cannot open {key}")]
    Sealed {
        /// The object.
        key: Key,
        /// What unsealing found.
        #[source]
        source: lifeboat_storage::Error,
    },
    /// An LTX file is damaged.
    #[error("cannot read {key}")]
    Ltx {
        /// The object, or the first of its parts.
        key: Key,
        /// What the decoder found.
        #[source]
        source: lifeboat_ltx::Error,
    },
    /// An LTX file cannot be written, because it would be malformed.
    #[error("cannot write an ltx file")]
    Encode {
        /// What the encoder refused.
        #[source]
        source: lifeboat_ltx::Error,
    },
    /// A document cannot be parsed.
    #[error("cannot parse {key}")]
    Json {
        /// The object.
        key: Key,
        /// What the parser found.
        #[source]
        source: serde_json::Error,
    },
    /// The files at hand do not lead to the transaction.
    #[error("transaction {txid} of {lineage} cannot be restored: {detail}")]
    NotRestorable {
        /// The lineage's key.
        lineage: String,
        /// The wanted transaction.
        txid: lifeboat_ltx::Txid,
        /// How far the files lead.
        detail: String,
    },
    /// A name of a host or source cannot be stored.
    #[error("unusable name {name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A text is no identifier or time.
    #[error("expected {expected}, found {found:?}")]
    Parse {
        /// What the text should have been.
        expected: &'static str,
        /// The text.
        found: String,
    },
    /// More parts than names allow.
    #[error("an ltx file of more than 9,999 parts cannot be stored")]
    TooManyParts,
}

/// A storage that fails is told as such, whatever was being done.
impl From<lifeboat_restic::Error> for Error {
    fn from(error: lifeboat_restic::Error) -> Self {
        match error {
            lifeboat_restic::Error::Storage(error) => Self::Storage(error),
            error => Self::Files(error),
        }
    }
}

impl Error {
    /// The object that it is about, where it is damage.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Corrupt { key, .. }
            | Self::Sealed { key, .. }
            | Self::Ltx { key, .. }
            | Self::Json { key, .. }
            | Self::Storage(lifeboat_storage::Error::NotFound { key, .. }) => Some(key),
            _ => None,
        }
    }

    /// Whether it speaks of what is stored: something is damaged or gone, and what does not need it
    /// may still be whole; or something is signed by who is not believed. Not of a storage that
    /// fails, of a wrong password, or of the request.
    pub fn is_damage(&self) -> bool {
        self.key().is_some()
            || matches!(
                self,
                Self::NotRestorable { .. }
                    | Self::HostKeyChanged { .. }
                    | Self::Files(lifeboat_restic::Error::Corrupt { .. })
            )
    }

    /// Whether an object is not there: somebody has removed it since it was listed.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Storage(lifeboat_storage::Error::NotFound { .. }))
    }

    pub(crate) fn corrupt(key: &Key, detail: impl Into<String>) -> Self {
        Self::Corrupt { key: key.clone(), detail: detail.into() }
    }
}
