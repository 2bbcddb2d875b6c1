//! The merges that a prune begins with.

use std::collections::BTreeMap;

use lifeboat::{CompactPlan, CompactReport, Error, Merge};
use serde_json::{Value, json};

use super::Session;
use crate::output::{chain, size};

/// Shows which would be made: by database and reason, with `--verbose` each.
pub(super) fn show(session: &Session, plan: &CompactPlan) -> Result<(), Error> {
    let mut groups: BTreeMap<(&str, &str, u8), Vec<&Merge>> = BTreeMap::new();
    for lineage in &plan.lineages {
        let database = lineage.lineage.database();
        for merge in &lineage.merges {
            let group = (database.host(), database.name(), merge.name.level);
            groups.entry(group).or_default().push(merge);
        }
    }
    for ((host, name, level), merges) in groups {
        let (files, bytes) = amount(&merges);
        let (files, merged) = (size::count(files, "file"), merges.len());
        let bytes = size::bytes(bytes);
        let reason = reason(level);
        session.say(&format!(
            "would merge {files} ({bytes}) of {name} on {host} into {merged}: {reason}"
        ))?;
        for merge in merges.iter().filter(|_| session.global.verbose) {
            let (files, bytes) = amount(&[merge]);
            let (files, bytes) = (size::count(files, "file"), size::bytes(bytes));
            let (min, max) = (merge.name.min.get(), merge.name.max.get());
            session.say(&format!("  {bytes}  {files}  transactions {min:x} to {max:x}"))?;
        }
    }
    Ok(())
}

/// Files and stored bytes that go in. What is made on the way has no bytes yet.
fn amount(merges: &[&Merge]) -> (u64, u64) {
    let inputs = || merges.iter().flat_map(|merge| &merge.inputs);
    (inputs().count() as u64, inputs().map(lifeboat::LtxFile::size).sum())
}

/// Why files are merged into one of this level.
fn reason(level: u8) -> String {
    match level {
        8 => "between backups, or of one day".to_owned(),
        level => format!("for rung {} of the ladder", level + 1),
    }
}

/// What was merged, if anything was to be.
pub(super) fn sentence(report: &CompactReport) -> Option<String> {
    if report.merges == 0 && report.skipped == 0 {
        return None;
    }
    let files = size::count(report.merged_files, "file");
    let written = size::bytes(report.written_bytes);
    let mut text = format!("merged {files} into {} ({written} written)", report.merges);
    if report.skipped > 0 {
        let merges = size::count(report.skipped, "merge");
        text += &format!("; {merges} could not be made now");
    }
    Some(text)
}

/// What a script gets to see of it.
pub(super) fn document(report: &CompactReport) -> Value {
    let findings = report.findings.iter();
    let findings: Vec<_> = findings
        .map(|finding| json!({ "object": finding.key, "error": chain(&finding.error) }))
        .collect();
    json!({
        "merges": report.merges,
        "merged_files": report.merged_files,
        "written_bytes": report.written_bytes,
        "skipped": report.skipped,
        "findings": findings,
    })
}

/// What a script gets to see of what would be merged.
pub(super) fn document_of_plan(plan: &CompactPlan) -> Value {
    let mut merges = Vec::new();
    for lineage in &plan.lineages {
        let (address, database) = (&lineage.lineage, lineage.lineage.database());
        for merge in &lineage.merges {
            let (files, bytes) = amount(&[merge]);
            merges.push(json!({
                "host": database.host(), "database": database.name(), "lineage": address.id(),
                "level": merge.name.level, "min_txid": merge.name.min.to_string(),
                "max_txid": merge.name.max.to_string(), "time": merge.name.time,
                "files": files, "bytes": bytes, "reason": reason(merge.name.level),
            }));
        }
    }
    Value::Array(merges)
}
