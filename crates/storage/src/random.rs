//! Names that nobody else gives, and secrets.

use std::io;

use crate::hash::hex;
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// So many random bytes, in hex digits.
pub(crate) fn random_hex<const BYTES: usize>() -> io::Result<String> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random)?;
    Ok(hex(&random))
}

/// The same for a purpose that is named: "name for an upload".
pub(crate) fn random_hex_for<const BYTES: usize>(purpose: &str) -> Attempt<String> {
    random_hex::<BYTES>()
        .map_err(|error| Failure::new(Cause::Local, format!("no random {purpose}: {error}")))
}
