//! What Drive refuses, and why.

use serde::Deserialize;

use crate::http::Response;
use crate::{Cause, Failure};

#[derive(Deserialize)]
struct Answer {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

/// The failure that an answer is.
pub(super) fn failure(response: Response) -> Failure {
    let status = response.status();
    let mut reason = String::new();
    let mut failure = response.into_failure_saying(|text| {
        let Ok(Answer { error }) = serde_json::from_str(text) else { return text.to_owned() };
        reason = error.errors.into_iter().next().map(|first| first.reason).unwrap_or_default();
        if reason.is_empty() { error.message } else { format!("{} ({reason})", error.message) }
    });
    failure.cause = cause(status, &reason).unwrap_or(failure.cause);
    failure
}

fn cause(status: u16, reason: &str) -> Option<Cause> {
    Some(match (status, reason) {
        (
            _,
            "userRateLimitExceeded"
            | "rateLimitExceeded"
            | "quotaExceeded"
            | "dailyLimitExceeded"
            | "sharingRateLimitExceeded",
        ) => Cause::Throttled,
        (
            _,
            "storageQuotaExceeded"
            | "teamDriveFileLimitExceeded"
            | "numChildrenInNonRootLimitExceeded"
            | "activeItemCreationLimitExceeded"
            | "myDriveHierarchyDepthLimitExceeded",
        ) => Cause::Full,
        (_, "authError") => Cause::Unauthenticated,
        (_, "accessNotConfigured" | "SERVICE_DISABLED") => Cause::Denied,
        (404, _) => Cause::NoContainer,
        (409, _) => Cause::Unavailable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_causes() {
        for (status, reason, expected) in [
            (403, "userRateLimitExceeded", Some(Cause::Throttled)),
            (403, "rateLimitExceeded", Some(Cause::Throttled)),
            (403, "storageQuotaExceeded", Some(Cause::Full)),
            (403, "insufficientFilePermissions", None),
            (404, "notFound", Some(Cause::NoContainer)),
            (500, "internalError", None),
        ] {
            assert_eq!(cause(status, reason), expected, "{reason}");
        }
    }
}
