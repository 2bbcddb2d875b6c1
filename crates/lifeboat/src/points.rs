//! Lists the points that databases can be restored to. Names alone say it: no secret is needed.

use lifeboat_ltx::Txid;
use lifeboat_repository::{
    BackupId, DatabaseAddress, LineageAddress, LineageId, LineageListing, Point,
    points as points_of,
};

use crate::databases_meant::databases_meant;
use crate::{Error, OpenRepository, Result};

/// The least of a lineage's id that is taken for one.
const MIN_ID_PREFIX: usize = 4;

/// Which points to list.
#[derive(Debug, Clone, Default)]
pub struct PointsRequest {
    /// A database: its name, or its path. `None`: all.
    pub source: Option<String>,
    /// The host whose databases are meant. `None`: this one, else the only one there is.
    pub host: Option<String>,
    /// Only of this lineage: its id, or the beginning of it.
    pub lineage: Option<String>,
}

/// The points of a database.
#[derive(Debug)]
pub struct DatabasePoints {
    /// The host, as it stands in keys.
    pub host: String,
    /// The database's name, as it stands in keys.
    pub name: String,
    /// Its lineages: that with the newest point first, those without any last.
    pub lineages: Vec<LineagePoints>,
}

/// The points of a lineage.
#[derive(Debug)]
pub struct LineagePoints {
    /// The lineage.
    pub id: LineageId,
    /// From the oldest to the newest.
    pub points: Vec<Point>,
    /// Transactions that backups keep, and which.
    pub pins: Vec<(Txid, BackupId)>,
    /// Another host took over: what came later does not count.
    pub closed: bool,
    /// The newest transaction that a file is there for, but no way leads to: something is missing.
    pub unreachable: Option<Point>,
}

/// The points of the databases that are meant.
///
/// [`Error::NoDatabase`], [`Error::NoLineage`]; [`Error::Ambiguous`] for the host, or a lineage's id.
pub fn points(opened: &OpenRepository<'_>, request: &PointsRequest) -> Result<Vec<DatabasePoints>> {
    let mut found = Vec::new();
    for database in databases_meant(opened, request.source.as_deref(), request.host.as_deref())? {
        found.push((listings(opened, &database)?, database));
    }
    if let Some(wanted) = &request.lineage {
        let all = found.iter().flat_map(|(lineages, _)| lineages).map(|(lineage, _)| lineage.id());
        let id = lineage_meant(opened, all, wanted)?;
        for (lineages, _) in &mut found {
            lineages.retain(|(lineage, _)| lineage.id() == id);
        }
        found.retain(|(lineages, _)| !lineages.is_empty());
    }
    Ok(found.into_iter().map(|(lineages, database)| of_database(&database, &lineages)).collect())
}

/// All lineages of a database, and what they hold.
pub(crate) fn listings(
    opened: &OpenRepository<'_>,
    database: &DatabaseAddress,
) -> Result<Vec<(LineageAddress, LineageListing)>> {
    let repository = opened.repository();
    let lineages = repository.lineages(database)?.into_iter();
    lineages.map(|lineage| Ok((lineage.clone(), listing(opened, &lineage)?))).collect()
}

/// What a lineage holds. A listing that is made while files are uploaded may show one and not the one
/// before it; so where a file seems to be missing, it is made again.
fn listing(opened: &OpenRepository<'_>, lineage: &LineageAddress) -> Result<LineageListing> {
    let listing = opened.repository().listing(lineage)?;
    match newest_end(&listing).map(|end| listing.plan(lineage, end.txid).is_ok()) {
        Some(false) => Ok(opened.repository().listing(lineage)?),
        _ => Ok(listing),
    }
}

/// The lineage whose id begins so.
pub(crate) fn lineage_meant(
    opened: &OpenRepository<'_>,
    lineages: impl Iterator<Item = LineageId>,
    wanted: &str,
) -> Result<LineageId> {
    let prefix = wanted.to_ascii_lowercase();
    let fits =
        |id: &LineageId| prefix.len() >= MIN_ID_PREFIX && id.to_string().starts_with(&prefix);
    let fitting: Vec<LineageId> = lineages.filter(fits).collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::NoLineage {
            wanted: wanted.to_owned(),
            location: opened.repository().location(),
        }),
        several => Err(Error::Ambiguous {
            wanted: wanted.to_owned(),
            candidates: several.iter().map(LineageId::to_string).collect(),
        }),
    }
}

fn of_database(
    database: &DatabaseAddress,
    lineages: &[(LineageAddress, LineageListing)],
) -> DatabasePoints {
    let mut lineages: Vec<LineagePoints> =
        lineages.iter().map(|(lineage, listing)| of_lineage(lineage.id(), listing)).collect();
    lineages.sort_by_key(|lineage| std::cmp::Reverse((lineage.points.last().copied(), lineage.id)));
    DatabasePoints { host: database.host().to_owned(), name: database.name().to_owned(), lineages }
}

fn of_lineage(id: LineageId, listing: &LineageListing) -> LineagePoints {
    let points = points_of(&listing.files);
    let mut pins = listing.pins.clone();
    pins.sort_unstable();
    let end =
        newest_end(listing).filter(|end| points.last().is_none_or(|last| last.txid < end.txid));
    LineagePoints { id, points, pins, closed: listing.fenced, unreachable: end }
}

/// The newest transaction that a file of a lineage ends with, whether a way leads there or not.
pub(crate) fn newest_end(listing: &LineageListing) -> Option<Point> {
    let ends = listing.files.iter().map(|file| Point { time: file.name.time, txid: file.name.max });
    ends.max_by_key(|end| end.txid)
}
