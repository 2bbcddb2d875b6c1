//! What a manifest says of the objects that lead to its point.

use std::collections::HashMap;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageAddress, LtxFile, ObjectRef, open_ltx};

use crate::state::Ledger;
use crate::way::resized;
use crate::{Error, OpenRepository, Result};

/// What leads to a point that is pinned now. All of it is there: a prune that had looked before the
/// pin was written takes the end of a chain first, and so is noticed.
///
/// Nobody vouches for an object that was cut short: what is not as this host wrote it is read to its
/// end, and gone around where it is damaged, as a restore does.
pub(super) fn objects(
    opened: &OpenRepository<'_>,
    lineage: &LineageAddress,
    txid: Txid,
    ledger: &Ledger,
) -> Result<Vec<ObjectRef>> {
    let known = ledger.objects()?;
    let mut listing = opened.repository().listing(lineage)?;
    let mut first = None;
    loop {
        let way = match listing.plan(lineage, txid) {
            Ok(way) => way,
            Err(no_way) => return Err(first.unwrap_or(no_way.into())),
        };
        match of_way(opened, lineage, &way, &known) {
            Err((at, error)) if error.is_damage() => {
                let damaged = way[at].name;
                listing.files.retain(|file| file.name != damaged);
                first.get_or_insert(error);
            }
            found => return found.map_err(|(_, error)| error),
        }
    }
}

/// The objects of a way; else which file of it is wrong, and what is.
fn of_way(
    opened: &OpenRepository<'_>,
    lineage: &LineageAddress,
    way: &[&LtxFile],
    known: &HashMap<String, ObjectRef>,
) -> Result<Vec<ObjectRef>, (usize, Error)> {
    let mut objects = Vec::new();
    for (at, file) in way.iter().enumerate() {
        let found = match as_written(file, known) {
            Some(written) => written,
            None => read(opened, lineage, file, known).map_err(|error| (at, error))?,
        };
        objects.extend(found);
    }
    Ok(objects)
}

fn as_written(file: &LtxFile, known: &HashMap<String, ObjectRef>) -> Option<Vec<ObjectRef>> {
    let objects = file.objects.iter().map(|entry| {
        known.get(entry.key.as_str()).filter(|object| object.size == entry.size).cloned()
    });
    objects.collect()
}

/// Who has no secret can tell by its size alone that an object is damaged.
fn read(
    opened: &OpenRepository<'_>,
    lineage: &LineageAddress,
    file: &LtxFile,
    known: &HashMap<String, ObjectRef>,
) -> Result<Vec<ObjectRef>> {
    let repository = opened.repository();
    if opened.can_read() {
        let (storage, node) = (repository.storage(), repository.node_of(lineage));
        let (decoder, reader) = open_ltx(storage, file, node, &HashMap::new(), opened.secrets()?)?;
        decoder.finish().map_err(|error| reader.explain(error))?;
    } else if let Some(damage) = resized(file, known) {
        return Err(damage.into());
    }
    file.objects.iter().map(|entry| Ok(repository.object(&entry.key)?)).collect()
}
