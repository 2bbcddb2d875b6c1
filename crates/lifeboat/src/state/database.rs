//! What this host knows of a database: where its lineage stands, what each page was, and how far
//! each repository has come.
//!
//! ```text
//! databases/<name>/
//!     lock           held while a process works on the database
//!     state.json
//!     pages          the page array
//!     changes        what a capture found, while it is pending
//!     pages.new      a new page array, while it is pending
//!     behind-<repository>-<txid>   pages that changed since that repository's position
//!     objects-<repository>         the objects that were written to it
//!     spool/         captures that some repository still lacks, and copies that merges are made of
//!     outbox-<repository>/         sealed objects on their way there
//!     merges/<lineage>/            merges of captures, until the next rung is made of them
//!     merged-<repository>/         sealed merges on their way there
//!     scratch/       spool and private copies, emptied at each start
//! ```
//!
//! A capture is recorded in `state.json` as pending before anything of it is applied; every step
//! after that can be done again. Whether its upload succeeded does not matter here: a repository's
//! position moves only when it did, and until then it is *behind*, by pages that are written down.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{LineageId, Time, text};
use lifeboat_sqlite::{Bitmap, PageArray, apply_changes};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::file::{create_private_directory, create_private_file, load, save};
use super::ledger::Ledger;
use super::numbers::{read_numbers, write_numbers};
use super::seen::Seen;
use super::spool::{Spool, Spooled};
use crate::{Error, Result};

/// Where the lineage of a database stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatabaseState {
    /// The database's file.
    pub(crate) path: PathBuf,
    /// Its name.
    pub(crate) name: String,
    /// The lineage.
    pub(crate) lineage: LineageId,
    /// Bytes in a page.
    pub(crate) page_size: u32,
    /// The last capture.
    pub(crate) captured: Captured,
    /// The highest transaction that was ever given, where that is not the last capture: the state was
    /// rebuilt from an older point.
    #[serde(default, with = "text::optional")]
    pub(crate) given: Option<Txid>,
    /// A capture that is being recorded.
    #[serde(default)]
    pub(crate) pending: Option<Pending>,
    /// How far each repository is, by its id.
    #[serde(default)]
    pub(crate) positions: BTreeMap<String, Position>,
}

/// One capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Captured {
    /// Its transaction; `None` before the first.
    #[serde(with = "text::optional")]
    pub(crate) txid: Option<Txid>,
    /// When.
    pub(crate) time: Time,
    /// The database checksum.
    #[serde(with = "text::optional")]
    pub(crate) checksum: Option<Checksum>,
    /// What the next capture is held against; `None` where it must read everything.
    #[serde(default)]
    pub(crate) seen: Option<Seen>,
}

/// A capture on its way into the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// What will be the last capture.
    pub(crate) captured: Captured,
    /// Whether `pages.new` replaces the page array; else `changes` is applied to it.
    pub(crate) whole: bool,
}

/// How far a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The last transaction it holds.
    #[serde(with = "text")]
    pub(crate) txid: Txid,
    /// The database checksum there.
    #[serde(with = "text")]
    pub(crate) checksum: Checksum,
}

impl DatabaseState {
    /// The highest transaction that it knows to have been given.
    pub(crate) fn highest(&self) -> Option<Txid> {
        let pending = self.pending.as_ref().and_then(|pending| pending.captured.txid);
        self.captured.txid.max(pending).max(self.given)
    }
}

/// The directory of one database, locked by this process.
#[derive(Debug)]
pub(crate) struct DatabaseStateFile {
    directory: PathBuf,
    _lock: File,
}

/// The part of a database's directory in which merges are made, beside the one who holds its lock.
#[derive(Debug, Clone)]
pub(crate) struct Merging {
    /// Captures, which others add and remove.
    pub(crate) spool: Spool,
    /// Merges of captures of one lineage, until the next rung is made of them.
    pub(crate) merges: Spool,
    directory: PathBuf,
}

impl Merging {
    /// Sealed merges on their way to a repository.
    pub(crate) fn outbox(&self, repository: &str) -> PathBuf {
        self.directory.join(format!("merged-{repository}"))
    }

    /// What is known of the objects in a repository.
    pub(crate) fn ledger(&self, repository: &str) -> Ledger {
        Ledger::of(&self.directory, repository)
    }
}

impl DatabaseStateFile {
    /// Locks the directory of a database, and empties its scratch.
    ///
    /// [`Error::Busy`] if another process holds it.
    pub(crate) fn lock(directory: &Path, name: &str) -> Result<Self> {
        create_private_directory(directory)?;
        let path = directory.join("lock");
        let lock = create_private_file(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::Busy { name: name.to_owned() })?;
        let scratch = directory.join("scratch");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(Error::file("empty", &scratch))?;
        }
        create_private_directory(&scratch)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// The name and path that a directory is used for, without locking it.
    pub(crate) fn owner(directory: &Path) -> Result<Option<(String, PathBuf)>> {
        Ok(Self::peek_at(directory)?.map(|state| (state.name, state.path)))
    }

    /// The state in a directory that another process may be using.
    pub(crate) fn peek_at(directory: &Path) -> Result<Option<DatabaseState>> {
        match load(&directory.join("state.json")) {
            // It belongs to nobody any more; a capture says so and begins anew.
            Err(Error::State { .. }) => Ok(None),
            state => state,
        }
    }

    /// What waits in the spool of a directory that another process may be using.
    pub(crate) fn waiting_at(directory: &Path) -> Result<Vec<Spooled>> {
        Spool::at(directory.join("spool")).waiting()
    }

    /// The state, with a capture that was pending brought to its end.
    pub(crate) fn load(&self) -> Result<Option<DatabaseState>> {
        let Some(mut state) = load::<DatabaseState>(&self.state_path())? else { return Ok(None) };
        if state.pending.is_some() {
            self.settle(&mut state, None)?;
        }
        self.catch_up(&mut state)?;
        Ok(Some(state))
    }

    /// Takes over the captures of the spool that the state does not know yet.
    fn catch_up(&self, state: &mut DatabaseState) -> Result<()> {
        let mut waiting = self.spool().waiting()?;
        waiting.retain(|spooled| Some(spooled.max) > state.captured.txid);
        if waiting.is_empty() {
            return Ok(());
        }
        let array = PageArray::open(&self.pages())?;
        for spooled in waiting {
            array.replay(spooled.decoder()?)?;
            state.captured = spooled.captured()?;
        }
        array.sync()?;
        self.save(state)
    }

    /// Removes a capture from the spool, once the state that knows it is durable. Repositories that
    /// have not come so far lack its pages from now on.
    pub(crate) fn release(&self, state: &DatabaseState, spooled: &Spooled) -> Result<()> {
        let mut pages = None;
        for (repository, position) in &state.positions {
            if position.txid < spooled.max {
                if pages.is_none() {
                    pages = Some(spooled.pages()?);
                }
                self.fall_behind(repository, position, pages.iter().flatten().copied())?;
            }
        }
        spooled.remove()
    }

    /// The state as it stands in its file, though the other files may not fit it; `None` where
    /// there is none, or none that can be read.
    pub(crate) fn peek(&self) -> Option<DatabaseState> {
        load(&self.state_path()).ok().flatten()
    }

    /// Takes over a state that was made anew, whose page array is `pages.new`.
    ///
    /// The array goes first: a former state that can be read must stay until the new one is there,
    /// because it may be all that tells which numbers were given. With the new array under it, it
    /// fails the next capture's sum, and all is done again.
    pub(crate) fn adopt(&self, state: &DatabaseState) -> Result<()> {
        let new = self.new_pages();
        std::fs::rename(&new, self.pages()).map_err(Error::file("replace", &new))?;
        super::sync_directory_of(&new)?;
        self.save(state)?;
        self.remove_all_but(&["lock", "state.json", "pages"])?;
        // What waits there goes on from a state that is no more.
        self.remove_directories()
    }

    /// Writes the state.
    pub(crate) fn save(&self, state: &DatabaseState) -> Result<()> {
        save(&self.state_path(), state)
    }

    /// Records a capture durably. Nothing of it may be visible in a repository before.
    pub(crate) fn record(&self, state: &mut DatabaseState, pending: Pending) -> Result<()> {
        state.pending = Some(pending);
        self.save(state)
    }

    /// Applies a pending capture, which `reached` holds now; every other repository falls behind.
    /// Doing so again changes nothing.
    pub(crate) fn settle(
        &self,
        state: &mut DatabaseState,
        reached: Option<(&str, Position)>,
    ) -> Result<()> {
        if let Some(pending) = state.pending.take() {
            if !state.positions.is_empty() && self.changes().exists() {
                // Who holds this transaction already lacks nothing of it: a base may only repeat it.
                let others = state.positions.iter().filter(|(repository, position)| {
                    Some(position.txid) != pending.captured.txid
                        && reached.as_ref().is_none_or(|(reached, _)| reached != repository)
                });
                for (repository, position) in others {
                    let pages = lifeboat_sqlite::changed_pages(&self.changes())?;
                    self.fall_behind(repository, position, pages)?;
                }
            }
            if pending.whole {
                let new = self.new_pages();
                if new.exists() {
                    std::fs::rename(&new, self.pages()).map_err(Error::file("replace", &new))?;
                    super::sync_directory_of(&new)?;
                }
            } else {
                apply_changes(&self.changes(), &PageArray::open(&self.pages())?)?;
            }
            state.captured = pending.captured;
        }
        let former = reached.and_then(|(repository, position)| {
            let former = state.positions.insert(repository.to_owned(), position);
            former.map(|former| self.behind_path(repository, &former))
        });
        self.save(state)?;
        // Named after the former position, so that it is never taken for what the new one lacks.
        former.map_or(Ok(()), |path| self.remove(&path))?;
        self.remove(&self.changes())
    }

    /// Adds pages to those that a repository lacks.
    fn fall_behind(
        &self,
        repository: &str,
        position: &Position,
        more: impl IntoIterator<Item = u32>,
    ) -> Result<()> {
        let mut more = more.into_iter().peekable();
        if more.peek().is_none() {
            return Ok(());
        }
        let path = self.behind_path(repository, position);
        let mut pages = read_numbers(&path)?;
        pages.extend(more);
        pages.sort_unstable();
        pages.dedup();
        let new = path.with_extension("new");
        write_numbers(&new, &pages)?;
        std::fs::rename(&new, &path).map_err(Error::file("replace", &path))?;
        super::sync_directory_of(&path)
    }

    /// The pages that a repository lacks, besides those of a new capture.
    pub(crate) fn behind(
        &self,
        repository: &str,
        position: &Position,
        pages: &mut Bitmap,
    ) -> Result<()> {
        for pgno in read_numbers(&self.behind_path(repository, position))? {
            pages.insert(pgno);
        }
        for spooled in self.spool().waiting()? {
            if spooled.max > position.txid {
                spooled.pages()?.into_iter().for_each(|pgno| pages.insert(pgno));
            }
        }
        Ok(())
    }

    /// Whether a repository lacks pages that are not all in the spool.
    pub(crate) fn is_behind(&self, repository: &str, position: &Position) -> bool {
        self.behind_path(repository, position).exists()
    }

    /// Forgets everything: a new lineage begins.
    pub(crate) fn clear(&self) -> Result<()> {
        // The state goes first: without it the other files mean nothing.
        self.remove(&self.state_path())?;
        self.remove_all_but(&["lock"])?;
        self.remove_directories()
    }

    /// Removes the spool and the outboxes.
    fn remove_directories(&self) -> Result<()> {
        let entries =
            std::fs::read_dir(&self.directory).map_err(Error::file("read", &self.directory))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && path != self.scratch() {
                remove_directory(&path).map_err(Error::file("remove", &path))?;
            }
        }
        Ok(())
    }

    fn remove_all_but(&self, kept: &[&str]) -> Result<()> {
        let entries =
            std::fs::read_dir(&self.directory).map_err(Error::file("read", &self.directory))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !kept.iter().any(|kept| name == *kept) && entry.path().is_file() {
                self.remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn state_path(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    fn behind_path(&self, repository: &str, position: &Position) -> PathBuf {
        self.directory.join(format!("behind-{repository}-{}", position.txid))
    }

    /// Captures that some repository still lacks.
    pub(crate) fn spool(&self) -> Spool {
        Spool::at(self.directory.join("spool"))
    }

    /// What merges of a lineage are made of, and where they go.
    pub(crate) fn merging(&self, lineage: LineageId) -> Merging {
        let directory = self.directory.clone();
        let merges = Spool::at(directory.join("merges").join(lineage.to_string()));
        Merging { spool: self.spool(), merges, directory }
    }

    /// Sealed objects on their way to a repository.
    pub(crate) fn outbox(&self, repository: &str) -> PathBuf {
        self.directory.join(format!("outbox-{repository}"))
    }

    /// What is known of the objects in a repository.
    pub(crate) fn ledger(&self, repository: &str) -> Ledger {
        Ledger::of(&self.directory, repository)
    }

    /// The page array.
    pub(crate) fn pages(&self) -> PathBuf {
        self.directory.join("pages")
    }

    /// The page array that a whole capture writes.
    pub(crate) fn new_pages(&self) -> PathBuf {
        self.directory.join("pages.new")
    }

    /// What a capture found.
    pub(crate) fn changes(&self) -> PathBuf {
        self.directory.join("changes")
    }

    /// A directory for temporary files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.directory.join("scratch")
    }
}

/// Removes a directory in which other threads may be at work: what one adds meanwhile goes with the next
/// try, and what one takes away is gone.
fn remove_directory(path: &Path) -> std::io::Result<()> {
    const TRIES: usize = 16;
    let mut removed = Ok(());
    for _ in 0..TRIES {
        removed = std::fs::remove_dir_all(path);
        match &removed {
            Ok(()) => break,
            Err(_) if !path.exists() => return Ok(()),
            Err(_) => {}
        }
    }
    removed
}
