//! A backup of a database that is replicated: the replication captures it.

use std::time::Duration;

use lifeboat_repository::{BackupId, DatabaseAddress, DatabaseSource};
use serde_json::Value;

use super::objects::objects;
use crate::names::directory_of;
use crate::replicate::{NOT_HERE, Question, ask};
use crate::state::Ledger;
use crate::{DatabaseTarget, Error, OpenRepository, Result};

/// How long a capture may take to get into the repository.
const PATIENCE: Duration = Duration::from_secs(600);

/// Has the replication of a database capture it, and pins that for a backup; `None` if none of this
/// state directory replicates it.
pub(super) fn capture_replicated(
    opened: &OpenRepository<'_>,
    target: &DatabaseTarget,
    backup: BackupId,
) -> Result<Option<DatabaseSource>> {
    let context = opened.context();
    let question = Question::Capture { database: target.name.clone(), repository: opened.id() };
    let answers = ask(context.state_path(), &question, PATIENCE);
    let Some(answer) = answers.into_iter().find(|answer| answer["error"] != NOT_HERE) else {
        return Ok(None);
    };
    let mut source = parse(&answer)
        .map_err(|problem| Error::Replication { name: target.name.clone(), problem })?;
    let address = DatabaseAddress::new(&context.host_name(), &target.name)?;
    let lineage = address.lineage(source.lineage)?;
    opened.repository().write_pin(&lineage, source.txid, backup)?;
    let directory = directory_of(context.state(), &target.name, &target.path)?;
    let ledger = Ledger::of(&directory, &opened.id());
    source.objects = objects(opened, &lineage, source.txid, &ledger)?;
    Ok(Some(source))
}

fn parse(answer: &Value) -> Result<DatabaseSource, String> {
    if let Some(problem) = answer["error"].as_str() {
        return Err(problem.to_owned());
    }
    serde_json::from_value(answer["source"].clone()).map_err(|error| error.to_string())
}
