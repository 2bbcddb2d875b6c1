//! The databases that lie among the files of a source.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_files::{Entry, Exclusion, FoundFile, Problem, Skip, Walk, WalkItem};
use lifeboat_repository::PlacedDatabase;
use lifeboat_restic::{Source, SourceItem, escape};
use lifeboat_sqlite::SIDECARS;

use crate::FilesTarget;
use crate::backup::Taken;
use crate::destination::suffixed;
use crate::sources::inside::is_database;

/// The databases among files: those that are captured are left out, with what SQLite keeps beside them. One
/// that could not be captured is stored as it lies there: better than nothing of it.
pub(super) struct Among {
    captured: HashSet<(u64, u64)>,
    companions: HashSet<PathBuf>,
    failed: HashSet<(u64, u64)>,
    /// Where the captured ones belong.
    pub(super) placed: Vec<PlacedDatabase>,
}

impl Among {
    pub(super) fn of(target: &FilesTarget, taken: &Taken) -> Self {
        let is_captured =
            |name: &String| taken.sources.iter().any(|source| source.name() == Some(name));
        let (mut captured, mut companions) = (HashSet::new(), HashSet::new());
        let (mut failed, mut placed) = (HashSet::new(), Vec::new());
        for database in &target.databases {
            let inode = (database.device, database.inode);
            if !is_captured(&database.name) {
                failed.insert(inode);
                continue;
            }
            captured.insert(inode);
            companions.extend(SIDECARS.map(|suffix| suffixed(&database.path, suffix)));
            let path = escape(database.path.as_os_str());
            placed.push(PlacedDatabase { name: database.name.clone(), path });
        }
        Self { captured, companions, failed, placed }
    }

    /// What a walk leaves out because it is captured.
    pub(super) fn skip(&self) -> Skip {
        let (captured, companions) = (self.captured.clone(), self.companions.clone());
        Arc::new(move |entry: &Entry| {
            let inode = (entry.metadata.device, entry.metadata.inode);
            captured.contains(&inode) || companions.contains(&entry.path)
        })
    }

    /// The walk as a source. With `told`, databases that were not there when they were looked for are told.
    pub(super) fn source(&self, walk: Walk, told: bool) -> WalkedFiles {
        let known = told.then(|| self.failed.clone());
        WalkedFiles { walk, pending: None, known, excluded: 0 }
    }
}

/// A walk that tells of databases that were not there when they were looked for. They are stored as they lie
/// there, which may be half of a transaction: better than nothing of them.
pub(super) struct WalkedFiles {
    walk: Walk,
    /// The file after its problem.
    pending: Option<SourceItem>,
    /// Databases that are stored as files; `None`: all are, because that was asked for.
    known: Option<HashSet<(u64, u64)>>,
    /// How much rules have left out; a directory counts once.
    pub(super) excluded: u64,
}

impl WalkedFiles {
    fn is_new_database(&self, file: &FoundFile) -> bool {
        let inode = (file.entry.metadata.device, file.entry.metadata.inode);
        self.known.as_ref().is_some_and(|known| !known.contains(&inode)) && is_database(file)
    }
}

impl Source for WalkedFiles {
    fn next(&mut self) -> Option<SourceItem> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        let item = Iterator::next(&mut self.walk)?;
        let is_excluded =
            matches!(&item, WalkItem::LeftOut { why, .. } if *why != Exclusion::Skipped);
        self.excluded += u64::from(is_excluded);
        let WalkItem::File(file) = &item else { return Some(item.into()) };
        if !self.is_new_database(file) {
            return Some(item.into());
        }
        let problem = Problem {
            path: file.entry.path.clone(),
            operation: "store as a database",
            source: std::io::Error::other("it came while the backup was made"),
        };
        self.pending = Some(item.into());
        Some(SourceItem::Problem(problem))
    }
}
