//! `lifeboat check`

use lifeboat::{
    BackupName, CheckOptions, CheckReport, Error, LostRoot, LostSource, OpenRepository, Subset,
    check, check_without_lock, escape,
};
use serde_json::json;

use super::Session;
use super::backups::local;
use crate::arguments::CheckArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size};
use crate::stop;

/// Of a backup without pins, where there are files.
const NOT_KNOWN: &str = "not known: names do not tell";

pub(super) fn run(session: &Session, arguments: &CheckArguments) -> Result<Exit, Error> {
    stop::release_locks(&session.context)?;
    session.each_repository(|opened| check_one(session, arguments, opened))
}

fn check_one(
    session: &Session,
    arguments: &CheckArguments,
    opened: &OpenRepository<'_>,
) -> Result<Exit, Error> {
    let all = arguments.read_data.then_some(Subset::All);
    let options = CheckOptions { read_data: all.or(arguments.read_data_subset) };
    let report = if arguments.no_lock {
        check_without_lock(opened, options, &session.progress)?
    } else {
        check(opened, options, &session.progress)?
    };
    let by_names = !opened.can_read();
    if session.global.json {
        output::json(&document(&report, arguments.read_data, by_names))?;
    } else {
        let read = if options.read_data.is_some() {
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
    let mut files = size::count(report.files, "file");
    if report.packs > 0 {
        files += &format!(" and {}", size::count(report.packs, "pack"));
    }
    if report.is_clean() && !backups {
        // Litestream makes none: the points are what can be restored.
        return session.say(&format!("no damage: {files}{read}"));
    }
    if report.is_clean() {
        for name in &report.unknown {
            line_of(name, NOT_KNOWN)?;
        }
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
    for name in &report.unknown {
        line_of(name, NOT_KNOWN)?;
    }
    for name in &report.lost {
        line_of(name, &describe_loss(report, name))?;
        for lost in lost_of(report, name) {
            lost.files.iter().flat_map(lost_paths).try_for_each(|line| output::line(&line))?;
        }
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
    let lost: Vec<&str> = lost_of(report, name).map(|lost| lost.name.as_str()).collect();
    let is_some_of_it = lost_of(report, name).filter_map(|lost| lost.files.as_ref());
    if is_some_of_it.into_iter().any(|files| files.problem.is_none()) {
        return format!("not whole: {}", lost.join(", "));
    }
    if lost.is_empty() {
        return "lost".to_owned();
    }
    format!("lost: {}; the others can be restored", lost.join(", "))
}

fn lost_of<'a>(
    report: &'a CheckReport,
    name: &'a BackupName,
) -> impl Iterator<Item = &'a LostSource> {
    report.lost_sources.iter().filter(move |lost| lost.backup == *name)
}

/// The first paths of which something is lost.
fn lost_paths(lost: &LostRoot) -> Vec<String> {
    let paths = lost.paths.iter();
    let paths =
        paths.map(|lost| format!("    {}: {}", escape(lost.path.as_os_str()), lost.problem));
    let more = lost.more_paths.then(|| "    and more".to_owned());
    paths.chain(more).collect()
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
    let databases = report.lost_sources.iter().filter(|lost| lost.files.is_none());
    let lost_databases: Vec<_> = databases
        .map(|lost| json!({ "backup_id": lost.backup.id, "database": lost.name }))
        .collect();
    let lost_files: Vec<_> = report.lost_sources.iter().filter_map(document_of_lost).collect();
    let hints = if report.is_clean() { Vec::new() } else { hints(report, read_data) };
    json!({
        "message_type": "summary",
        "clean": report.is_clean(),
        "names_only": by_names,
        "restorable": ids(&report.restorable),
        "lost": ids(&report.lost),
        "unknown": ids(&report.unknown),
        "lost_databases": lost_databases,
        "lost_files": lost_files,
        "files": report.files,
        "packs": report.packs,
        "read_bytes": report.read_bytes,
        "findings": findings,
        "unfinished": report.unfinished,
        "hints": hints,
    })
}

/// `None` for a database.
fn document_of_lost(lost: &LostSource) -> Option<serde_json::Value> {
    let LostRoot { problem, paths, more_paths, .. } = lost.files.as_ref()?;
    let paths: Vec<_> = paths
        .iter()
        .map(|lost| json!({ "path": escape(lost.path.as_os_str()), "problem": lost.problem }))
        .collect();
    Some(json!({
        "backup_id": lost.backup.id,
        "source": lost.name,
        "problem": problem,
        "paths": paths,
        "more_paths": more_paths,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever names a file must not speak to the terminal of whoever checks.
    #[test]
    fn names_of_lost_files_are_one_line_each() {
        let path = "/a\nb \u{1b}[2J".into();
        let paths = vec![lifeboat::LostPath { path, problem: "gone".to_owned() }];
        let snapshot = "0".repeat(64).parse().unwrap();
        let lost = LostRoot { snapshot, problem: None, paths, more_paths: true };
        assert_eq!(lost_paths(&lost), [r"    /a\nb \x1b[2J: gone", "    and more"]);
    }
}
