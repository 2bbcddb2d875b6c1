//! Whether this state directory may write to a database's replica.

use std::time::Duration;

use lifeboat_repository::{
    Claim, DatabaseAddress, Lease, LeaseOutcome, LineageId, Repository, Time,
};

use crate::state::hostname;
use crate::{Error, Result};

/// The silence after which another host may take over from this one.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(60);

/// Takes the lease of a database, or makes sure of it. `own` is the lineage that this state directory
/// writes.
///
/// [`Error::LeaseHeld`] if another host may be there.
pub(crate) fn hold(
    repository: &Repository,
    database: &DatabaseAddress,
    name: &str,
    node: &str,
    own: Option<LineageId>,
    take_over: bool,
) -> Result<Lease> {
    let hostname = hostname();
    let claim = Claim { holder: node, hostname: &hostname, ttl: LEASE_TTL, own, take_over };
    match repository.take_lease(database, &claim, Time::now())? {
        LeaseOutcome::Held(lease) | LeaseOutcome::Taken { lease, .. } => Ok(lease),
        LeaseOutcome::Refused { lease, last_upload, until } => Err(Error::LeaseHeld {
            name: name.to_owned(),
            hostname: lease.map_or_else(|| "another host".to_owned(), |lease| lease.hostname),
            last_upload,
            until,
        }),
    }
}
