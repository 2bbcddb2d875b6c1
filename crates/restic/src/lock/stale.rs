//! Which locks their holders have left behind.

use jiff::{SignedDuration, Timestamp};

use super::Lock;

/// How old a lock gets at most while its holder is at work.
pub(super) const STALE_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// Whether nobody holds a lock any more: it was not renewed for half an hour, or its process is not on this
/// host, where it was. restic's rule.
pub fn is_stale(
    lock: &Lock,
    now: Timestamp,
    hostname: &str,
    is_alive: impl FnOnce(i64) -> bool,
) -> bool {
    lock.age(now) > STALE_AFTER || lock.hostname == hostname && !is_alive(lock.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (minutes, hostname, pid, stale) in [
            (0, "here", 1, false),
            (0, "here", 2, true),
            (0, "there", 2, false),
            (30, "here", 1, false),
            (30, "there", 2, false),
            (31, "here", 1, true),
            (31, "there", 1, true),
            (-600, "there", 1, false),
            (-600, "here", 2, true),
        ] {
            for exclusive in [false, true] {
                let time = now - SignedDuration::from_mins(minutes);
                let (hostname, username) = (hostname.to_owned(), String::new());
                let lock = Lock { time, exclusive, hostname, username, pid, uid: 0, gid: 0 };
                let found = is_stale(&lock, now, "here", |pid| pid == 1);
                assert_eq!(found, stale, "{minutes} {lock}");
            }
        }
    }
}
