//! What became of the other repositories.

use lifeboat::{Brought, CleanupReport, CopyFailure, Elsewhere, Error, EverywhereReport};
use serde_json::{Value, json};

use super::document_of_cleanup;
use crate::command::Session;
use crate::exit;
use crate::output::{self, chain, size};

/// What was brought where.
pub(super) fn show(session: &Session, report: &EverywhereReport) -> Result<(), Error> {
    for Elsewhere { name, outcome } in &report.caught_up {
        if let Ok(brought) = outcome {
            let lacked = size::count(brought.copied.len() as u64, "backup");
            session.say(&format!("{} got {lacked} that it lacked from {name}", report.first))?;
        }
    }
    for Elsewhere { name, outcome } in &report.others {
        if let Ok(brought) = outcome {
            session.say(&sentence(name, brought))?;
        }
    }
    Ok(())
}

fn sentence(name: &str, brought: &Brought) -> String {
    let stored = size::bytes(brought.stored_bytes);
    let caught_up = match brought.copied.len() {
        0 | 1 => String::new(),
        copied => format!(", with {} that it lacked", size::number(copied as u64 - 1)),
    };
    format!("copied to {name}{caught_up}, {stored} stored")
}

/// Which repositories lack something now, and why.
pub(super) fn tell_failures(session: &Session, report: &EverywhereReport) {
    let json = session.global.json;
    for Elsewhere { name, outcome } in &report.caught_up {
        let failures = outcome.iter().flat_map(|brought| &brought.failures);
        for error in failures.map(|failure| &failure.error).chain(outcome.as_ref().err()) {
            output::error(error, exit::of_error(error), json);
            tell(json, &format!("{} lacks former backups that {name} has", report.first));
        }
    }
    for Elsewhere { name, outcome } in &report.others {
        match outcome {
            Ok(brought) => {
                for CopyFailure { backup, error } in &brought.failures {
                    output::error(error, exit::of_error(error), json);
                    tell(json, &format!("{name}: backup {} was not copied", backup.short()));
                }
            }
            Err(error) => {
                output::error(error, exit::of_error(error), json);
                tell(json, &format!("{name} lacks this backup; the next one brings it, too"));
            }
        }
    }
}

fn tell(json: bool, text: &str) {
    if !json {
        output::note(text);
    }
}

/// Adds to the summary what became of each repository, and of its cleanup.
pub(super) fn add(
    summary: &mut Value,
    report: &EverywhereReport,
    cleaned: &[(String, Result<CleanupReport, Error>)],
) {
    let of = |name: &str| {
        let found = cleaned.iter().find(|(cleaned, _)| cleaned == name)?;
        Some(match &found.1 {
            Ok(cleaned) => document_of_cleanup(cleaned),
            Err(error) => json!({ "error": chain(error) }),
        })
    };
    if let Some(cleaned) = of(&report.first) {
        summary["cleanup"] = cleaned;
    }
    let others = report.others.iter().map(|elsewhere| {
        let mut document = document(elsewhere);
        if let Some(cleaned) = of(&elsewhere.name) {
            document["cleanup"] = cleaned;
        }
        document
    });
    summary["others"] = others.collect();
    summary["caught_up"] = report.caught_up.iter().map(document).collect();
}

fn document(elsewhere: &Elsewhere) -> Value {
    let complete = elsewhere.is_complete();
    match &elsewhere.outcome {
        Ok(brought) => json!({
            "name": elsewhere.name,
            "repository": brought.location,
            "link": brought.link,
            "complete": complete,
            "copied": brought.copied.iter().map(|manifest| manifest.id).collect::<Vec<_>>(),
            "stored_bytes": brought.stored_bytes,
            "failed": brought.failures.iter().map(|failure| {
                json!({ "id": failure.backup, "error": chain(&failure.error) })
            }).collect::<Vec<_>>(),
        }),
        Err(error) => {
            json!({ "name": elsewhere.name, "complete": complete, "error": chain(error) })
        }
    }
}
