use std::num::NonZeroUsize;

use super::Addressing;
use crate::{CreateNew, Credentials, HttpOptions, RemoteOptions};

/// How a bucket is reached, and how objects are put into it.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// A URL or a host; Amazon's of the region if this is `None` and the environment names none.
    pub endpoint: Option<String>,
    /// Where the bucket is; what the environment says, or `us-east-1`, if this is `None`.
    pub region: Option<String>,
    /// How a bucket is named in a request.
    pub addressing: Addressing,
    /// Who asks; what the environment says if this is `None`.
    pub credentials: Option<Credentials>,
    /// `STANDARD_IA`: the class of what is stored; the bucket's if this is `None`.
    pub storage_class: Option<String>,
    /// How long what is stored cannot be removed by anybody; the bucket's rule if this is `None`. The bucket must
    /// have been created for it.
    pub object_lock: Option<ObjectLock>,
    /// Objects whose keys begin with one of these are not locked: they are there to be removed again.
    pub never_locked: &'static [&'static str],
    /// What is known of how the store refuses a taken key; found out if this is `None`: a store that says that it
    /// knows no such condition is [`CreateNew::Checked`] from then on. One that only ignores it does not say so.
    pub create_new: Option<CreateNew>,
    /// What is larger is sent in parts of this many bytes, or larger ones where there would be more than 10,000.
    /// Amazon takes none below 5 MiB.
    pub part_bytes: u64,
    /// As many parts of one object are sent at once.
    pub parts_at_once: NonZeroUsize,
    /// How the host is talked to.
    pub http: HttpOptions,
    /// How the storage behaves.
    pub remote: RemoteOptions,
}

impl Default for S3Options {
    /// All of the environment; parts of 16 MiB, three at once.
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            addressing: Addressing::default(),
            credentials: None,
            storage_class: None,
            object_lock: None,
            never_locked: &[],
            create_new: None,
            part_bytes: 16 << 20,
            parts_at_once: const { NonZeroUsize::new(3).unwrap() },
            http: HttpOptions::default(),
            remote: RemoteOptions::default(),
        }
    }
}

/// How long an object cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLock {
    /// Who may shorten it.
    pub mode: LockMode,
    /// From when the object is stored.
    pub days: u32,
}

/// Who may shorten how long an object cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Those with a permission for it.
    Governance,
    /// Nobody.
    Compliance,
}

impl LockMode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}
