//! Whether this state directory may write to the database's replica.

use std::time::Duration;

use lifeboat_repository::{Claim, LeaseOutcome, Time};

use super::Capture;
use crate::state::hostname;
use crate::{Error, Note, Result};

/// The silence after which another host may take over from this one.
const LEASE_TTL: Duration = Duration::from_secs(60);

impl Capture<'_> {
    /// Makes sure that no other host holds the lease of the database, if need be by taking it over.
    ///
    /// Where nobody has taken one, a backup needs none: it writes a lineage of its own.
    ///
    /// [`Error::LeaseHeld`] if the holder may be there, unless the user says that it is not.
    pub(super) fn require_lease(&self) -> Result<()> {
        let Some(lease) = self.repository.lease(&self.address)? else { return Ok(()) };
        let hostname = hostname();
        let claim = Claim {
            holder: self.node,
            hostname: &hostname,
            ttl: LEASE_TTL,
            own: None,
            take_over: self.options.take_over,
        };
        let name = || self.target.name.clone();
        match self.repository.take_lease(&self.address, &claim, Time::now())? {
            LeaseOutcome::Held(_) => Ok(()),
            LeaseOutcome::Taken { .. } => {
                let from = lease.hostname;
                self.progress.note(&Note::TakenOver { source: name(), from });
                Ok(())
            }
            LeaseOutcome::Refused { lease: newer, last_upload, until } => Err(Error::LeaseHeld {
                name: name(),
                hostname: newer.unwrap_or(lease).hostname,
                last_upload,
                until,
            }),
        }
    }
}
