//! Looks for the newest backup of a database that can be restored, and goes on where one turns out
//! to be damaged.

use std::collections::VecDeque;

use lifeboat_repository::BackupName;

use crate::select::{candidates, database_in, no_backup};
use crate::selected::Selected;
use crate::{Detour, Error, OpenRepository, Progress, Result, Selection, Silent};

/// How many other backups an error names.
const OTHERS: usize = 5;

/// The backups that a selection may mean, from the newest to the oldest, and what became of those
/// that were tried.
#[derive(Debug)]
pub(crate) struct Search {
    selection: Selection,
    waiting: VecDeque<BackupName>,
    /// Why the first backup was refused.
    refused: Option<(BackupName, Error)>,
    pub(crate) detour: Detour,
}

impl Search {
    pub(crate) fn begin(opened: &OpenRepository<'_>, selection: &Selection) -> Result<Self> {
        Ok(Self {
            selection: selection.clone(),
            waiting: candidates(opened, selection)?.into(),
            refused: None,
            detour: Detour::default(),
        })
    }

    /// The next backup to which a way leads, by names and sizes. What objects contain shows when
    /// they are read: [`Search::refuse`].
    ///
    /// [`Error::Unrestorable`] if there is none, or if the one that the user named is none.
    pub(crate) fn next(
        &mut self,
        opened: &OpenRepository<'_>,
        progress: &dyn Progress,
    ) -> Result<Selected> {
        while let Some(name) = self.waiting.pop_front() {
            match self.select(opened, &name, progress) {
                Ok(Some(selected)) => {
                    // An older backup of another database is no replacement.
                    self.selection.source = Some(selected.database.name.clone());
                    return Ok(selected);
                }
                Ok(None) => {}
                Err(error) if error.is_damage() => self.refuse(opened, name, error, progress)?,
                Err(error) => return Err(error),
            }
        }
        Err(match self.refused.take() {
            Some((backup, source)) => {
                Error::Unrestorable { backup, others: Vec::new(), source: Box::new(source) }
            }
            None => no_backup(opened, &self.selection),
        })
    }

    /// Passes a damaged backup over; if the user named it, that is an error.
    pub(crate) fn refuse(
        &mut self,
        opened: &OpenRepository<'_>,
        name: BackupName,
        error: Error,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.selection.names_backup() {
            let others = self.others(opened, &name)?;
            return Err(Error::Unrestorable { backup: name, others, source: Box::new(error) });
        }
        self.detour.skip(name.clone(), &error, progress);
        self.refused.get_or_insert((name, error));
        Ok(())
    }

    /// The database of a backup that is meant, and a way to it; `None` if the backup has none.
    fn select(
        &mut self,
        opened: &OpenRepository<'_>,
        name: &BackupName,
        progress: &dyn Progress,
    ) -> Result<Option<Selected>> {
        let manifest = opened.manifest(name)?;
        let wanted = self.selection.source.as_deref();
        let Some(database) = database_in(opened, &manifest, wanted)? else { return Ok(None) };
        Selected::plan(opened, &manifest, &database, &mut self.detour, progress).map(Some)
    }

    /// The newest other backups of the database to which a way leads, as far as it is known.
    fn others(&self, opened: &OpenRepository<'_>, refused: &BackupName) -> Result<Vec<BackupName>> {
        let mut names = opened.repository().backups()?;
        names.retain(|name| name.host == refused.host && name.id != refused.id);
        let mut search = Self {
            selection: Selection { backup: None, ..self.selection.clone() },
            waiting: names.into(),
            refused: None,
            detour: self.detour.clone(),
        };
        let mut others = Vec::new();
        while others.len() < OTHERS {
            match search.next(opened, &Silent) {
                Ok(selected) => others.push(selected.name),
                // The last one was seen, or it is not clear which database is meant.
                Err(
                    Error::Unrestorable { .. } | Error::NoBackup { .. } | Error::Ambiguous { .. },
                ) => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(others)
    }
}
