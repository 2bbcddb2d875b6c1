//! Names for files of transactions that were captured before.
//!
//! Such a transaction may have reached the repository although its backup was killed before it knew.
//! Where names have times, storing it again gives a file of another name. Where they have none, it
//! would meet its former self, other bytes under its own name; so it is stored as the next
//! transaction, which nobody has seen.

use lifeboat_repository::{LineageAddress, LtxName};

use super::Capture;
use super::take::{LEVEL_CAPTURE, LEVEL_MERGED, following};
use crate::Result;
use crate::state::DatabaseState;

impl Capture<'_> {
    /// This name, or one that no file of the lineage has.
    pub(super) fn free_name(
        &self,
        lineage: &LineageAddress,
        name: LtxName,
        state: &DatabaseState,
    ) -> Result<LtxName> {
        if self.repository.form().names_have_times() || state.captured.txid != Some(name.max) {
            return Ok(name);
        }
        let listing = self.repository.listing(lineage)?;
        let mut names = listing.files.iter().map(|file| LtxName { time: name.time, ..file.name });
        if !names.any(|taken| taken == name) {
            return Ok(name);
        }
        let level = if name.level == LEVEL_CAPTURE { LEVEL_MERGED } else { name.level };
        Ok(LtxName { level, max: following(name.max, state)?, ..name })
    }
}
