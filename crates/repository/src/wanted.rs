//! What backups hold of lineages.

use std::collections::{BTreeSet, HashMap};

use lifeboat_ltx::Txid;
use lifeboat_storage::Key;

use crate::{
    DatabaseAddress, DatabaseSource, Error, LineageAddress, LineageListing, Manifest, PruneOptions,
    Repository, Result, Secrets, Source,
};

/// The transactions of each lineage that manifests name, by the lineage's key.
#[derive(Debug, Default)]
pub(crate) struct Named {
    txids: HashMap<Key, BTreeSet<Txid>>,
    /// Manifests that could not be read.
    unread: usize,
}

impl Named {
    /// Reads the manifests, and shows each database of theirs, with its lineage, to `look`. A
    /// manifest that cannot be read has its pins.
    pub(crate) fn read(
        repository: &Repository,
        secrets: &Secrets,
        scope: Option<&DatabaseAddress>,
        mut look: impl FnMut(&LineageAddress, DatabaseSource),
    ) -> Result<Self> {
        let mut named = Self::default();
        let mut names = repository.backups()?;
        names.retain(|name| scope.is_none_or(|database| database.host() == name.host));
        for name in names {
            let manifest = match repository.manifest(&name, secrets) {
                Ok(signed) => signed.manifest,
                Err(error @ Error::Storage(_)) if !error.is_gone() => return Err(error),
                Err(_) => {
                    named.unread += 1;
                    continue;
                }
            };
            named.add(manifest, scope, &mut look)?;
        }
        Ok(named)
    }

    /// Reads the copies of forgotten manifests whose time is not over. One that cannot be read does
    /// not come back.
    pub(crate) fn read_forgotten(
        repository: &Repository,
        secrets: &Secrets,
        options: &PruneOptions,
    ) -> Result<Self> {
        let mut named = Self::default();
        let mut copies = repository.forgotten()?;
        copies.retain(|copy| copy.until(options.grace) > options.now);
        for copy in copies {
            match repository.forgotten_manifest(&copy, secrets) {
                Ok(signed) => named.add(signed.manifest, options.scope.as_ref(), &mut |_, _| {})?,
                Err(error @ Error::Storage(_)) if !error.is_gone() => return Err(error),
                Err(_) => named.unread += 1,
            }
        }
        Ok(named)
    }

    fn add(
        &mut self,
        manifest: Manifest,
        scope: Option<&DatabaseAddress>,
        look: &mut impl FnMut(&LineageAddress, DatabaseSource),
    ) -> Result<()> {
        for source in manifest.sources.into_iter().filter_map(Source::into_database) {
            let database = DatabaseAddress::new(&manifest.host, &source.name)?;
            if scope.is_none_or(|scope| *scope == database) {
                let lineage = database.lineage(source.lineage)?;
                self.txids.entry(lineage.key().clone()).or_default().insert(source.txid);
                look(&lineage, source);
            }
        }
        Ok(())
    }

    /// Whether all manifests could be read.
    pub(crate) fn is_complete(&self) -> bool {
        self.unread == 0
    }

    /// The transactions of a lineage that backups hold: the pinned ones, and those that manifests
    /// name.
    pub(crate) fn wanted(
        &self,
        lineage: &LineageAddress,
        listing: &LineageListing,
    ) -> BTreeSet<Txid> {
        let pinned = listing.pins.iter().map(|(txid, _)| *txid);
        pinned.chain(self.txids.get(lineage.key()).into_iter().flatten().copied()).collect()
    }

    /// Wanted transactions of a lineage, and those of these manifests that files lead to.
    pub(crate) fn held(
        &self,
        lineage: &LineageAddress,
        listing: &LineageListing,
        wanted: &BTreeSet<Txid>,
    ) -> BTreeSet<Txid> {
        let named = self.txids.get(lineage.key()).into_iter().flatten().copied();
        let reachable = named.filter(|txid| listing.plan(lineage, *txid).is_ok());
        wanted.iter().copied().chain(reachable).collect()
    }
}
