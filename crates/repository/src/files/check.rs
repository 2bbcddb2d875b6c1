//! Whether what backups hold in the files part can be restored.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use lifeboat_restic::{
    CheckOptions, CheckReport as ResticReport, Damage, LostPath, LostRoot, ResticRepository, Root,
    SnapshotId, escape,
};

use crate::check::{CheckReport, Progress};
use crate::{Error, Repository, Result, Secrets};

/// What a check of the files part found.
#[derive(Debug, Default)]
pub(crate) struct FilesChecked {
    /// By snapshot.
    lost: HashMap<SnapshotId, LostRoot>,
    /// Why nothing at all can be restored.
    closed: Option<String>,
}

impl FilesChecked {
    /// What is lost of a snapshot that a backup names.
    pub(crate) fn lost(&self, snapshot: SnapshotId) -> Option<LostRoot> {
        match &self.closed {
            None => self.lost.get(&snapshot).cloned(),
            Some(problem) => Some(LostRoot {
                snapshot,
                problem: Some(problem.clone()),
                paths: Vec::new(),
                more_paths: false,
            }),
        }
    }
}

/// Checks the files part, if there is one or backups say so: what these name, and all other snapshots.
pub(crate) fn check_files(
    repository: &Repository,
    secrets: &Secrets,
    named: &[Root],
    options: &CheckOptions,
    report: &mut CheckReport,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<FilesChecked> {
    let files = match repository.files(secrets) {
        Ok(Some(files)) => files,
        Ok(None) if named.is_empty() => return Ok(FilesChecked::default()),
        Ok(None) => {
            let error = lifeboat_restic::Error::NoRepository { location: repository.location() };
            return Ok(closed(report, error.into()));
        }
        Err(error @ Error::Storage(_)) => return Err(error),
        Err(error) => return Ok(closed(report, error)),
    };
    let mut roots = named.to_vec();
    let known: HashSet<SnapshotId> = named.iter().map(|root| root.snapshot).collect();
    roots.extend(
        files.snapshots()?.roots().into_iter().filter(|root| !known.contains(&root.snapshot)),
    );
    let found = run(&files, &roots, options, progress)?;
    tell(report, &found);
    for lost in found.lost.iter().filter(|lost| !known.contains(&lost.snapshot)) {
        report.files_damage(format!("snapshots/{}", lost.snapshot), describe(lost));
    }
    let lost = found.lost.into_iter().map(|lost| (lost.snapshot, lost)).collect();
    Ok(FilesChecked { lost, closed: None })
}

fn run(
    files: &ResticRepository,
    roots: &[Root],
    options: &CheckOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ResticReport> {
    // Several threads read packs.
    let state = Mutex::new((progress, false));
    let read = |bytes, total| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, is_begun) = &mut *state;
        if !std::mem::replace(is_begun, true) {
            progress(Progress::Total(total));
        }
        progress(Progress::Read(bytes));
    };
    Ok(files.check(roots, options, &read)?)
}

fn closed(report: &mut CheckReport, error: Error) -> FilesChecked {
    let problem = error.to_string();
    report.findings.push(crate::Finding { key: "config".to_owned(), error });
    FilesChecked { closed: Some(problem), ..FilesChecked::default() }
}

fn tell(report: &mut CheckReport, found: &ResticReport) {
    for Damage { object, problems } in &found.damages {
        report.files_damage(object.clone(), problems.join("; "));
    }
    if found.more_damages > 0 {
        let more = format!("{} more damages are not named", found.more_damages);
        report.files_damage("the files part".to_owned(), more);
    }
    report.packs = found.packs;
    report.directories = found.trees;
    report.read_bytes += found.read_bytes;
}

/// What is lost, in a few words.
pub(crate) fn describe(lost: &LostRoot) -> String {
    let path = |lost: &LostPath| format!("{}: {}", escape(lost.path.as_os_str()), lost.problem);
    let paths = lost.paths.iter().map(path);
    let more = lost.more_paths.then(|| "and more".to_owned());
    let all: Vec<String> = lost.problem.iter().cloned().chain(paths).chain(more).collect();
    all.join("; ")
}
