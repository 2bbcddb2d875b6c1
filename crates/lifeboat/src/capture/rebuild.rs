//! Makes the local state of a database anew from the repository, where that is certain to be right.
//!
//! A page array describes one point of a lineage, so the LTX files that lead to the newest point
//! make it again, in one pass and without the database. What must not happen is that two captures
//! give one transaction number to different content. So the lineage goes on only if this state
//! directory began it, nobody else took it over, and the highest number is known: from the former
//! state if that can be read, else from the repository, if no other one can have a higher. The
//! numbers of files that are not whole count too. In all other cases a new lineage begins, which
//! is always right.

use std::collections::{BTreeMap, HashMap};

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{
    LineageAddress, LineageListing, LtxFile, ObjectRef, Origin, Source, encode_name, open_ltx,
    points,
};
use lifeboat_sqlite::{PageArray, PageArrayStage, Pin};

use super::Capture;
use super::basis::{Basis, new_lineage, parent_of};
use super::take::hash_key;
use crate::error::chain;
use crate::state::{Captured, DatabaseState, Position};
use crate::{Error, Note, Result};

/// Why a state is not rebuilt.
enum Refusal {
    /// There is nothing to rebuild it from.
    Nothing,
    Because(String),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Because(chain(&error))
    }
}

fn because<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Because(reason.into()))
}

/// What manifests say of a lineage.
#[derive(Default)]
struct Known {
    /// Objects by their keys.
    objects: HashMap<String, ObjectRef>,
    /// The database checksum at the transaction of the newest one.
    newest: Option<(Txid, Checksum)>,
}

impl Capture<'_> {
    /// What a capture continues that has no local state or, for `reason`, none of use.
    pub(super) fn recover(&self, pin: &Pin, reason: Option<&str>) -> Result<Basis> {
        let former = self.files.peek();
        let parent = former.as_ref().and_then(parent_of);
        match self.rebuild(pin, former.as_ref()) {
            Ok((state, array, position)) => {
                self.progress.note(&Note::StateRebuilt {
                    source: self.target.name.clone(),
                    reason: reason.unwrap_or("it was gone").to_owned(),
                    txid: position.txid,
                });
                Ok(Basis::Continues { state, array, position })
            }
            Err(Refusal::Nothing) => {
                let first = "first backup of this database on this host";
                Ok(new_lineage(reason.unwrap_or(first), parent))
            }
            Err(Refusal::Because(why)) => {
                self.progress.end();
                let reason = reason.unwrap_or("local state gone");
                let reason = format!("{reason}; it is not rebuilt from the repository: {why}");
                Ok(new_lineage(reason, parent))
            }
        }
    }

    fn rebuild(
        &self,
        pin: &Pin,
        former: Option<&DatabaseState>,
    ) -> Result<(DatabaseState, PageArray, Position), Refusal> {
        let (lineage, origin) = match former {
            Some(state) => self.former_lineage(state)?,
            None => self.own_lineage()?,
        };
        self.require_ours(&origin, pin)?;
        let listing = self.repository.listing(&lineage)?;
        let (files, txid) = newest(&listing, &lineage)?;
        let known = self.known(&lineage)?;
        let checksum = self.rebuild_pages(&lineage, &files, &known.objects)?;
        if let Some((at, expected)) = known.newest
            && at == txid
            && expected != checksum
        {
            return because(format!(
                "transaction {txid} has checksum {checksum}, its manifest says {expected}"
            ));
        }
        let Some(point) = points(&listing.files).pop().filter(|point| point.txid == txid) else {
            return because(format!("transaction {txid} is no point"));
        };
        let position = Position { txid, checksum };
        let ledger = self.files.ledger(&self.repository_id);
        let captured =
            Captured { txid: Some(txid), time: point.time, checksum: Some(checksum), seen: None };
        let given = [listing.highest, former.and_then(DatabaseState::highest)];
        let state = DatabaseState {
            path: self.target.path.clone(),
            name: self.target.name.clone(),
            lineage: lineage.id(),
            page_size: origin.page_size,
            captured,
            given: given.into_iter().flatten().max(),
            pending: None,
            positions: BTreeMap::from([(self.repository_id.clone(), position)]),
        };
        self.files.adopt(&state)?;
        ledger.replace(&known.objects.into_values().collect::<Vec<_>>())?;
        Ok((state, PageArray::open(&self.files.pages())?, position))
    }

    /// The lineage that a former state names.
    fn former_lineage(&self, state: &DatabaseState) -> Result<(LineageAddress, Origin), Refusal> {
        let lineage = self.address.lineage(state.lineage)?;
        if !self.repository.listing(&lineage)?.has_origin {
            return because("it does not hold this lineage");
        }
        let origin = self.repository.origin(&lineage, self.opened.secrets()?)?;
        Ok((lineage, origin))
    }

    /// The lineage that this state directory began last, if none of it can be elsewhere.
    fn own_lineage(&self) -> Result<(LineageAddress, Origin), Refusal> {
        let lineages = self.repository.lineages(&self.address)?;
        if lineages.is_empty() {
            return Err(Refusal::Nothing);
        }
        let secrets = self.opened.secrets()?;
        let mut own: Option<(LineageAddress, Origin)> = None;
        for lineage in lineages {
            if !self.repository.listing(&lineage)?.has_origin {
                continue;
            }
            let origin = self.repository.origin(&lineage, secrets)?;
            let newer = own.as_ref().is_none_or(|(_, last)| last.created < origin.created);
            if origin.node == self.node && newer {
                own = Some((lineage, origin));
            }
        }
        let own = own.ok_or(Refusal::Nothing)?;
        let repositories = self.opened.context().state().repository_ids()?;
        if repositories.iter().any(|id| *id != self.repository_id) {
            return because("another repository may hold more of it");
        }
        Ok(own)
    }

    fn require_ours(&self, origin: &Origin, pin: &Pin) -> Result<(), Refusal> {
        if origin.node != self.node {
            return because("another host began its lineage");
        }
        if origin.path != self.target.path.display().to_string() {
            return because(format!("its lineage is of {}", origin.path));
        }
        if origin.page_size != pin.page_size().get() {
            return because(format!("its lineage has pages of {} bytes", origin.page_size));
        }
        Ok(())
    }

    /// What the newest manifest that names the lineage says of it.
    fn known(&self, lineage: &LineageAddress) -> Result<Known, Refusal> {
        let host = encode_name(&self.host)?;
        let names = self.repository.backups()?.into_iter().filter(|name| name.host == host);
        for name in names {
            // One that cannot be read only leaves more to be hashed.
            let Ok(manifest) = self.opened.manifest(&name) else { continue };
            let mut databases = manifest.sources.iter().filter_map(Source::database);
            if let Some(database) = databases.find(|database| database.lineage == lineage.id()) {
                let objects = database.objects.iter();
                return Ok(Known {
                    objects: objects.map(|object| (object.key.clone(), object.clone())).collect(),
                    newest: Some((database.txid, database.checksum)),
                });
            }
        }
        Ok(Known::default())
    }

    /// Makes the page array of the point that files lead to; the checksum of the database there.
    fn rebuild_pages(
        &self,
        lineage: &LineageAddress,
        files: &[LtxFile],
        known: &HashMap<String, ObjectRef>,
    ) -> Result<Checksum> {
        let mut stage =
            PageArrayStage::create(&self.files.new_pages(), hash_key(&self.files.new_pages())?)?;
        self.progress.begin(&format!("rebuilding the state of {}", self.target.name), None);
        let (storage, secrets) = (self.repository.storage(), self.opened.secrets()?);
        for file in files {
            let node = lineage.id().node();
            let (decoder, reader) = open_ltx(storage, file, node, known, secrets)?;
            let applied = stage.apply(decoder, &mut |bytes| self.progress.advance(bytes));
            applied.map_err(|error| match error {
                lifeboat_sqlite::Error::Ltx { source, .. } => Error::from(reader.explain(source)),
                other => other.into(),
            })?;
        }
        self.progress.end();
        let checksum = stage.checksum();
        stage.finish()?;
        Ok(checksum)
    }
}

/// The files that lead to the newest transaction, and that.
///
/// An older point would do for the page array, but files beyond it that do not fit are damage, and
/// what is built on it would be of no use to who restores the newest point.
fn newest(
    listing: &LineageListing,
    lineage: &LineageAddress,
) -> Result<(Vec<LtxFile>, Txid), Refusal> {
    if listing.fenced {
        return because("another host took the database over");
    }
    let Some(last) = listing.last() else { return because("it holds nothing of this lineage") };
    let files = listing.plan(lineage, last)?;
    Ok((files.into_iter().cloned().collect(), last))
}
