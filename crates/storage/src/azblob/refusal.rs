//! Why the store refused a request.

use crate::http::Response;
use crate::{Cause, Failure, xml};

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What Azure calls it.
    pub(super) code: String,
    pub(super) failure: Failure,
}

impl Refusal {
    pub(super) fn of(response: Response) -> Self {
        let status = response.status();
        let mut code = response.header("x-ms-error-code").unwrap_or_default().to_owned();
        let mut detail = String::new();
        let mut failure = response.into_failure_saying(|text| {
            let Ok(document) = xml::parse(text) else {
                return format!("{code} {text}");
            };
            let root = document.root_element();
            if let Some(told) = xml::text(root, "Code") {
                told.clone_into(&mut code);
            }
            // Its message goes on with the id and the time of the request.
            let message = xml::text(root, "Message").unwrap_or_default();
            let message = message.lines().next().unwrap_or_default();
            detail = xml::text(root, "AuthenticationErrorDetail").unwrap_or_default().to_owned();
            format!("{code}: {message}")
        });
        failure.cause = cause(&code, &detail).unwrap_or(failure.cause);
        Self { status, code, failure }
    }

    /// A taken key, where it was asked to be free.
    pub(super) fn is_taken(&self) -> bool {
        self.code == "BlobAlreadyExists" || self.status == 412
    }

    pub(super) fn is_missing(&self) -> bool {
        self.status == 404 && self.failure.cause != Cause::NoContainer
    }
}

/// What stands behind a code; `None` where the status says it.
fn cause(code: &str, detail: &str) -> Option<Cause> {
    Some(match code {
        // A wrong clock has no code of its own. What else is in this detail is the form that was signed.
        "AuthenticationFailed" if detail.contains("Request date header too old") => {
            Cause::ClockSkew
        }
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            Cause::Unauthenticated
        }
        "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AccountIsDisabled"
        | "InsufficientAccountPermissions"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "PublicAccessNotPermitted" => Cause::Denied,
        "ContainerNotFound" => Cause::NoContainer,
        "ServerBusy" => Cause::Throttled,
        "InternalError" | "OperationTimedOut" | "ContainerBeingDeleted" => Cause::Unavailable,
        "BlobImmutableDueToPolicy" | "LeaseIdMissing" => Cause::Protected,
        "Md5Mismatch" | "Crc64Mismatch" => Cause::Interrupted,
        "OutOfRangeInput"
        | "InvalidResourceName"
        | "InvalidUri"
        | "InvalidHeaderValue"
        | "UnsupportedHeader"
        | "InvalidBlobType" => Cause::Invalid,
        _ => return None,
    })
}
