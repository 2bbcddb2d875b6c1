//! How every database stands: what its replication says, and what its repositories hold.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_repository::{DatabaseAddress, Repository, encode_name, points};

use crate::destination::suffixed;
use crate::replicate::{Activity, DatabaseStatus, LeaseStatus, Question, RepositoryStatus, ask};
use crate::state::{DatabaseState, DatabaseStateFile, known_states};
use crate::{Context, Result};

/// How long a replication may take to answer: it is never busy for long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How every database of this state directory stands.
///
/// Repositories that are configured, or named, are asked what they hold; that needs no key.
pub fn status(context: &Context) -> Result<Vec<DatabaseStatus>> {
    let mut databases: BTreeMap<String, DatabaseStatus> = BTreeMap::new();
    for state in known_states(context.state())? {
        databases.insert(state.name.clone(), stopped(context, &state)?);
    }
    for answer in ask(context.state_path(), &Question::Status, PATIENCE) {
        let list = serde_json::from_value::<Vec<DatabaseStatus>>(answer["databases"].clone());
        for database in list.unwrap_or_default() {
            databases.insert(database.name.clone(), database);
        }
    }
    let opened = context.each_repository(|_| true, |_, opened| opened.ok());
    for database in databases.values_mut() {
        let address = DatabaseAddress::new(&context.host_name(), &database.name)?;
        for repository in &mut database.repositories {
            let id = repository.id.as_deref();
            if let Some(opened) =
                opened.iter().flatten().find(|opened| Some(opened.id().as_str()) == id)
                && let Err(error) = look(opened.repository(), &address, repository)
            {
                repository.problem.get_or_insert(crate::error::chain(&error));
            }
        }
    }
    Ok(databases.into_values().collect())
}

/// One that nobody replicates now.
fn stopped(context: &Context, state: &DatabaseState) -> Result<DatabaseStatus> {
    let directory = context.state().databases().join(encode_name(&state.name)?);
    let mut waiting = DatabaseStateFile::waiting_at(&directory)?;
    // What every repository has may be left there as copies.
    let everywhere = state.positions.values().map(|position| position.txid).min();
    let newest = waiting.last().map(|spooled| (spooled.max, spooled.time));
    let captured = state.captured.txid.map(|txid| (txid, state.captured.time));
    let newest = newest.max(captured);
    waiting.retain(|spooled| Some(spooled.max) > everywhere);
    let mut repositories = Vec::new();
    for (id, position) in &state.positions {
        let lacking = || waiting.iter().filter(|spooled| spooled.max > position.txid);
        repositories.push(RepositoryStatus {
            id: Some(id.clone()),
            location: context.state().repository(id)?.location,
            protected_txid: Some(position.txid),
            lag_seconds: lacking().next().map_or(0, |spooled| spooled.time.age_seconds()),
            lag_bytes: lacking().map(|spooled| spooled.bytes).sum(),
            ..RepositoryStatus::default()
        });
    }
    Ok(DatabaseStatus {
        name: state.name.clone(),
        path: state.path.clone(),
        activity: Activity::Stopped,
        problem: (!state.path.exists()).then(|| "its file is not there".to_owned()),
        lineage: Some(state.lineage),
        txid: newest.map(|(txid, _)| txid),
        captured: newest.map(|(_, time)| time),
        wal_bytes: std::fs::metadata(suffixed(&state.path, "-wal")).map_or(0, |wal| wal.len()),
        spool_files: waiting.len() as u64,
        spool_bytes: waiting.iter().map(|spooled| spooled.bytes).sum(),
        repositories,
    })
}

/// What a repository holds of a database, by names.
fn look(
    repository: &Repository,
    address: &DatabaseAddress,
    status: &mut RepositoryStatus,
) -> Result<()> {
    let mut count = 0;
    for lineage in repository.lineages(address)? {
        let points = points(&repository.listing(&lineage)?.files);
        count += points.len() as u64;
        let oldest = points.first().map(|point| point.time);
        status.oldest = match (status.oldest, oldest) {
            (Some(known), Some(found)) => Some(known.min(found)),
            (known, found) => known.or(found),
        };
        let reached = points.iter().rfind(|point| Some(point.txid) == status.protected_txid);
        status.protected = status.protected.or(reached.map(|point| point.time));
    }
    status.points = Some(count);
    status.lease = repository.lease(address)?.map(|lease| LeaseStatus {
        epoch: lease.epoch,
        hostname: lease.hostname,
        taken: lease.taken,
    });
    Ok(())
}
