//! The newest backups: is there one of every database, and how old is it.

use std::collections::BTreeMap;

use lifeboat_repository::{BackupName, Manifest, Repository, Secrets, Source, Time};

use super::finding::Diagnosis;
use crate::{Error, size};

const HOUR: i64 = 3_600_000;
/// As many manifests are read in search of a database.
const MOST: usize = 100;

/// Judges the newest backup of every database of this host. Without secrets only names are known,
/// which say when, but not of what.
pub(super) fn examine(
    repository: &Repository,
    secrets: Option<&Secrets>,
    own: &[BackupName],
    databases: &[&str],
    now: Time,
) -> Vec<Diagnosis> {
    const EXAMINED: &str = "newest backup";
    let Some(newest) = own.first() else {
        return vec![Diagnosis::warning(EXAMINED, "none of this host", "lifeboat backup")];
    };
    let Some(secrets) = secrets else {
        return vec![judge_age("of this host", newest.started, now)];
    };
    let mut findings = Vec::new();
    let mut missing: BTreeMap<&str, Option<Time>> =
        databases.iter().map(|name| (*name, None)).collect();
    for (at, name) in own.iter().take(MOST).enumerate() {
        if at > 0 && missing.values().all(Option::is_some) {
            break;
        }
        match repository.manifest(name, secrets) {
            Ok(signed) => {
                if at == 0 {
                    findings.extend(judge_problems(&signed.manifest));
                }
                note_databases(&signed.manifest, &mut missing);
            }
            Err(error) => findings.push(
                Diagnosis::failed(EXAMINED, Error::from(error))
                    .remedy("lifeboat check --read-data says what can still be restored"),
            ),
        }
    }
    if databases.is_empty() {
        findings.push(judge_age("of this host", newest.started, now));
    }
    findings.extend(missing.iter().map(|(name, time)| match time {
        Some(time) => judge_age(&format!("of {name}"), *time, now),
        None => {
            let found = format!("none of {name}");
            Diagnosis::warning(EXAMINED, found, "lifeboat backup, with its path or name")
        }
    }));
    findings
}

/// Older manifests do not replace what newer ones said.
fn note_databases(manifest: &Manifest, missing: &mut BTreeMap<&str, Option<Time>>) {
    for database in manifest.sources.iter().filter_map(Source::database) {
        if let Some(time @ None) = missing.get_mut(database.name.as_str()) {
            *time = Some(manifest.started);
        }
    }
}

fn judge_problems(manifest: &Manifest) -> Option<Diagnosis> {
    if manifest.problems.is_empty() {
        return None;
    }
    let sources: Vec<_> = manifest.problems.iter().map(|problem| problem.source.as_str()).collect();
    let found = format!("it is partial: it lacks {}", sources.join(", "));
    let remedy = format!("lifeboat ls {} says why", manifest.id.short());
    Some(Diagnosis::warning("newest backup", found, remedy))
}

fn judge_age(what: &str, started: Time, now: Time) -> Diagnosis {
    let age = (now.millis() - started.millis()).max(0);
    let found = format!("{what}: {} old", size::age(age.unsigned_abs()));
    let remedy = "lifeboat backup, and see why what calls it every day did not";
    match age / HOUR {
        0..24 => Diagnosis::ok("newest backup", found),
        24..48 => Diagnosis::warning("newest backup", found, remedy),
        _ => Diagnosis::problem("newest backup", found, remedy),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::Time;

    use super::super::finding::Severity;
    use super::{HOUR, judge_age};

    #[test]
    fn backups_are_wanted_every_day() {
        let now = Time::from_millis(2_000_000 * HOUR);
        for (hours, severity) in [
            (-3, Severity::Ok),
            (0, Severity::Ok),
            (23, Severity::Ok),
            (24, Severity::Warning),
            (47, Severity::Warning),
            (48, Severity::Problem),
            (9_000, Severity::Problem),
        ] {
            let started = Time::from_millis(now.millis() - hours * HOUR);
            assert_eq!(judge_age("of app", started, now).severity, severity, "{hours}");
        }
    }
}
