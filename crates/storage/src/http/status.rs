//! What a status says.

use std::time::{Duration, SystemTime};

use super::date::parse_http_date;
use crate::{Cause, Failure};

/// A failure of an answer's status; protocols that say more than that change its cause.
pub(crate) fn of_status(status: u16, retry_after: Option<&str>, message: &str) -> Failure {
    let reason =
        ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut shown = match reason {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    };
    let told = super::one_line(message);
    if !told.is_empty() && reason != Some(&told) && shown != told {
        shown = super::one_line(&format!("{shown}: {told}"));
    }
    let now = SystemTime::now();
    let retry_after = retry_after.and_then(|text| pause(text, now));
    Failure { retry_after, ..Failure::new(cause(status), shown) }
}

fn cause(status: u16) -> Cause {
    match status {
        401 | 407 => Cause::Unauthenticated,
        403 => Cause::Denied,
        408 => Cause::TimedOut,
        429 => Cause::Throttled,
        500 | 502..=504 => Cause::Unavailable,
        413 | 507 => Cause::Full,
        400 | 405 | 414 | 431 => Cause::Invalid,
        _ => Cause::Protocol,
    }
}

/// Seconds, or a date.
fn pause(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    parse_http_date(text)?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_number_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        for (text, expected) in [
            ("120", Some(120)),
            (" 0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(pause(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_status_has_a_cause_and_the_servers_words() {
        let failure = of_status(503, Some("7"), "  please\nslow down ");
        assert_eq!(failure.cause, Cause::Unavailable);
        assert_eq!(failure.message, "503 Service Unavailable: please slow down");
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(of_status(401, None, "Unauthorized").message, "401 Unauthorized");
        assert_eq!(of_status(299, None, "").message, "299");
    }
}
