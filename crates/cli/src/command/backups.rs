//! `lifeboat backups`

use lifeboat::{
    BackupEntry, BackupName, DatabaseSource, Error, Manifest, Source, Time, backup_names, backups,
};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::BackupsArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size, table};

/// How many tables are shown by name; `ls` shows all.
const TABLES: usize = 4;

pub(super) fn run(session: &Session, arguments: &BackupsArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    let by_content =
        arguments.source.is_some() || arguments.tag.is_some() || arguments.backup_type.is_some();
    if !opened.can_read() && !by_content {
        return by_name(session, arguments, backup_names(&opened)?);
    }
    let mut entries = backups(&opened)?;
    entries.retain(|entry| fits(entry, arguments));
    entries.truncate(arguments.latest.unwrap_or(usize::MAX));
    let unreadable = entries.iter().any(|entry| entry.manifest.is_err());
    if session.global.json {
        output::json(&Value::Array(entries.iter().map(document).collect()))?;
    } else if entries.is_empty() {
        session.say("no backups")?;
    } else {
        show(&entries)?;
    }
    Ok(if unreadable { Exit::Failed } else { Exit::Ok })
}

/// What whoever cannot open anything gets to see.
fn by_name(
    session: &Session,
    arguments: &BackupsArguments,
    mut names: Vec<BackupName>,
) -> Result<Exit, Error> {
    names.retain(|name| arguments.host.as_ref().is_none_or(|host| *host == name.host));
    names.truncate(arguments.latest.unwrap_or(usize::MAX));
    if session.global.json {
        let named = |name: &BackupName| json!({ "id": name.id, "host": name.host, "started": name.started, "sealed": true });
        output::json(&Value::Array(names.iter().map(named).collect()))?;
        return Ok(Exit::Ok);
    }
    if names.is_empty() {
        session.say("no backups")?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![table::heading(["ID", "TIME", "HOST"])];
    rows.extend(
        names.iter().map(|name| vec![name.id.short(), local(name.started), name.host.clone()]),
    );
    table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
    if !session.global.quiet {
        output::note("what they hold is not shown: neither password nor --identity is given");
    }
    Ok(Exit::Ok)
}

/// A backup that cannot be read is always shown: nobody knows what it holds.
fn fits(entry: &BackupEntry, arguments: &BackupsArguments) -> bool {
    let Ok(manifest) = &entry.manifest else { return true };
    let of_host = arguments.host.as_ref().is_none_or(|host| *host == manifest.host);
    let tagged = arguments.tag.as_ref().is_none_or(|tag| manifest.tags.contains(tag));
    let holds = arguments.source.as_ref().is_none_or(|source| {
        let is_at = |one: &Source| one.database().is_some_and(|database| database.path == *source);
        manifest.sources.iter().any(|one| one.name() == Some(source) || is_at(one))
    });
    let of_type = arguments.backup_type.is_none() || arguments.backup_type == manifest.backup_type;
    of_host && tagged && of_type && holds
}

fn show(entries: &[BackupEntry]) -> Result<(), Error> {
    let mut rows =
        vec![table::heading(["ID", "TIME", "HOST", "SOURCE", "SIZE", "STORED", "HOLDS"])];
    for entry in entries {
        match &entry.manifest {
            Ok(manifest) => rows.extend(lines(manifest)),
            Err(error) => rows.push(vec![
                entry.name.id.short(),
                local(entry.name.started),
                entry.name.host.clone(),
                format!("cannot be read: {}", chain(error)),
            ]),
        }
    }
    table::columns(&rows).iter().try_for_each(|line| output::line(line))
}

/// One line for each source of a backup; the first one names the backup.
fn lines(manifest: &Manifest) -> Vec<Vec<String>> {
    let mut note = Vec::new();
    note.extend(manifest.label.iter().map(|label| format!("\"{label}\"")));
    note.extend(manifest.backup_type.iter().map(|name| format!("[{name}]")));
    note.extend(manifest.tags.iter().map(|tag| format!("#{tag}")));
    if !manifest.problems.is_empty() {
        note.push("partial".to_owned());
    }
    let row = |source: &Source| {
        vec![
            String::new(),
            String::new(),
            String::new(),
            source.name().cloned().unwrap_or_default(),
            size::bytes(source.size_bytes()),
            size::bytes(source.stored_bytes()),
            content(source),
        ]
    };
    let mut rows: Vec<Vec<String>> = manifest.sources.iter().map(row).collect();
    if rows.is_empty() {
        rows.push(vec![String::new(); 7]);
    }
    rows[0][0] = manifest.id.short();
    rows[0][1] = local(manifest.started);
    rows[0][2].clone_from(&manifest.host);
    if !note.is_empty() {
        rows[0][6] = format!("{}  {}", note.join(" "), rows[0][6]);
    }
    rows
}

/// What there is of a source.
fn content(source: &Source) -> String {
    match source {
        Source::Database(database) => tables(database),
        Source::Files(files) => size::count(files.files, "file"),
        Source::Command(command) => format!("output of {}", command.command),
        Source::Device(device) => format!("device {}", device.path),
        Source::Unknown => "written by a newer version of Lifeboat".to_owned(),
    }
}

/// The largest tables.
fn tables(database: &DatabaseSource) -> String {
    let mut counted: Vec<(&String, u64)> = database
        .tables
        .iter()
        .filter(|(name, _)| !name.starts_with("sqlite_"))
        .map(|(name, rows)| (name, rows.unwrap_or_default()))
        .collect();
    counted.sort_by_key(|(name, rows)| (std::cmp::Reverse(*rows), *name));
    let more = counted.len().saturating_sub(TABLES);
    let mut text: Vec<String> = counted
        .iter()
        .take(TABLES)
        .map(|(name, rows)| format!("{name} {}", size::number(*rows)))
        .collect();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}

/// A time in the zone of this machine, as people write it.
pub(crate) fn local(time: Time) -> String {
    let zoned = time.timestamp().to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What a script gets to see of a backup.
pub(super) fn document(entry: &BackupEntry) -> Value {
    match &entry.manifest {
        Ok(manifest) => {
            let mut document = json!(manifest);
            let sum = |of: fn(&Source) -> u64| manifest.sources.iter().map(of).sum::<u64>();
            document["size_bytes"] = json!(sum(Source::size_bytes));
            document["stored_bytes"] = json!(sum(Source::stored_bytes));
            document["partial"] = json!(!manifest.problems.is_empty());
            document
        }
        Err(error) => json!({
            "id": entry.name.id, "host": entry.name.host, "started": entry.name.started,
            "error": chain(error),
        }),
    }
}
