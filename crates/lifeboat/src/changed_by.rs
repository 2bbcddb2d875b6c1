//! How it was found out what changed in a database.

/// How a backup found out what changed in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedBy {
    /// Not at all: the whole database was stored.
    Whole,
    /// Every page was read and compared.
    Scan,
    /// From the frames that were added to its WAL; only their pages were read.
    Wal,
    /// Nothing was read: its WAL, or its change counter and file, show that nothing changed.
    Unchanged,
    /// Its replication captured it.
    Replicated,
}

impl ChangedBy {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Scan => "scan",
            Self::Wal => "wal",
            Self::Unchanged => "unchanged",
            Self::Replicated => "replicated",
        }
    }
}
