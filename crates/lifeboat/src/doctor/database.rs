//! One database: can it be read, and is it in a state in which it can be protected.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_sqlite::{Condition, Error, JournalMode, condition, users};
use rustix::fs::{Access, access};

use super::access::{closed_directory, owner_and_mode, user};
use super::finding::{Area, Diagnosis, Examination};
use super::journal::Companions;
use super::{integrity, journal, mount, room, store};
use crate::mount::mount_of;
use crate::{Context, Progress, size};

/// Free pages are worth a VACUUM from this share of a database on …
const FREE_PERCENT: u64 = 25;
/// … and these bytes.
const FREE_BYTES: u64 = 64 << 20;

/// A database that is examined.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    /// Its name in backups; its path where it cannot be read.
    pub(super) name: String,
    /// Its path as it was given.
    pub(super) path: PathBuf,
    /// What was learnt of it, where it can be read.
    pub(super) vitals: Option<Vitals>,
}

/// What other examinations need to know of a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vitals {
    pub(super) size_bytes: u64,
    pub(super) journal_mode: JournalMode,
    pub(super) device: u64,
}

/// Examines a database; with `integrity`, SQLite's own check is part of it.
pub(super) fn examine(
    context: &Context,
    patient: &mut Patient,
    integrity: bool,
    progress: &dyn Progress,
) -> Examination {
    let path = patient.path.clone();
    let mut examination = Examination::new(Area::Database, path.display().to_string());
    let real = match reach(&path) {
        Ok(real) => real,
        Err(diagnosis) => {
            examination.add([diagnosis]);
            return examination;
        }
    };
    examination.add(judge_names(&path, &real));
    let companions = Companions::of(&real);
    let state = match condition(&real) {
        Ok(Some(state)) => state,
        Ok(None) => {
            examination.add([Diagnosis::ok("content", "an empty database")]);
            return examination;
        }
        Err(error) => {
            examination.add([judge_error(error, &real)]);
            return examination;
        }
    };
    let vitals = Vitals::of(&state, &real);
    patient.vitals = Some(vitals);
    examination.add(judge_pages(&state, vitals.size_bytes));
    examination.add(journal::examine(&state, companions));
    examination.add(mount_of(&real).map(|mount| mount::judge(&mount.kind, vitals.journal_mode)));
    if let Some(directory) = real.parent() {
        examination.add([room::examine(directory, vitals.size_bytes, "a restore beside it")]);
    }
    examination.add(users(&real).map(|users| Diagnosis::ok("users", format!("open by {users}"))));
    examination.add(store::beside(&real));
    if integrity {
        examination.add(integrity::examine(context, &path, vitals.copy_bytes(&state), progress));
    }
    examination
}

impl Vitals {
    fn of(state: &Condition, real: &Path) -> Self {
        let size_bytes = u64::from(state.page_count) * u64::from(state.header.page_size);
        let wal = state.header.wal;
        Self {
            size_bytes,
            journal_mode: if wal { JournalMode::Wal } else { JournalMode::Rollback },
            device: real.metadata().map_or(0, |file| file.dev()),
        }
    }

    /// What a check needs in private copies: of the file, and of its pages.
    fn copy_bytes(&self, state: &Condition) -> u64 {
        match (state.access, self.journal_mode) {
            (lifeboat_sqlite::Access::InPlace, JournalMode::Wal) => 0,
            (lifeboat_sqlite::Access::InPlace, JournalMode::Rollback) => self.size_bytes,
            _ => self.size_bytes * 2,
        }
    }
}

/// The file behind a path, or why it cannot be read.
fn reach(path: &Path) -> Result<PathBuf, Diagnosis> {
    const EXAMINED: &str = "access";
    let refused = |found: String, at: &Path| {
        let at = at.display();
        let remedy = format!("run as its owner, or let this user in: setfacl -m u:USER:rx {at}");
        Diagnosis::problem(EXAMINED, found, remedy)
    };
    let real = path.canonicalize().map_err(|source| match source.kind() {
        ErrorKind::NotFound => {
            let error = Error::Missing { path: path.to_owned() };
            Diagnosis::failed(EXAMINED, error)
                .remedy("check the path in the configuration; nothing was made there")
        }
        ErrorKind::PermissionDenied => match closed_directory(path) {
            Some(closed) => {
                let (user, at) = (user(), closed.display());
                let found = format!("{user} may not search {at} ({})", owner_and_mode(&closed));
                refused(found, &closed)
            }
            None => refused(format!("{} may not follow it: {source}", user()), path),
        },
        _ => {
            let (operation, path) = ("look at", path.to_owned());
            Diagnosis::failed(EXAMINED, Error::File { operation, path, source })
        }
    })?;
    if !real.is_file() {
        return Err(store::examine(&real));
    }
    if access(&real, Access::READ_OK).is_err() {
        let found = format!("{} may not read it ({})", user(), owner_and_mode(&real));
        return Err(refused(found, &real));
    }
    Ok(real)
}

/// Programs that open one database under several names do not find each other's WAL and journal.
fn judge_names(path: &Path, real: &Path) -> Vec<Diagnosis> {
    let mut findings = Vec::new();
    if path.symlink_metadata().is_ok_and(|file| file.is_symlink()) {
        findings.push(Diagnosis::ok("links", format!("a link to {}", real.display())));
    }
    let names = real.metadata().map_or(1, |file| file.nlink());
    if names > 1 {
        findings.push(Diagnosis::warning(
            "links",
            format!(
                "it has {names} names (hard links): programs that open it under two of them do \
                 not see each other's WAL or journal, and corrupt it"
            ),
            format!(
                "use one name everywhere; find -samefile shows them: find / -xdev -samefile {}",
                real.display()
            ),
        ));
    }
    findings
}

fn judge_error(error: Error, real: &Path) -> Diagnosis {
    match error {
        Error::NotADatabase { .. } => store::examine(real),
        Error::Locked { .. } => {
            let users = users(real).map_or_else(String::new, |users| format!(" (open by {users})"));
            let mut diagnosis = Diagnosis::failed("lock", error);
            diagnosis.found.push_str(&users);
            diagnosis
        }
        error => Diagnosis::failed("content", error),
    }
}

fn judge_pages(state: &Condition, size_bytes: u64) -> Vec<Diagnosis> {
    let page_size = u64::from(state.header.page_size);
    let pages = u64::from(state.page_count);
    let mut findings = vec![Diagnosis::ok(
        "content",
        format!(
            "SQLite database of {}, {} of {page_size} bytes",
            size::bytes(size_bytes),
            size::count(pages, "page")
        ),
    )];
    let free = u64::from(state.header.free_pages);
    if is_worth_a_vacuum(free, pages, page_size) {
        findings.push(Diagnosis::warning(
            "free pages",
            format!(
                "{} of it are free pages ({} %)",
                size::bytes(free * page_size),
                free * 100 / pages.max(1)
            ),
            "VACUUM in the application gives them back; the next backup then stores it anew",
        ));
    }
    findings
}

fn is_worth_a_vacuum(free: u64, pages: u64, page_size: u64) -> bool {
    free * 100 > pages * FREE_PERCENT && free * page_size > FREE_BYTES
}

#[cfg(test)]
mod tests {
    use super::is_worth_a_vacuum;

    #[test]
    fn free_pages_matter_by_share_and_by_size() {
        let mib = 256; // pages of 4 KiB
        for (free, pages, worth) in [
            (0, 0, false),
            (64 * mib, 100 * mib, false),
            (65 * mib, 100 * mib, true),
            (65 * mib, 260 * mib, false),
            (66 * mib, 260 * mib, true),
            (9, 10, false),
        ] {
            assert_eq!(is_worth_a_vacuum(free, pages, 4096), worth, "{free} of {pages}");
        }
    }
}
