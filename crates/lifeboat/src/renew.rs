//! Writes new bases of databases where they are due, so that restores need less and old files can go.

use lifeboat_repository::{DatabaseAddress, Time, base_due};

use crate::capture::store_with_base;
use crate::error::chain;
use crate::state::{DatabaseState, known_states};
use crate::{DatabaseTarget, Error, OpenRepository, Problem, Progress, Result};

/// What was renewed.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Databases of which a base was written, and its bytes.
    pub bases: Vec<(String, u64)>,
    /// Databases of which one is due and could not be written.
    pub problems: Vec<Problem>,
}

/// Writes a base of each database of this state directory for which one is due: what changed since the
/// last one takes more than that, or that is older than 30 days. What changed since the last backup is
/// stored beside it, so that the chain goes on beneath.
///
/// A database that is replicated is left to its replication.
pub fn renew_bases(opened: &OpenRepository<'_>, progress: &dyn Progress) -> Result<Renewed> {
    opened.require_writable()?;
    let mut renewed = Renewed::default();
    for state in known_states(opened.context().state())? {
        if !is_due(opened, &state)? {
            continue;
        }
        let target = DatabaseTarget { name: state.name, path: state.path };
        match store_with_base(opened, &target, progress) {
            Ok(Some(bytes)) => renewed.bases.push((target.name, bytes)),
            // Another lineage begins with a base; and a replication looks after its own.
            Ok(None) | Err(Error::Busy { .. }) => {}
            Err(error) => {
                progress.end();
                renewed.problems.push(Problem {
                    source: target.name,
                    path: None,
                    error: chain(&error),
                });
            }
        }
    }
    Ok(renewed)
}

fn is_due(opened: &OpenRepository<'_>, state: &DatabaseState) -> Result<bool> {
    if !state.positions.contains_key(&opened.id()) {
        return Ok(false);
    }
    let address = DatabaseAddress::new(&opened.context().host_name(), &state.name)?;
    let listing = opened.repository().listing(&address.lineage(state.lineage)?)?;
    Ok(!listing.fenced && base_due(&listing.files, Time::now()).is_some())
}
