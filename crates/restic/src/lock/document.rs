//! What a lock says.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::timestamp;

/// Who holds the repository, since when, and whether alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// When it was taken or last renewed, by the clock of its host.
    #[serde(with = "timestamp")]
    pub time: Timestamp,
    /// Whether nobody else may hold one.
    #[serde(default)]
    pub exclusive: bool,
    /// The host of its process.
    #[serde(default)]
    pub hostname: String,
    /// The user of its process; empty if the user has no name.
    #[serde(default)]
    pub username: String,
    /// The process.
    #[serde(default)]
    pub pid: i64,
    /// The number of the user.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// The number of the group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
}

impl Lock {
    /// How old it is; nothing if it comes from a clock that is ahead.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.time).max(SignedDuration::ZERO)
    }

    /// Whether the two may not be held at once.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.exclusive || other.exclusive
    }
}

/// For messages: the process, its user and its host.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, hostname, username, uid, .. } = self;
        match &**username {
            "" => write!(f, "process {pid} of user {uid} on {hostname}"),
            name => write!(f, "process {pid} of {name} on {hostname}"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_restic_writes() {
        let json = r#"{"time":"2026-11-21T19:20:00.123456789+01:00","exclusive":true,"hostname":"pi","username":"root","pid":123}"#;
        let lock: Lock = serde_json::from_str(json).unwrap();
        assert_eq!((lock.pid, lock.uid, lock.exclusive), (123, 0, true));
        assert_eq!(lock.to_string(), "process 123 of root on pi");
        let written = serde_json::to_string(&lock).unwrap();
        assert_eq!(written, json.replace("19:20", "18:20").replace("+01:00", "Z"));
        let later = lock.time + SignedDuration::from_secs(90);
        assert_eq!(lock.age(later).as_secs(), 90);
        assert_eq!(Lock { time: later, ..lock.clone() }.age(lock.time), SignedDuration::ZERO);
    }
}
