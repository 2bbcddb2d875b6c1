//! One database of a backup.

use std::collections::HashMap;

use lifeboat_ltx::{Checksum, Txid};

use super::known::Known;
use super::ltx::{LtxCopy, free_name};
use super::{CopyEnd, by_key};
use crate::lease::fences;
use crate::plan::{points, walk, way_to};
use crate::read_back::ends;
use crate::{
    DatabaseAddress, DatabaseSource, Error, LineageAddress, LineageListing, LtxFile, ObjectRef,
    Result,
};

/// How often the source is listed because an object is gone: a prune announces what it removes a day before.
const LISTINGS: usize = 3;

/// A database on its way.
pub(super) struct DatabaseCopy<'a> {
    pub(super) lineage: LineageAddress,
    pub(super) txid: Txid,
    checksum: Checksum,
    /// What the source's manifest says of its objects.
    expected: HashMap<String, ObjectRef>,
    from: CopyEnd<'a>,
    to: CopyEnd<'a>,
}

/// What is to be stored so that the target leads to a transaction.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Files of the source, in the order of application.
    pub(super) files: Vec<LtxFile>,
    /// The transaction of the target from which they go on; `None` if they are the whole way.
    pub(super) after: Option<Txid>,
}

impl<'a> DatabaseCopy<'a> {
    pub(super) fn of(
        host: &str,
        source: &DatabaseSource,
        from: CopyEnd<'a>,
        to: CopyEnd<'a>,
    ) -> Result<Self> {
        let lineage = DatabaseAddress::new(host, &source.name)?.lineage(source.lineage)?;
        let expected = by_key(&source.objects);
        let DatabaseSource { txid, checksum, .. } = *source;
        Ok(Self { lineage, txid, checksum, expected, from, to })
    }

    /// Stores what the target lacks; how many sealed bytes that are.
    pub(super) fn store(&self, known: &mut Known, progress: &dyn Fn(u64)) -> Result<u64> {
        let mut listings = LISTINGS;
        let mut stored_bytes = 0;
        loop {
            match self.store_listed(known, &mut stored_bytes, progress) {
                // What was pruned meanwhile has been merged into something else.
                Err(error) if error.is_gone() && listings > 1 => listings -= 1,
                stored => return stored.map(|()| stored_bytes),
            }
        }
    }

    fn store_listed(
        &self,
        known: &mut Known,
        stored_bytes: &mut u64,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let mut there = self.to.repository.listing(&self.lineage)?;
        let missing = self.missing(&there)?;
        if missing.files.is_empty() {
            return Ok(());
        }
        self.must_count()?;
        self.store_origin(&there)?;
        let mut before = self.before(&there, missing.after)?;
        for (at, file) in missing.files.iter().enumerate() {
            let is_last = at + 1 == missing.files.len();
            let after = is_last.then_some(self.checksum);
            let name = free_name(self.to.repository, &self.lineage, &there, file.name)?;
            let copy = LtxCopy { lineage: &self.lineage, file, name, before: before.take(), after };
            let objects = copy.store(self.from, self.to, &self.expected, progress)?;
            *stored_bytes += objects.iter().map(|object| object.size).sum::<u64>();
            known.add(objects);
        }
        there = self.to.repository.listing(&self.lineage)?;
        there.plan(&self.lineage, self.txid).map(drop)
    }

    /// What must be copied; [`Error::NotRestorable`] if the source does not lead there.
    pub(super) fn missing(&self, there: &LineageListing) -> Result<Missing> {
        if way_to(&there.files, self.txid).is_ok() {
            return Ok(Missing::default());
        }
        let here = self.from.repository.listing(&self.lineage)?;
        let has_times = self.to.repository.form().names_have_times();
        let is_there = |file: &LtxFile| {
            there.files.iter().any(|other| {
                (other.name.level, other.name.range()) == (file.name.level, file.name.range())
                    && (other.name.time == file.name.time || !has_times)
            })
        };
        let whole = here.plan(&self.lineage, self.txid)?.into_iter().filter(|file| !is_there(file));
        let whole = Missing { files: whole.cloned().collect(), after: None };
        match self.onward(&here, there) {
            Some(onward) if onward.size() < whole.size() => Ok(onward),
            _ => Ok(whole),
        }
    }

    /// The files that lead on from what is there.
    fn onward(&self, here: &LineageListing, there: &LineageListing) -> Option<Missing> {
        let after = points(&there.files).into_iter().rfind(|point| point.txid < self.txid)?.txid;
        let fits = |file: &&LtxFile| {
            file.name.max > after && file.name.max <= self.txid && !file.name.range().is_base()
        };
        let way = walk(
            here.files.iter().filter(fits).collect(),
            |file| file.name,
            Some(after),
            |one, other| if other.name.max >= one.name.max { other } else { one },
        );
        let leads_there = way.last().is_some_and(|file| file.name.max == self.txid);
        let files = way.into_iter().cloned().collect();
        leads_there.then_some(Missing { files, after: Some(after) })
    }

    /// The checksum of the database at the transaction from which the copy goes on, where a file states it.
    fn before(&self, there: &LineageListing, after: Option<Txid>) -> Result<Option<Checksum>> {
        let Some(after) = after else { return Ok(None) };
        let way = there.plan(&self.lineage, after)?;
        let Some(last) = way.last() else { return Ok(None) };
        Ok(ends(self.to.repository, self.to.secrets, &self.lineage, last)?.after)
    }

    /// Refuses a transaction of a lineage that a lease has closed before it: nobody would see it.
    fn must_count(&self) -> Result<()> {
        let fences = fences(self.to.repository.storage(), self.lineage.database())?;
        let mut fences = fences.iter().filter(|fence| fence.lineage == self.lineage.id());
        if fences.all(|fence| fence.admits(self.txid)) {
            return Ok(());
        }
        Err(Error::NotRestorable {
            lineage: self.lineage.key().to_string(),
            txid: self.txid,
            detail: "another host took the database over in the repository to copy to".to_owned(),
        })
    }

    fn store_origin(&self, there: &LineageListing) -> Result<()> {
        if there.has_origin || !self.from.repository.listing(&self.lineage)?.has_origin {
            return Ok(());
        }
        let origin = self.from.repository.origin(&self.lineage, self.from.secrets)?;
        self.to.repository.write_origin(&self.lineage, &origin)
    }

    /// What leads to the transaction, once it is pinned. What no manifest of the target vouches for, and was not
    /// written just now, is read to its end.
    pub(super) fn objects(&self, known: &mut Known) -> Result<Vec<ObjectRef>> {
        let there = self.to.repository.listing(&self.lineage)?;
        let way = there.plan(&self.lineage, self.txid)?;
        let mut objects = Vec::new();
        for (at, file) in way.iter().enumerate() {
            let after = (at + 1 == way.len()).then_some(self.checksum);
            objects.extend(known.objects(self.to, &self.lineage, file, after)?);
        }
        Ok(objects)
    }
}

impl Missing {
    pub(super) fn size(&self) -> u64 {
        self.files.iter().map(LtxFile::size).sum()
    }
}
