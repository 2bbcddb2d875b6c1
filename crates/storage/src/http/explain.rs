//! What went wrong below HTTP.

use std::io;

use ureq::Timeout;

use super::one_line;
use crate::{Cause, Failure};

/// Why no answer came from a host.
pub(super) fn request(host: &str, error: &ureq::Error) -> Failure {
    let (cause, what) = explain(error);
    Failure::new(cause, one_line(&format!("{host}: {what}")))
}

/// Why the rest of an answer did not come from a host.
pub(super) fn reading(host: &str, error: &io::Error) -> Failure {
    let (cause, what) = match inner::<ureq::Error>(error) {
        Some(error) => explain(error),
        None => explain_io(error),
    };
    Failure::new(cause, one_line(&format!("{host}: {what}")))
}

fn inner<E: std::error::Error + 'static>(error: &io::Error) -> Option<&E> {
    error.get_ref()?.downcast_ref()
}

fn explain(error: &ureq::Error) -> (Cause, String) {
    use ureq::Error;
    match error {
        Error::HostNotFound => (Cause::Unreachable, "its name cannot be resolved".to_owned()),
        Error::ConnectionFailed => (Cause::Unreachable, "it cannot be connected to".to_owned()),
        Error::ConnectProxyFailed(answer) => {
            (Cause::Unreachable, format!("the proxy says {answer}"))
        }
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            (Cause::Unreachable, "no connection within the time for it".to_owned())
        }
        Error::Timeout(_) => (Cause::TimedOut, "silent for too long".to_owned()),
        Error::Io(error) => explain_io(error),
        Error::Rustls(error) => explain_tls(error),
        Error::Tls(what) => (Cause::Untrusted, (*what).to_owned()),
        Error::BadUri(_) | Error::Http(_) => (Cause::Invalid, "no address".to_owned()),
        Error::InvalidProxyUrl => (Cause::Invalid, "the proxy has no valid address".to_owned()),
        other => (Cause::Protocol, other.to_string()),
    }
}

fn explain_io(error: &io::Error) -> (Cause, String) {
    use io::ErrorKind as Kind;
    if let Some(error) = inner::<rustls::Error>(error) {
        return explain_tls(error);
    }
    if let Some(error) = inner::<ureq::Error>(error) {
        return explain(error);
    }
    // The standard library's words for what the resolver says; it has no kind of its own.
    if error.to_string().starts_with("failed to lookup address") {
        return (Cause::Unreachable, "its name cannot be resolved".to_owned());
    }
    match error.kind() {
        Kind::ConnectionRefused
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable => (Cause::Unreachable, error.to_string()),
        Kind::TimedOut | Kind::WouldBlock => (Cause::TimedOut, "silent for too long".to_owned()),
        Kind::UnexpectedEof => (Cause::Interrupted, "the connection was closed".to_owned()),
        _ => (Cause::Interrupted, error.to_string()),
    }
}

fn explain_tls(error: &rustls::Error) -> (Cause, String) {
    (Cause::Untrusted, format!("no secure connection: {error}"))
}
