//! Times of RFC 3339, as stores have them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// `2026-11-21T02:49:00.123Z`, with as many digits as there are.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // What has no such year has no use for its time.
    Timestamp::try_from(time).unwrap_or_default().to_string()
}

/// Any time of RFC 3339.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    text.trim().parse::<Timestamp>().ok().map(SystemTime::from)
}

/// The time from which an object that is stored now may be removed.
pub(crate) fn in_days(days: u32) -> SystemTime {
    SystemTime::now() + Duration::from_secs(u64::from(days) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_litestreams() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_229_340_120);
        assert_eq!(rfc3339(time), "2026-11-21T02:49:00.12Z");
        for text in [
            "2026-11-21T02:49:00.12Z",
            "2026-11-21T02:49:00.120000000Z",
            "2026-11-21T03:49:00.12+01:00",
        ] {
            assert_eq!(parse_rfc3339(text), Some(time), "{text}");
        }
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
