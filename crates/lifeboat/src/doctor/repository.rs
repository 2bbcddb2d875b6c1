//! One repository: can it be written to and read from, by whom, and is there room.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use lifeboat_repository::{
    BackupName, DatabaseAddress, Error as RepositoryError, Repository, Secrets, Time, encode_name,
};
use lifeboat_storage::LocalStorage;

use super::access::{judge_mode, judge_writable_directory};
use super::database::Patient;
use super::finding::{Area, Diagnosis, Examination, Severity};
use super::{drive, files_part, history, modes, probe, room};
use crate::context::{Access, Chosen};
use crate::credential::KeySource;
use crate::password::PasswordSource;
use crate::{Context, Error, Result, size};

/// Uploads are removed by a backup when they are older.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Examines a repository; also the newest backup in it and its host, where it can be listed.
pub(super) fn examine(
    context: &Context,
    chosen: Result<Chosen>,
    patients: &[Patient],
    now: Time,
) -> (Examination, Option<(Time, String)>) {
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(error) => {
            let mut examination = Examination::new(Area::Repository, "");
            examination.add([Diagnosis::failed("location", error)]);
            return (examination, None);
        }
    };
    let path = chosen.location.local_path().map(Path::to_owned);
    let mut examination = Examination::new(Area::Repository, chosen.location.to_string());
    let repository = match open(context, &chosen) {
        Ok(repository) => repository,
        Err(diagnosis) => {
            let is_to_be_made = diagnosis.severity == Severity::Ok;
            examination.add([diagnosis]);
            if let Some(path) = path.filter(|_| is_to_be_made) {
                examination.add(judge_place(&path, patients));
            }
            return (examination, None);
        }
    };
    examination.add([Diagnosis::ok("marker", describe(&repository))]);
    examination.add([if repository.form().is_sealed() {
        judge_recipient(context, &repository)
    } else {
        Diagnosis::ok("encryption", "none: so that Litestream can read it")
    }]);
    examination.add(if chosen.append_only {
        vec![Diagnosis::ok("writable", "append-only: not tried, since what is written stays")]
    } else {
        judge_writable(context, &repository)
    });
    examination.add(drive::examine(&chosen.location, now));
    let (secrets, findings) = unlock(&repository, &chosen.access);
    examination.add(findings);
    examination.add(files_part::examine(&repository, secrets.as_ref()));
    if let Some(path) = &path {
        examination.add(examine_directory(path, patients));
    }
    let newest = match repository.backups() {
        Ok(backups) => {
            let own = own_backups(context, &backups);
            let names: Vec<&str> =
                readable(patients).map(|patient| patient.name.as_str()).collect();
            examination.add(history::examine(&repository, secrets.as_ref(), &own, &names, now));
            backups.into_iter().next().map(|newest| (newest.started, newest.host))
        }
        Err(error) => {
            examination.add([Diagnosis::failed("newest backup", error)]);
            None
        }
    };
    let needed = needed_bytes(context, &repository, patients);
    let free = repository.storage().free_bytes().map_err(RepositoryError::from);
    examination.add(room::judge_found(free.map_err(Error::from), needed, "the next base"));
    (examination, newest)
}

fn open(context: &Context, chosen: &Chosen) -> Result<Repository, Diagnosis> {
    const EXAMINED: &str = "marker";
    let storage = chosen.open().map(|storage| context.wrap(storage));
    let opened = storage.and_then(|storage| Ok(Repository::open(storage)?));
    opened.map_err(|error| match &error {
        Error::Repository(RepositoryError::NoRepository { .. }) if chosen.is_default => {
            Diagnosis::ok(EXAMINED, "none yet; the first backup makes it")
        }
        Error::Repository(RepositoryError::NoRepository { .. }) => {
            let place = &chosen.location;
            let mount = place.local_path().map_or("", |_| "mount the disk that it is on, or ");
            let remedy = format!("{mount}make it: lifeboat init -r {place}");
            Diagnosis::failed(EXAMINED, error).remedy(remedy)
        }
        _ => Diagnosis::failed(EXAMINED, error),
    })
}

/// Whether a repository that is not there yet can be made.
fn judge_place(path: &Path, patients: &[Patient]) -> Vec<Diagnosis> {
    let Some(above) = path.ancestors().find(|above| above.exists()) else { return Vec::new() };
    let needed = readable(patients).filter_map(|patient| patient.vitals).map(|it| it.size_bytes);
    let mut findings = Vec::from_iter(judge_writable_directory(above, "name another with -r"));
    findings.push(room::examine(above, needed.sum(), "the first backup"));
    findings
}

fn describe(repository: &Repository) -> String {
    let marker = repository.marker();
    let id = marker.id.to_string();
    format!("repository {}, format {}, form {}", &id[..8], marker.lifeboat, marker.form.name())
}

/// Whoever can write to a repository could put their own recipient there.
fn judge_recipient(context: &Context, repository: &Repository) -> Diagnosis {
    const EXAMINED: &str = "recipient";
    let found = match repository.recipient() {
        Ok(recipient) => recipient.recipient.clone(),
        Err(error) => return Diagnosis::failed(EXAMINED, error),
    };
    let id = repository.marker().id.to_string();
    match context.state().repository(&id).map(|state| state.recipient) {
        Ok(Some(expected)) if expected == found => {
            Diagnosis::ok(EXAMINED, "backups are sealed for the recipient of the first use")
        }
        Ok(Some(expected)) => {
            let location = repository.location();
            Diagnosis::failed(
                EXAMINED,
                RepositoryError::RecipientChanged { location, expected, found },
            )
        }
        Ok(None) => Diagnosis::ok(EXAMINED, "not used from this host yet"),
        Err(error) => Diagnosis::failed(EXAMINED, error),
    }
}

fn judge_writable(context: &Context, repository: &Repository) -> Vec<Diagnosis> {
    match repository.require_writable() {
        Ok(()) => probe::examine(&context.wrap(repository.storage().clone())),
        Err(error) => vec![Diagnosis::failed("writable", error)],
    }
}

/// Tries the password, or the identity.
fn unlock(repository: &Repository, access: &Access) -> (Option<Secrets>, Vec<Diagnosis>) {
    const EXAMINED: &str = "password";
    if !repository.form().is_sealed() {
        return (Some(Secrets::none()), Vec::new());
    }
    let source = access.key.as_ref();
    let mut findings = Vec::new();
    let file = match source {
        Some(KeySource::Password(PasswordSource::File(path))) => Some(("password file", path)),
        Some(KeySource::Identity(path)) => Some(("identity file", path)),
        _ => None,
    };
    if let Some((examined, path)) = file {
        let what = format!("{examined} {}", path.display());
        findings.extend(judge_mode(examined, &what, path, "600"));
    }
    let unlocked = source.map(|source| {
        let secrets = repository.unlock_to_read(source.get()?.credential())?;
        repository.require_own_recipient(&secrets)?;
        Ok::<_, Error>(secrets)
    });
    match unlocked {
        Some(Ok(secrets)) => {
            findings.push(Diagnosis::ok(EXAMINED, "it opens the repository"));
            (Some(secrets), findings)
        }
        Some(Err(error)) => {
            findings.push(Diagnosis::failed(EXAMINED, error));
            (None, findings)
        }
        None if access.recipient.is_some() => {
            let found = "none, since a recipient is configured: restores need it elsewhere";
            findings.push(Diagnosis::ok(EXAMINED, found));
            (None, findings)
        }
        None => {
            findings.push(Diagnosis::warning(
                EXAMINED,
                "there is none: backups need none, restores do",
                "give it with --password-file, --password-command, LIFEBOAT_PASSWORD or --identity",
            ));
            (None, findings)
        }
    }
}

/// What a local directory tells besides.
fn examine_directory(path: &Path, patients: &[Patient]) -> Vec<Diagnosis> {
    let mut findings = vec![modes::examine(path)];
    let device = path.metadata().map(|directory| directory.dev()).ok();
    let beside: Vec<&str> = readable(patients)
        .filter(|patient| patient.vitals.map(|vitals| vitals.device) == device)
        .map(|patient| patient.name.as_str())
        .collect();
    if !beside.is_empty() {
        findings.push(Diagnosis::warning(
            "device",
            format!("on the same disk as {}: a disk that dies takes both", beside.join(", ")),
            "keep a repository on another disk or machine, too",
        ));
    }
    match LocalStorage::open(path).and_then(|storage| storage.stale(STALE)) {
        Ok(stale) if stale.files > 0 => findings.push(Diagnosis::warning(
            "leftovers",
            format!(
                "{} ({}) of uploads that were killed",
                size::count(stale.files, "file"),
                size::bytes(stale.bytes)
            ),
            "the next backup removes them",
        )),
        Ok(_) => {}
        Err(error) => findings.push(Diagnosis::failed("leftovers", error)),
    }
    findings
}

fn readable(patients: &[Patient]) -> impl Iterator<Item = &Patient> {
    patients.iter().filter(|patient| patient.vitals.is_some())
}

/// The backups of this host, newest first.
fn own_backups(context: &Context, backups: &[BackupName]) -> Vec<BackupName> {
    let Ok(host) = encode_name(&context.host_name()) else { return Vec::new() };
    backups.iter().filter(|backup| backup.host == host).cloned().collect()
}

/// What new bases of all databases would take: as much as the last ones, else the databases.
fn needed_bytes(context: &Context, repository: &Repository, patients: &[Patient]) -> u64 {
    let host = context.host_name();
    let needed = readable(patients).filter_map(|patient| {
        let base = last_base(repository, &host, &patient.name).unwrap_or_default();
        base.or(patient.vitals.map(|vitals| vitals.size_bytes))
    });
    needed.sum()
}

fn last_base(repository: &Repository, host: &str, name: &str) -> Result<Option<u64>> {
    let mut bases = Vec::new();
    for lineage in repository.lineages(&DatabaseAddress::new(host, name)?)? {
        let files = repository.listing(&lineage)?.files;
        bases.extend(
            files
                .iter()
                .filter(|file| file.name.level == 9)
                .map(|file| (file.name.time, file.size())),
        );
    }
    Ok(bases.into_iter().max().map(|(_, size)| size))
}
