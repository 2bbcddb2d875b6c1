//! The plain files of this host of which merges are made: captures of the spool, and merges of former
//! rungs.
//!
//! Others add to the spool and remove from it meanwhile. What is gone when it is to be read is no
//! failure: a pass makes the merge of what the repository holds.

use std::io::{ErrorKind, Read};

use lifeboat_ltx::{Txid, TxidRange};
use lifeboat_repository::{LineageAddress, LineageId, LocalCopies, LtxName};

use crate::state::{Ledger, Merging, Spooled};
use crate::{Error, Result};

/// The most files that are merged at once: each takes 200 KiB of memory while it is.
const MOST_AT_ONCE: usize = 32;

/// The plain files of a lineage.
#[derive(Debug, Clone)]
pub(in crate::replicate) struct Local {
    lineage: LineageId,
    merging: Merging,
}

impl Local {
    pub(in crate::replicate) fn new(lineage: LineageId, merging: Merging) -> Self {
        Self { lineage, merging }
    }

    /// Sealed merges on their way to a repository.
    pub(super) fn outbox(&self, repository: &str) -> std::path::PathBuf {
        self.merging.outbox(repository)
    }

    /// What is known of the objects in a repository.
    pub(super) fn ledger(&self, repository: &str) -> Ledger {
        self.merging.ledger(repository)
    }

    /// The plain file of this name, made of others if need be; `None` where they are not here.
    pub(super) fn file(&self, name: &LtxName) -> Result<Option<Spooled>> {
        match self.make(name.min, name.max) {
            Ok(Some(file)) if self.is(&file, name)? => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&self, min: Txid, max: Txid) -> Result<Option<Spooled>> {
        let mut files = self.merging.merges.files()?;
        files.extend(self.merging.spool.files()?);
        loop {
            match way(&files, min, max).as_slice() {
                [] => return Ok(None),
                [one] => return Ok(Some((*one).clone())),
                several => {
                    let first = &several[..several.len().min(MOST_AT_ONCE)];
                    let merged = self.merging.merges.join(first)?;
                    files.push(merged);
                }
            }
        }
    }

    /// Whether a file is what its name in a repository says: the spool may be that of another lineage by
    /// now.
    fn is(&self, file: &Spooled, name: &LtxName) -> Result<bool> {
        let decoder = file.decoder()?;
        let header = decoder.header();
        Ok(header.node == self.lineage.node()
            && header.range == name.range()
            && header.timestamp_ms == name.time.millis())
    }

    /// Removes merges up to a transaction, and the oldest of more than `most` bytes.
    pub(super) fn forget(&self, merged: Option<Txid>, most: Option<u64>) -> Result<()> {
        let mut files = self.merging.merges.files()?;
        files.sort_by_key(|file| file.max);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if Some(file.max) <= merged || most.is_some_and(|most| bytes > most) {
                file.remove()?;
                bytes -= file.bytes;
            }
        }
        Ok(())
    }
}

impl LocalCopies for Local {
    fn open(&self, lineage: &LineageAddress, range: TxidRange) -> Option<Box<dyn Read + Send>> {
        if lineage.id() != self.lineage {
            return None;
        }
        let files = self.merging.merges.files().ok()?.into_iter();
        let mut files = files.chain(self.merging.spool.files().ok()?);
        let file = files.find(|file| file.min == range.min() && file.max == range.max())?;
        // Whoever asks holds the header against the name.
        Some(Box::new(file.ltx().ok()?))
    }
}

/// The files that lead exactly from before `min` to `max`, oldest first, as few as there are; none
/// where there are none that do.
fn way(files: &[Spooled], min: Txid, max: Txid) -> Vec<&Spooled> {
    let mut way: Vec<&Spooled> = Vec::new();
    let mut next = min;
    loop {
        let begins = |file: &&Spooled| match way.is_empty() {
            true => file.min == min,
            false => min <= file.min && file.min <= next,
        };
        let fits = files.iter().filter(begins).filter(|file| next <= file.max && file.max <= max);
        let Some(furthest) = fits.max_by_key(|file| (file.max, file.min)) else {
            return Vec::new();
        };
        way.push(furthest);
        match furthest.max.next() {
            Some(after) if furthest.max < max => next = after,
            _ => return way,
        }
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::File { source, .. } if source.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use lifeboat_ltx::Txid;

    use super::way;
    use crate::state::Spooled;

    #[test]
    fn the_way_is_exact_and_short() {
        let txid = |number| Txid::new(number).unwrap();
        type Ranges = &'static [(u64, u64)];
        let cases: &[(Ranges, (u64, u64), Ranges)] = &[
            (&[], (1, 2), &[]),
            (&[(1, 1), (2, 2), (3, 3)], (1, 2), &[(1, 1), (2, 2)]),
            (&[(1, 1), (2, 2), (3, 3)], (2, 2), &[(2, 2)]),
            (&[(3, 3), (2, 2), (1, 1)], (2, 3), &[(2, 2), (3, 3)]),
            // A gap, and files that begin or end elsewhere.
            (&[(1, 1), (3, 3)], (1, 3), &[]),
            (&[(1, 2), (3, 4)], (2, 4), &[]),
            (&[(1, 2), (3, 4)], (1, 3), &[]),
            // Fewer are better.
            (&[(1, 1), (2, 2), (1, 2), (3, 3)], (1, 3), &[(1, 2), (3, 3)]),
            (&[(1, 1), (2, 2), (1, 2), (3, 3), (1, 3)], (1, 3), &[(1, 3)]),
            // They may overlap.
            (&[(1, 2), (2, 3)], (1, 3), &[(1, 2), (2, 3)]),
        ];
        for (files, (min, max), expected) in cases {
            let files: Vec<Spooled> =
                files.iter().map(|&(min, max)| Spooled::sample(txid(min), txid(max), 1)).collect();
            let found: Vec<_> = way(&files, txid(*min), txid(*max))
                .iter()
                .map(|file| (file.min.get(), file.max.get()))
                .collect();
            assert_eq!(found, *expected, "{files:?} from {min} to {max}");
        }
    }
}
