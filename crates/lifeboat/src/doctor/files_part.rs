//! The files part of a repository: does restic open it, and who has left locks behind.

use lifeboat_repository::{Repository, Secrets};
use lifeboat_restic::{Lock, ResticRepository, hostname, is_alive, is_stale};

use super::finding::Diagnosis;
use crate::{Result, size};

const LOCKS: &str = "locks";

/// Nothing where there are no files, or nobody can read them.
pub(super) fn examine(repository: &Repository, secrets: Option<&Secrets>) -> Vec<Diagnosis> {
    let Some(secrets) = secrets else { return Vec::new() };
    match repository.files(secrets) {
        Ok(None) => Vec::new(),
        Ok(Some(files)) => {
            let locks = judge_locks(&files).unwrap_or_else(|error| Diagnosis::failed(LOCKS, error));
            let key = judge_key(repository, secrets);
            key.into_iter().chain([locks]).collect()
        }
        Err(error) => vec![Diagnosis::failed("files part", error)],
    }
}

fn judge_key(repository: &Repository, secrets: &Secrets) -> Option<Diagnosis> {
    const EXAMINED: &str = "restic key";
    match repository.has_restic_key(secrets) {
        Ok(None) => None,
        Ok(Some(true)) => {
            Some(Diagnosis::ok(EXAMINED, "restic opens the files with this password, too"))
        }
        Ok(Some(false)) => Some(Diagnosis::warning(
            EXAMINED,
            "restic does not open the files with this password",
            "the next backup of files mends it",
        )),
        Err(error) => Some(Diagnosis::failed(EXAMINED, error)),
    }
}

fn judge_locks(files: &ResticRepository) -> Result<Diagnosis> {
    let (locks, now, host) = (files.locks()?, jiff::Timestamp::now(), hostname());
    if let Some((_, error)) = locks.unreadable.into_iter().next() {
        return Ok(
            Diagnosis::failed(LOCKS, error).remedy("lifeboat unlock --all, if nobody is at work")
        );
    }
    let is_left = |lock: &Lock| is_stale(lock, now, &host, is_alive);
    let (left, held): (Vec<_>, Vec<_>) =
        locks.readable.into_iter().map(|(_, lock)| lock).partition(is_left);
    Ok(match (left.first(), held.first()) {
        (Some(lock), _) => Diagnosis::warning(
            LOCKS,
            format!("{} left behind, as by {lock}", size::count(left.len() as u64, "lock")),
            "lifeboat unlock",
        ),
        (None, Some(lock)) => Diagnosis::ok(LOCKS, format!("in use by {lock}")),
        (None, None) => Diagnosis::ok(LOCKS, "none"),
    })
}
