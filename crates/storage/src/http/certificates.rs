//! Whom we trust.

use std::fs;
use std::path::Path;

use ureq::tls::{Certificate, PemItem, parse_pem};

use crate::remote::Attempt;
use crate::{Cause, Failure};

/// The system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and those of a file. Where the
/// system has none, every secure connection fails as untrusted.
pub(super) fn trusted(file: Option<&Path>) -> Attempt<Vec<Certificate<'static>>> {
    let system = rustls_native_certs::load_native_certs();
    let mut certificates: Vec<_> = system
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    if let Some(file) = file {
        certificates.extend(from_file(file)?);
    }
    Ok(certificates)
}

fn from_file(file: &Path) -> Attempt<Vec<Certificate<'static>>> {
    let refused = |problem: &dyn std::fmt::Display| {
        Failure::new(Cause::Local, format!("certificates of {}: {problem}", file.display()))
    };
    let pem = fs::read(file).map_err(|error| refused(&error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refused(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(refused(&"there is none in it"));
    }
    Ok(certificates)
}
