//! What manifests say of a point that is restored without naming a backup.

use std::collections::HashSet;

use lifeboat_ltx::Txid;
use lifeboat_repository::{
    BackupId, BackupName, DatabaseAddress, DatabaseSource, LineageAddress, LineageListing, Source,
    encode_name,
};

use crate::databases_meant::origin_paths;
use crate::destination::FormerFile;
use crate::way::Way;
use crate::{OpenRepository, Result};

/// The file that a database was: as the newest manifest that can be read says it, else at the path
/// that an origin names, for its owner alone.
pub(crate) fn former_file(
    opened: &OpenRepository<'_>,
    database: &DatabaseAddress,
    lineages: &[(LineageAddress, LineageListing)],
) -> Result<FormerFile> {
    let ids = lineages.iter().flat_map(|(_, listing)| &listing.pins).map(|(_, id)| *id);
    if let Some(source) = newest_source(opened, database, &ids.collect())? {
        return Ok((&source).into());
    }
    let lineages: Vec<LineageAddress> = lineages.iter().map(|(one, _)| one.clone()).collect();
    let path = origin_paths(opened, &lineages).next();
    Ok(FormerFile { path, mode: 0o600, owner: None })
}

/// Tells a way what is known of its objects, and of where it leads if that is a backup's point: from
/// the manifest of the last point at or before it that a backup keeps. Of other objects no SHA-256
/// is known; they are covered by their own checksums.
pub(crate) fn vouch_for(
    opened: &OpenRepository<'_>,
    listing: &LineageListing,
    way: &mut Way,
) -> Result<()> {
    let Some(pinned) =
        listing.pins.iter().map(|(txid, _)| *txid).filter(|txid| *txid <= way.txid).max()
    else {
        return Ok(());
    };
    let ids = pins_at(listing, pinned);
    let Some(source) = newest_source(opened, way.lineage.database(), &ids)? else { return Ok(()) };
    if (source.lineage, source.txid) != (way.lineage.id(), pinned) {
        return Ok(());
    }
    if pinned == way.txid {
        way.outcome = Some((&source).into());
    }
    way.objects = source.objects;
    Ok(())
}

fn pins_at(listing: &LineageListing, txid: Txid) -> HashSet<BackupId> {
    listing.pins.iter().filter(|pin| pin.0 == txid).map(|pin| pin.1).collect()
}

/// The database in the newest of these backups whose manifest can be read.
fn newest_source(
    opened: &OpenRepository<'_>,
    database: &DatabaseAddress,
    ids: &HashSet<BackupId>,
) -> Result<Option<DatabaseSource>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let names = opened.repository().backups()?;
    let of_database = |name: &&BackupName| name.host == database.host() && ids.contains(&name.id);
    for name in names.iter().filter(of_database) {
        let manifest = match opened.manifest(name) {
            Ok(manifest) => manifest,
            // The point can do without a manifest, so one that is damaged, or of who is not believed,
            // is none.
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error),
        };
        let is_it = |source: &&DatabaseSource| {
            encode_name(&source.name).is_ok_and(|name| name == database.name())
        };
        if let Some(source) = manifest.sources.iter().filter_map(Source::database).find(is_it) {
            return Ok(Some(source.clone()));
        }
    }
    Ok(None)
}
