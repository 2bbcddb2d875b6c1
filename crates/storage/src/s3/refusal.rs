//! Why a store refused a request.

use crate::http::Response;
use crate::{Cause, Failure, xml};

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What S3 calls it; empty where the answer has no body, as to `HEAD`.
    pub(super) code: String,
    pub(super) failure: Failure,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}

/// What the body of a refusal says.
#[derive(Debug, Default)]
struct Told {
    code: String,
    message: String,
    region: Option<String>,
}

impl Told {
    fn read(text: &str) -> Self {
        let Ok(document) = xml::parse(text) else {
            return Self { message: text.to_owned(), ..Self::default() };
        };
        let root = document.root_element();
        // Some wrap it in `ErrorResponse`.
        let error = xml::children(root, "Error").next().unwrap_or(root);
        let field = |name| xml::text(error, name).unwrap_or_default().to_owned();
        let code = field("Code");
        if code.is_empty() {
            return Self { message: text.to_owned(), ..Self::default() };
        }
        let details = field("Details");
        let message = if details.is_empty() {
            field("Message")
        } else {
            format!("{} ({details})", field("Message"))
        };
        let region = Some(field("Region")).filter(|region| !region.is_empty());
        Self { code, message, region }
    }
}

impl Refusal {
    /// Of an answer, which is no success.
    pub(super) fn of(response: Response) -> Self {
        let status = response.status();
        let region = response.header("x-amz-bucket-region").map(str::to_owned);
        let mut told = Told::default();
        let mut failure = response.into_failure_saying(|text| {
            told = Told::read(text);
            match &*told.code {
                "" => told.message.clone(),
                code => format!("{code}: {}", told.message),
            }
        });
        let region = told.region.or(region);
        failure.cause = cause(&told.code, status).unwrap_or(failure.cause);
        if let (Cause::Invalid, Some(region)) = (failure.cause, region) {
            failure.message.push_str(&format!(" (the bucket is in the region {region})"));
        }
        Self { status, code: told.code, failure }
    }

    /// An answer that says 200 and then tells of an error, as when parts are put together.
    pub(super) fn inside(status: u16, text: &str) -> Option<Self> {
        let told = Told::read(text);
        if told.code.is_empty() {
            return None;
        }
        let message = format!("{}: {}", told.code, told.message);
        let mut failure = crate::http::of_status(status, None, &message);
        failure.cause = cause(&told.code, status).unwrap_or(Cause::Unavailable);
        Some(Self { status, code: told.code, failure })
    }

    /// A taken key, where it was asked to be free.
    pub(super) fn is_taken(&self) -> bool {
        self.status == 412
    }

    /// The store knows no condition on what is created.
    pub(super) fn is_unknown_condition(&self) -> bool {
        self.status == 501 || self.code == "NotImplemented"
    }

    /// There is no such key, or no such upload.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404
            && matches!(&*self.code, "" | "NoSuchKey" | "NoSuchUpload" | "NoSuchVersion")
    }
}

/// What stands behind a code; `None` where the status says it.
fn cause(code: &str, status: u16) -> Option<Cause> {
    Some(match code {
        "NoSuchBucket" => Cause::NoContainer,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidSecurity"
        | "MissingSecurityHeader"
        | "NotSignedUp"
        | "AuthenticationRequired"
        | "InvalidAuthentication"
        | "UnauthorizedAccess" => Cause::Unauthenticated,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Cause::Denied,
        "RequestTimeTooSkewed" => Cause::ClockSkew,
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "RateLimitExceeded" => Cause::Throttled,
        "QuotaExceeded"
        | "XMinioStorageFull"
        | "XMinioAdminBucketQuotaExceeded"
        | "InsufficientStorage"
        | "StorageCapExceeded"
        | "BucketQuotaExceeded" => Cause::Full,
        "InternalError"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "ServiceUnavailable" => Cause::Unavailable,
        "RequestTimeout" => Cause::TimedOut,
        // Broken on its way, and noticed by the other side.
        "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" | "NoSuchUpload" => {
            Cause::Interrupted
        }
        "" if matches!(status, 301 | 307) => Cause::Invalid,
        "" => return None,
        // Among them redirects, malformed headers and names, and what is not implemented.
        _ if matches!(status, 300..=399 | 400 | 405 | 501) => Cause::Invalid,
        _ => return None,
    })
}
