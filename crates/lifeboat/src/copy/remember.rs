//! What this host knows of a repository to which its own backups were copied: so that a backup which is made
//! there directly goes on from the copies, and nothing that was written is read again.

use std::sync::{Mutex, PoisonError};

use lifeboat_repository::{DatabaseSource, Manifest, ObjectRef, Source, StoredTree};

use crate::names::directory_of;
use crate::state::{DatabaseStateFile, Ledger, Position};
use crate::{Error, OpenRepository, Result};

/// The objects that this host has written to a repository, of the databases of a backup of its own.
pub(super) fn known_objects(to: &OpenRepository<'_>, backup: &Manifest) -> Result<Vec<ObjectRef>> {
    let mut known = Vec::new();
    if is_own(to, backup) {
        for database in databases(backup) {
            known.extend(ledger(to, database)?.objects()?.into_values());
        }
    }
    Ok(known)
}

/// Remembers a copy of a backup of this host.
pub(super) fn remember(to: &OpenRepository<'_>, copy: &Manifest) -> Result<()> {
    if !is_own(to, copy) {
        return Ok(());
    }
    for database in databases(copy) {
        let ledger = ledger(to, database)?;
        let known = ledger.objects()?;
        let is_new = |object: &&ObjectRef| known.get(&object.key) != Some(*object);
        let new: Vec<ObjectRef> = database.objects.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            ledger.append(&new)?;
        }
        move_on(to, database)?;
    }
    for source in &copy.sources {
        if let (Source::Files(files), Some(stored)) = (source, source.stored()) {
            remember_snapshot(to, &files.name, stored)?;
        }
    }
    Ok(())
}

fn is_own(to: &OpenRepository<'_>, backup: &Manifest) -> bool {
    backup.host == to.context().host_name()
}

fn databases(backup: &Manifest) -> impl Iterator<Item = &DatabaseSource> {
    backup.sources.iter().filter_map(Source::database)
}

fn ledger(to: &OpenRepository<'_>, database: &DatabaseSource) -> Result<Ledger> {
    let state = to.context().state();
    let directory = directory_of(state, &database.name, database.path.as_ref())?;
    Ok(Ledger::of(&directory, &to.id()))
}

/// Copies to several repositories go on at once, and the state of a database has room for one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Moves the repository's position, if it holds the last capture now. Whoever has the database in use knows
/// where it stands.
fn move_on(to: &OpenRepository<'_>, database: &DatabaseSource) -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let state = to.context().state();
    let directory = directory_of(state, &database.name, database.path.as_ref())?;
    let files = match DatabaseStateFile::lock(&directory, &database.name) {
        Err(Error::Busy { .. }) => return Ok(()),
        files => files?,
    };
    let Some(mut state) = files.load()? else { return Ok(()) };
    let reached = Position { txid: database.txid, checksum: database.checksum };
    let is_last = state.lineage == database.lineage
        && state.captured.txid == Some(reached.txid)
        && state.captured.checksum == Some(reached.checksum);
    if !is_last || state.positions.get(&to.id()) == Some(&reached) {
        return Ok(());
    }
    files.settle(&mut state, Some((&to.id(), reached)))
}

fn remember_snapshot(to: &OpenRepository<'_>, name: &str, stored: &StoredTree) -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let state = to.context().state();
    // What cannot be read is made anew: it only spares work.
    let Some(mut files) = state.files(name).ok().flatten() else { return Ok(()) };
    files.snapshots.insert(to.id(), stored.snapshot);
    state.remember_files(&files)
}
