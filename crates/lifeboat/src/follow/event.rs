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

/// How it is with a standby after a look at the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEnd {
    /// It holds what is newest.
    CaughtUp,
    /// There is more, but no way to it.
    Behind(
        /// Why.
        String,
    ),
    /// It was told to stop before it had caught up, or while it waited.
    Stopped,
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

/// What the last look at the repository showed.
#[derive(Debug)]
pub(super) enum Situation {
    Seen(FollowEnd),
    Failing(String),
}

impl Situation {
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Self::Seen(FollowEnd::CaughtUp | FollowEnd::Stopped))
    }

    /// Whether it goes on as before. The reason why a standby is behind names transactions, which
    /// change all the time.
    pub(super) fn is_like(&self, former: &Self) -> bool {
        match (self, former) {
            (Self::Failing(error), Self::Failing(former)) => error == former,
            (Self::Seen(end), Self::Seen(former)) => {
                std::mem::discriminant(end) == std::mem::discriminant(former)
            }
            _ => false,
        }
    }

    pub(super) fn event(&self, point: Option<FollowPoint>) -> Option<FollowEvent> {
        match self {
            Self::Seen(FollowEnd::CaughtUp) => point.map(|point| FollowEvent::CaughtUp { point }),
            Self::Seen(FollowEnd::Behind(reason)) => {
                Some(FollowEvent::Behind { reason: reason.clone() })
            }
            Self::Seen(FollowEnd::Stopped) => None,
            Self::Failing(error) => Some(FollowEvent::Failing { error: error.clone() }),
        }
    }
}
