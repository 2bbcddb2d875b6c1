//! What is told while a standby is kept.

use std::path::PathBuf;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageId, Time};

/// What a standby holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowPoint {
    /// The lineage.
    pub lineage: LineageId,
    /// The last transaction applied.
    pub txid: Txid,
    /// When it was captured.
    pub time: Time,
}

/// Why a standby was not led on by what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// There was none.
    First,
    /// A newer lineage of the database has begun.
    Lineage,
    /// The files between are gone or damaged, or the repository was set back.
    Gap,
    /// It was not what it should be: somebody else wrote to it.
    Diverged,
}

/// Something that happened to a standby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEvent {
    /// It is kept from now on.
    Began {
        /// Where.
        target: PathBuf,
        /// What it holds; `None`: nothing yet.
        from: Option<FollowPoint>,
    },
    /// A file was applied.
    Applied {
        /// What it holds now.
        point: FollowPoint,
        /// Pages written.
        pages: u32,
    },
    /// It was restored, or overwritten where it differed.
    Rewritten {
        /// What it holds now.
        point: FollowPoint,
        /// Why.
        why: Rewrite,
        /// Pages written; `None`: the file is a new one.
        pages: Option<u32>,
        /// Where the former file is, if there was one.
        former: Option<PathBuf>,
    },
    /// It holds what is newest.
    CaughtUp {
        /// What it holds.
        point: FollowPoint,
    },
    /// There is more in the repository, but no way to it.
    Behind {
        /// Why.
        reason: String,
    },
    /// The repository or the target failed; it is tried again.
    Failing {
        /// What failed.
        error: String,
    },
}

/// What a look at the repository showed.
#[derive(Debug)]
pub(super) enum Situation {
    CaughtUp,
    Behind(String),
    Failing(String),
    Stopped,
}

impl Situation {
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Behind(_) | Self::Failing(_))
    }

    pub(super) fn event(&self, point: Option<FollowPoint>) -> Option<FollowEvent> {
        match self {
            Self::CaughtUp => point.map(|point| FollowEvent::CaughtUp { point }),
            Self::Behind(reason) => Some(FollowEvent::Behind { reason: reason.clone() }),
            Self::Failing(error) => Some(FollowEvent::Failing { error: error.clone() }),
            Self::Stopped => None,
        }
    }
}

impl PartialEq for Situation {
    /// Of one that is behind, the reason names transactions, which change all the time.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failing(one), Self::Failing(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}
