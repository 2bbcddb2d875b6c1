//! `lifeboat check`

use lifeboat::{BackupName, CheckOptions, CheckReport, Error, check};
use serde_json::json;

use super::Session;
use super::backups::local;
use crate::arguments::CheckArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size};

pub(super) fn run(session: &Session, arguments: &CheckArguments) -> Result<Exit, Error> {
    let opened = session.context.open_repository()?;
    let options = CheckOptions { read_data: arguments.read_data };
    let report = check(&opened, options, &session.progress)?;
    let by_names = !opened.can_read();
    if session.global.json {
        output::json(&document(&report, arguments.read_data, by_names))?;
    } else {
        let read = if arguments.read_data {
            format!(", {} read", size::bytes(report.read_bytes))
        } else if by_names {
            "; nothing was opened, for want of a password or --identity".to_owned()
        } else {
            ", contents not read (--read-data does)".to_owned()
        };
        let backups = !opened.repository().is_replica();
        show(session, &report, backups, &read, arguments.read_data)?;
    }
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Failed })
}

fn show(
    session: &Session,
    report: &CheckReport,
    backups: bool,
    read: &str,
    read_data: bool,
) -> Result<(), Error> {
    for finding in &report.findings {
        output::line(&format!("damaged: {}", chain(&finding.error)))?;
    }
    for key in &report.unfinished {
        session.say(&format!("left by an unfinished upload: {key}"))?;
    }
    let files = size::count(report.files, "file");
    if report.is_clean() && !backups {
        // Litestream makes none: the points are what can be restored.
        return session.say(&format!("no damage: {files}{read}"));
    }
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
    for name in &report.restorable {
        line_of(name, "can be restored")?;
    }
    for name in &report.lost {
        line_of(name, &describe_loss(report, name))?;
    }
    for hint in hints(report, read_data) {
        output::note(&format!("hint: {hint}"));
    }
    Ok(())
}

fn line_of(name: &BackupName, what: &str) -> Result<(), Error> {
    output::line(&format!("  {}  {}  {what}", name.id.short(), local(name.started)))
}

/// What of a backup is lost; some of its databases may not be.
fn describe_loss(report: &CheckReport, name: &BackupName) -> String {
    let lost: Vec<&str> = lost_databases(report, name).collect();
    if lost.is_empty() {
        return "lost".to_owned();
    }
    format!("lost: {}; the others can be restored", lost.join(", "))
}

fn lost_databases<'a>(
    report: &'a CheckReport,
    name: &'a BackupName,
) -> impl Iterator<Item = &'a str> {
    let of_this = report.lost_databases.iter().filter(move |lost| lost.backup == *name);
    of_this.map(|lost| lost.name.as_str())
}

/// Whether the next backup of some host would build upon what is damaged.
fn is_newest_lost(report: &CheckReport) -> bool {
    let newer = |lost: &BackupName| {
        report.restorable.iter().any(|other| other.host == lost.host && other > lost)
    };
    report.lost.iter().any(|lost| !newer(lost))
}

/// What to do about damage.
fn hints(report: &CheckReport, read_data: bool) -> Vec<String> {
    let mut hints = Vec::new();
    if let (Some(name), false) = (report.restorable.first(), report.lost.is_empty()) {
        let sure = if read_data { "" } else { ", by names and sizes" };
        hints.push(format!(
            "the newest backup that can be restored{sure} is {} of {}: lifeboat restore --backup {}",
            name.id.short(),
            local(name.started),
            name.id.short(),
        ));
    }
    let of_data = |key: &str| key.starts_with("databases/") || key.starts_with("backups/");
    let others = report.findings.iter().filter(|finding| !of_data(&finding.key));
    hints.extend(others.map(|one| format!("put {} back from a copy of the repository", one.key)));
    if report.lost.is_empty() && hints.is_empty() {
        hints.push("every backup can be restored without what is damaged".to_owned());
    }
    if is_newest_lost(report) {
        hints.push(
            "`lifeboat backup --base` stores a database whole again: later backups then need none \
             of the damaged files"
                .to_owned(),
        );
    }
    if !read_data {
        hints.push("`lifeboat check --read-data` finds damage inside of objects, too".to_owned());
    }
    hints
}

fn document(report: &CheckReport, read_data: bool, by_names: bool) -> serde_json::Value {
    let ids = |names: &[BackupName]| names.iter().map(|name| name.id).collect::<Vec<_>>();
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({ "object": finding.key, "error": chain(&finding.error) }))
        .collect();
    let lost_databases: Vec<_> = report
        .lost_databases
        .iter()
        .map(|lost| json!({ "backup_id": lost.backup.id, "database": lost.name }))
        .collect();
    let hints = if report.is_clean() { Vec::new() } else { hints(report, read_data) };
    json!({
        "message_type": "summary",
        "clean": report.is_clean(),
        "names_only": by_names,
        "restorable": ids(&report.restorable),
        "lost": ids(&report.lost),
        "lost_databases": lost_databases,
        "files": report.files,
        "read_bytes": report.read_bytes,
        "findings": findings,
        "unfinished": report.unfinished,
        "hints": hints,
    })
}
