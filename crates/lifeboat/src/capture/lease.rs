//! Whether this state directory may write to the database's replica.

use super::Capture;
use crate::lease::hold;
use crate::{Note, Result};

impl Capture<'_> {
    /// Makes sure that no other host holds the lease of the database, if need be by taking it over.
    ///
    /// Where nobody has taken one, a backup needs none: it writes a lineage of its own.
    ///
    /// [`Error::LeaseHeld`](crate::Error::LeaseHeld) if the holder may be there, unless the user says
    /// that it is not.
    pub(super) fn require_lease(&self) -> Result<()> {
        let Some(former) = self.repository.lease(&self.address)? else { return Ok(()) };
        let (name, take_over) = (&self.target.name, self.options.take_over);
        hold(self.repository, &self.address, name, self.node, None, take_over)?;
        if former.holder != self.node {
            let (source, from) = (name.clone(), former.hostname);
            self.progress.note(&Note::TakenOver { source, from });
        }
        Ok(())
    }
}
