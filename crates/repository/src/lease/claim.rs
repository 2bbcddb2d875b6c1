//! Whether a holder may take the next epoch: decided from times and names alone.
//!
//! Clocks of hosts differ. Of several times that speak of one upload the latest counts, and one that
//! lies ahead counts as it stands: so a wrong clock of the holder's makes others wait longer, never
//! shorter.

use std::time::Duration;

use super::{Fence, Lease};
use crate::{LineageId, Time};

/// Who wants to write to a database's replica.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The id of the state directory.
    pub holder: &'a str,
    /// What the computer calls itself; for people.
    pub hostname: &'a str,
    /// The silence after which others may take over.
    pub ttl: Duration,
    /// The lineage that this state directory writes, if any: its uploads are nobody else's.
    pub own: Option<LineageId>,
    /// The user says that the other host is gone: it is not waited for.
    pub take_over: bool,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The claimant has held the lease before.
    Held(Lease),
    /// An epoch was taken.
    Taken {
        /// The epoch.
        lease: Lease,
        /// The lineages it closed, that with the newest sign of life first. The next lineage comes
        /// after that one.
        closed: Vec<Fence>,
    },
    /// Someone else may be writing.
    Refused {
        /// The lease that stands; `None`: there is none, but another host has uploaded lately.
        lease: Option<Lease>,
        /// The last sign of life of who may be writing.
        last_upload: Time,
        /// When their silence will have been long enough.
        until: Time,
    },
}

/// What is to be done with a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Held,
    Take,
    Refuse { last_upload: Time, until: Time },
}

/// Decides by the newest epoch and by the last upload to any open lineage but the claimant's own.
///
/// Without an epoch, whoever uploads has promised nobody to look for one. So others are waited for
/// here too, for as long as the claimant wants to be waited for.
pub(super) fn judge(
    newest: Option<&Lease>,
    last_upload: Option<Time>,
    claim: &Claim<'_>,
    now: Time,
) -> Verdict {
    if newest.is_some_and(|lease| lease.holder == claim.holder) {
        return Verdict::Held;
    }
    let Some(last_upload) = newest.map(|lease| lease.taken).max(last_upload) else {
        return Verdict::Take;
    };
    let until = after(last_upload, newest.map_or(claim.ttl, |lease| lease.ttl));
    if claim.take_over || until <= now {
        Verdict::Take
    } else {
        Verdict::Refuse { last_upload, until }
    }
}

/// The moment this long after another, or the last one there is.
pub(super) fn after(time: Time, duration: Duration) -> Time {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Time::from_millis(time.millis().saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Claim, Lease, Verdict, judge};
    use crate::Time;

    const LAST: i64 = i64::MAX;

    fn at(second: i64) -> Time {
        Time::from_millis(second.saturating_mul(1000))
    }

    fn lease(holder: &str, taken: i64, ttl: u64) -> Lease {
        let (holder, hostname) = (holder.to_owned(), String::new());
        Lease { epoch: 7, holder, hostname, taken: at(taken), ttl: Duration::from_secs(ttl) }
    }

    #[test]
    fn whom_a_claimant_waits_for() {
        let held = || Verdict::Held;
        let take = || Verdict::Take;
        let refuse = |last, until| Verdict::Refuse { last_upload: at(last), until: at(until) };
        // The newest epoch (holder, taken, ttl), the last upload of others, now; what is done by "a",
        // who asks to be waited for 30 seconds.
        type Case = (Option<(&'static str, i64, u64)>, Option<i64>, i64, Verdict);
        let cases: [Case; 20] = [
            (None, None, 1000, take()),
            (None, Some(970), 1000, take()),
            (None, Some(971), 1000, refuse(971, 1001)),
            (None, Some(5000), 1000, refuse(5000, 5030)),
            // One's own does not lapse, whoever uploads.
            (Some(("a", 0, 60)), None, 1000, held()),
            (Some(("a", 0, 60)), Some(999), 1000, held()),
            // The holder's time counts, not the claimant's.
            (Some(("b", 940, 60)), None, 1000, take()),
            (Some(("b", 941, 60)), None, 1000, refuse(941, 1001)),
            (Some(("b", 0, 60)), Some(940), 1000, take()),
            (Some(("b", 0, 60)), Some(941), 1000, refuse(941, 1001)),
            (Some(("b", 0, 60)), Some(999), 1000, refuse(999, 1059)),
            // An upload from before the epoch does not make it older.
            (Some(("b", 990, 60)), Some(500), 1000, refuse(990, 1050)),
            // Clocks that are ahead.
            (Some(("b", 9000, 60)), Some(0), 1000, refuse(9000, 9060)),
            (Some(("b", 0, 60)), Some(9000), 1000, refuse(9000, 9060)),
            (Some(("b", 0, 60)), Some(1001), 1000, refuse(1001, 1061)),
            // A claimant's clock that is behind.
            (Some(("b", 900, 60)), Some(950), 3, refuse(950, 1010)),
            // Whatever a document says.
            (Some(("b", 0, u64::MAX)), None, 1000, refuse(0, LAST)),
            (Some(("b", LAST, 60)), None, 1000, refuse(LAST, LAST)),
            (Some(("b", 1000, 0)), None, 1000, take()),
            (Some(("", 0, 60)), None, 1000, take()),
        ];
        let claim = Claim {
            holder: "a",
            hostname: "",
            ttl: Duration::from_secs(30),
            own: None,
            take_over: false,
        };
        for (newest, upload, now, expected) in cases {
            let what = format!("{newest:?} {upload:?} {now}");
            let newest = newest.map(|(holder, taken, ttl)| lease(holder, taken, ttl));
            let judged = judge(newest.as_ref(), upload.map(at), &claim, at(now));
            assert_eq!(judged, expected, "{what}");
            let claim = Claim { take_over: true, ..claim };
            let judged = judge(newest.as_ref(), upload.map(at), &claim, at(now));
            let expected = if expected == Verdict::Held { Verdict::Held } else { Verdict::Take };
            assert_eq!(judged, expected, "{what}, the other being gone");
        }
    }
}
