//! Decides what a capture continues.

use std::collections::HashMap;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageAddress, LineageListing, LtxFile, ObjectRef, Parent};
use lifeboat_sqlite::{PageArray, Pin};

use super::Capture;
use crate::error::chain;
use crate::state::{Captured, DatabaseState, Position};
use crate::{Error, Result};

/// What a capture continues.
pub(super) enum Basis {
    /// A lineage begins; the text says why.
    NewLineage { reason: String, parent: Option<Parent> },
    /// The lineage goes on, but the repository needs the whole database; the text says why.
    Whole { state: DatabaseState, array: PageArray, reason: String },
    /// The lineage goes on where the repository stands.
    Continues { state: DatabaseState, array: PageArray, position: Position },
}

impl Basis {
    /// What a lineage that begins instead of this one comes after.
    pub(super) fn parent(&self) -> Option<Parent> {
        match self {
            Self::NewLineage { parent, .. } => *parent,
            Self::Whole { state, .. } | Self::Continues { state, .. } => parent_of(state),
        }
    }
}

/// What a lineage that begins instead of this one comes after.
pub(super) fn parent_of(state: &DatabaseState) -> Option<Parent> {
    state.captured.txid.map(|txid| Parent { lineage: state.lineage, txid })
}

impl Capture<'_> {
    /// Nothing is guessed: what cannot be shown to fit is stored again.
    pub(super) fn basis(&self, pin: &Pin) -> Result<Basis> {
        let state = match self.files.load() {
            Ok(Some(state)) => state,
            Ok(None) => return self.recover(pin, None),
            Err(error @ (Error::State { .. } | Error::Database(_))) => {
                let reason = format!("local state unusable: {}", chain(&error));
                return self.recover(pin, Some(&reason));
            }
            Err(error) => return Err(error),
        };
        let parent = parent_of(&state);
        if state.path != self.target.path {
            let reason = format!("the name stood for {}", state.path.display());
            return Ok(new_lineage(reason, parent));
        }
        if state.page_size != pin.page_size().get() {
            let (from, to) = (state.page_size, pin.page_size());
            return Ok(new_lineage(format!("page size changed from {from} to {to}"), parent));
        }
        let array = match PageArray::open(&self.files.pages()) {
            Ok(array) => array,
            Err(error) => {
                let reason = format!("page array unusable: {}", chain(&error));
                return self.recover(pin, Some(&reason));
            }
        };
        let lineage = self.address.lineage(state.lineage)?;
        let listing = self.repository.listing(&lineage)?;
        if listing.fenced {
            // Readers ignore what is added to it now.
            return Ok(new_lineage("another host took the database over", parent));
        }
        if listing.last() > state.highest() {
            // To go on from here would give a number twice.
            return self.recover(pin, Some("the repository is ahead of the local state"));
        }
        let position = state.positions.get(&self.repository_id).copied();
        let Some(position) = came_through(&state, &listing, position) else {
            let reason = "the repository does not hold this database yet".into();
            return Ok(Basis::Whole { state, array, reason });
        };
        let known = self.files.ledger(&self.repository_id).objects()?;
        Ok(match missing(&lineage, &listing, position.txid, &known) {
            None if self.options.base => {
                Basis::Whole { state, array, reason: "a new base was asked for".into() }
            }
            None => Basis::Continues { state, array, position },
            Some(reason) => Basis::Whole { state, array, reason },
        })
    }
}

/// The position of a repository: further on than is known if the last capture is there. It was sent later, by
/// another process than the one that made it, which was killed before it learned of that.
fn came_through(
    state: &DatabaseState,
    listing: &LineageListing,
    known: Option<Position>,
) -> Option<Position> {
    let Captured { txid: Some(txid), time, checksum: Some(checksum), .. } = state.captured else {
        return known;
    };
    let is_it = |file: &LtxFile| file.name.max == txid && file.name.time == time;
    let is_there = listing.files.iter().any(is_it);
    let is_further = known.is_none_or(|known| known.txid < txid);
    if is_there && is_further { Some(Position { txid, checksum }) } else { known }
}

/// What the repository should hold at a position and does not.
fn missing(
    lineage: &LineageAddress,
    listing: &LineageListing,
    txid: Txid,
    known: &HashMap<String, ObjectRef>,
) -> Option<String> {
    let files = match listing.plan(lineage, txid) {
        Ok(files) => files,
        Err(error) => return Some(error.to_string()),
    };
    let resized = files.iter().flat_map(|file| &file.objects).find(|entry| {
        known.get(entry.key.as_str()).is_some_and(|object| object.size != entry.size)
    });
    resized.map(|entry| format!("{} has another size than it had", entry.key))
}

pub(super) fn new_lineage(reason: impl Into<String>, parent: Option<Parent>) -> Basis {
    Basis::NewLineage { reason: reason.into(), parent }
}
