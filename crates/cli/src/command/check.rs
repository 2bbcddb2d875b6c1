//! `lifeboat check`

use lifeboat::{CheckOptions, CheckReport, Error, check};
use serde_json::json;

use super::Session;
use crate::arguments::CheckArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size};

pub(super) fn run(session: &Session, arguments: &CheckArguments) -> Result<Exit, Error> {
    let opened = session.context.open_repository()?;
    let options = CheckOptions { read_data: arguments.read_data };
    let report = check(&opened, options, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        show(session, &report, arguments.read_data)?;
    }
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Failed })
}

fn show(session: &Session, report: &CheckReport, read_data: bool) -> Result<(), Error> {
    for finding in &report.findings {
        output::line(&format!("damaged: {}", chain(&finding.error)))?;
    }
    for key in &report.unfinished {
        session.say(&format!("left by an unfinished upload: {key}"))?;
    }
    let read = if read_data {
        format!(", {} read", size::bytes(report.read_bytes))
    } else {
        ", contents not read (--read-data does)".to_owned()
    };
    let files = size::count(report.files, "file");
    if report.is_clean() {
        return session.say(&format!(
            "no damage: {} can be restored, {files}{read}",
            size::count(report.restorable.len() as u64, "backup")
        ));
    }
    output::line(&format!(
        "{} can be restored, {} cannot; {files}{read}",
        size::count(report.restorable.len() as u64, "backup"),
        report.lost.len()
    ))?;
    for (what, names) in [("can be restored", &report.restorable), ("lost", &report.lost)] {
        for name in names {
            output::line(&format!(
                "  {}  {}  {what}",
                name.id.short(),
                super::backups::local(name.started)
            ))?;
        }
    }
    Ok(())
}

fn document(report: &CheckReport) -> serde_json::Value {
    let ids = |names: &[lifeboat::BackupName]| names.iter().map(|name| name.id).collect::<Vec<_>>();
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({ "object": finding.key, "error": chain(&finding.error) }))
        .collect();
    json!({
        "message_type": "summary",
        "clean": report.is_clean(),
        "restorable": ids(&report.restorable),
        "lost": ids(&report.lost),
        "files": report.files,
        "read_bytes": report.read_bytes,
        "findings": findings,
        "unfinished": report.unfinished,
    })
}
