//! Removes locks of the files part that nobody holds any more.

use lifeboat_restic::{Unlock, Unlocked};

use crate::files::look;
use crate::{OpenRepository, Result};

/// Removes what was left behind, or all locks: whoever holds one must be known not to work. Tells what went and
/// what stays. Where there are no files, there is nothing.
pub fn unlock(opened: &OpenRepository<'_>, which: Unlock) -> Result<Unlocked> {
    opened.require_writable()?;
    match look(opened)? {
        Some(files) => Ok(files.remove_locks(which, jiff::Timestamp::now())?),
        None => Ok(Unlocked::default()),
    }
}
