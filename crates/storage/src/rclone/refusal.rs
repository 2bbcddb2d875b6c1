//! What rclone's log says about a failure that its answer tells nothing about.

use crate::Cause;

/// Words of failures that pass, whatever else is said: Drive tells of too many requests with 403, as it does of
/// missing permissions.
const PASSING: &[&str] =
    &["rate limit", "ratelimit", "too many requests", "slow down", "slowdown", "unavailable"];

/// Words of those that do not, of systems and of stores.
const LASTING: &[(&str, Cause)] = &[
    ("permission denied", Cause::Denied),
    ("operation not permitted", Cause::Denied),
    ("read-only file system", Cause::Denied),
    ("access denied", Cause::Denied),
    ("accessdenied", Cause::Denied),
    ("403 forbidden", Cause::Denied),
    ("insufficientpermissions", Cause::Denied),
    ("insufficientfilepermissions", Cause::Denied),
    ("insufficientscopes", Cause::Denied),
    ("401 unauthorized", Cause::Unauthenticated),
    ("invalid_grant", Cause::Unauthenticated),
    ("invalidaccesskeyid", Cause::Unauthenticated),
    ("signaturedoesnotmatch", Cause::Unauthenticated),
    ("unable to authenticate", Cause::Unauthenticated),
    ("no space left on device", Cause::Full),
    ("disk quota exceeded", Cause::Full),
    ("storagequotaexceeded", Cause::Full),
    ("insufficient storage", Cause::Full),
    ("insufficient_space", Cause::Full),
    ("nosuchbucket", Cause::NoContainer),
    ("not a directory", Cause::Invalid),
    ("file name too long", Cause::Invalid),
];

/// What stands behind a failure if it does not pass by itself, by what rclone wrote meanwhile; `None` if that does not
/// show.
pub(super) fn lasting(log: &str) -> Option<Cause> {
    let log = log.to_ascii_lowercase();
    if PASSING.iter().any(|words| log.contains(words)) {
        return None;
    }
    LASTING.iter().find(|(words, _)| log.contains(words)).map(|(_, cause)| *cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table() {
        for (log, expected) in [
            ("x: Failed to copy: open /srv/x: permission denied", Some(Cause::Denied)),
            ("mkdir /sys/kernel/tmp: operation not permitted", Some(Cause::Denied)),
            (
                "Failed to copy: AccessDenied: Access Denied\n\tstatus code: 403",
                Some(Cause::Denied),
            ),
            (
                "googleapi: Error 403: The user does not have sufficient permissions for this file., \
                 insufficientFilePermissions",
                Some(Cause::Denied),
            ),
            ("googleapi: Error 403: User Rate Limit Exceeded, userRateLimitExceeded", None),
            (
                "googleapi: Error 403: The user's Drive storage quota has been exceeded., \
                 storageQuotaExceeded",
                Some(Cause::Full),
            ),
            (
                "oauth2: cannot fetch token: 400 Bad Request: {\"error\": \"invalid_grant\"}",
                Some(Cause::Unauthenticated),
            ),
            ("write /srv/x: no space left on device", Some(Cause::Full)),
            ("mkdir /srv/file: not a directory", Some(Cause::Invalid)),
            ("Post \"https://example\": dial tcp: lookup example: no such host", None),
            ("AccessDenied on one, 503 Service Unavailable on another", None),
            ("", None),
        ] {
            assert_eq!(lasting(log), expected, "{log}");
        }
    }
}
