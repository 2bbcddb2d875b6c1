//! What a repository takes up, why, and what it will.

mod files;
mod forecast;
mod growth;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use lifeboat_repository::{
    DatabaseAddress, Doomed, Ladder, LineageListing, LtxFile, Manifest, Source, Time, encode_name,
    points, usage,
};
use lifeboat_storage::Key;

pub use self::files::{FilesStats, StoredSourceStats};
use self::forecast::{Facts, forecast};
use self::growth::{changes, elapsed_ms, growth, resized};
use crate::forget::Configured;
use crate::ladders::Ladders;
use crate::points::listings;
use crate::prune::plan_removals;
use crate::{OpenRepository, Result, backups};

/// The days that forecasts look ahead.
pub const FORECAST_DAYS: [u32; 2] = [30, 365];

const WEEK: u64 = 7;
const MONTH: u64 = 30;

/// Sizes in bytes and numbers.
#[derive(Debug, Default)]
pub struct Stats {
    /// Backups.
    pub backups: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of all objects.
    pub stored_bytes: u64,
    /// What one would need to keep every backup as a copy.
    pub restorable_bytes: u64,
    /// Of the stored bytes those that nothing needs: prunes will remove them.
    pub waiting_bytes: u64,
    /// Stored bytes after each of [`FORECAST_DAYS`], at least and at most; `None` where that is not
    /// known of every database, and of files.
    pub forecast: Option<Forecast>,
    /// Databases.
    pub databases: Vec<DatabaseStats>,
    /// Files, command output and devices; `None` where there are none.
    pub files: Option<FilesStats>,
}

/// Bytes after each of [`FORECAST_DAYS`], at least and at most.
pub type Forecast = [(u64, u64); 2];

/// One database.
#[derive(Debug, Default)]
pub struct DatabaseStats {
    /// The host, as it stands in keys.
    pub host: String,
    /// The name, as it stands in keys.
    pub name: String,
    /// Backups that hold it.
    pub backups: u64,
    /// Its bytes in the newest of them.
    pub size_bytes: u64,
    /// By how many bytes a day it has grown in the last 7 days; `None`: not enough history.
    pub growth_week: Option<i64>,
    /// In the last 30 days.
    pub growth_month: Option<i64>,
    /// Stored bytes of whole copies.
    pub base_bytes: u64,
    /// Stored bytes of changes.
    pub history_bytes: u64,
    /// The same by level: captures (0), rungs of the ladder (1 to 3), spans between backups (8).
    pub level_bytes: BTreeMap<u8, u64>,
    /// Of all of these the bytes that nothing needs: prunes will remove them.
    pub waiting_bytes: u64,
    /// Stored bytes of the changes of a day, on the average of the last 7 days and as they are stored
    /// now; `None`: not enough history.
    pub change_bytes: Option<u64>,
    /// How long its points stay.
    pub ladder: Ladder,
    /// What it will take up, see `stats/forecast.rs` for the model; `None`: not enough history.
    pub forecast: Option<Forecast>,
    /// Objects.
    pub objects: u64,
}

/// Adds up what is in the repository.
pub fn stats(opened: &OpenRepository<'_>) -> Result<Stats> {
    let usage = usage(opened.repository())?;
    let entries = backups(opened)?;
    let manifests: Vec<&Manifest> =
        entries.iter().filter_map(|entry| entry.manifest.as_ref().ok()).collect();
    let ladders = Ladders::of(opened.context(), manifests.iter().copied())?;
    let configured = Configured::of(opened);
    let waiting = if opened.can_read() { plan_removals(opened)? } else { Vec::new() };
    let mut stats = Stats {
        backups: usage.backups,
        objects: usage.objects,
        stored_bytes: usage.bytes,
        waiting_bytes: waiting.iter().map(|object| object.size).sum(),
        ..Stats::default()
    };
    let gone: HashSet<&Key> = waiting.iter().map(|object| &object.key).collect();
    let mut other_bytes = usage.bytes.saturating_sub(usage.files.bytes);
    stats.files = FilesStats::of(opened, usage.files, &manifests)?;
    let stored = manifests.iter().flat_map(|manifest| &manifest.sources);
    let stored = stored.filter(|source| source.stored().is_some());
    stats.restorable_bytes = stored.map(Source::size_bytes).sum();
    for address in opened.repository().databases()? {
        let key = (address.host().to_owned(), address.name().to_owned());
        let used = usage.databases.get(&key).cloned().unwrap_or_default();
        let held = held(&manifests, &address)?;
        let ladder = ladders.get(&address);
        let mut found = DatabaseStats {
            backups: held.len() as u64,
            size_bytes: held.first().map_or(0, |held| held.size),
            base_bytes: used.base_bytes,
            history_bytes: used.history_bytes,
            level_bytes: used.level_bytes,
            waiting_bytes: waiting
                .iter()
                .filter(|one| is_of(one, &address))
                .map(|one| one.size)
                .sum(),
            objects: used.ltx_objects,
            host: key.0,
            name: key.1,
            ladder,
            ..DatabaseStats::default()
        };
        stats.restorable_bytes += held.iter().map(|held| held.size).sum::<u64>();
        other_bytes = other_bytes.saturating_sub(used.base_bytes + used.history_bytes);
        foresee(opened, &address, &held, &gone, &configured, &mut found)?;
        stats.databases.push(found);
    }
    stats.forecast = total(&stats.databases, stats.files.as_ref(), other_bytes);
    Ok(stats)
}

/// What a backup says of a database.
struct Held<'a> {
    manifest: &'a Manifest,
    /// As it is not encoded.
    name: &'a str,
    /// Of the point.
    time: Time,
    size: u64,
}

/// What backups say of a database, newest first.
fn held<'a>(manifests: &[&'a Manifest], address: &DatabaseAddress) -> Result<Vec<Held<'a>>> {
    let mut held = Vec::new();
    for manifest in manifests {
        if encode_name(&manifest.host)? != address.host() {
            continue;
        }
        for database in manifest.sources.iter().filter_map(Source::database) {
            if encode_name(&database.name)? == address.name() {
                let (time, size) = (database.time, database.size_bytes);
                held.push(Held { manifest, name: &database.name, time, size });
            }
        }
    }
    Ok(held)
}

fn is_of(object: &Doomed, address: &DatabaseAddress) -> bool {
    let below = object.key.as_str().strip_prefix(address.key().as_str());
    below.is_some_and(|path| path.starts_with('/'))
}

/// How fast the database grows, and what that comes to.
fn foresee(
    opened: &OpenRepository<'_>,
    address: &DatabaseAddress,
    held: &[Held<'_>],
    gone: &HashSet<&Key>,
    configured: &Configured<'_>,
    found: &mut DatabaseStats,
) -> Result<()> {
    let sizes: Vec<_> = held.iter().map(|held| (held.manifest.started, held.size)).collect();
    (found.growth_week, found.growth_month) = (growth(&sizes, WEEK), growth(&sizes, MONTH));
    let listings = listings(opened, address)?;
    let newest = listings.into_iter().map(|(_, listing)| listing).max_by_key(end);
    let files = newest.map(|listing| listing.files).unwrap_or_default();
    found.change_bytes = changes(&files, WEEK);
    let (Some(newest), Some(changes)) = (held.first(), found.change_bytes) else { return Ok(()) };
    let (Some(week), Some(month)) = (found.growth_week, found.growth_month) else { return Ok(()) };
    let horizon = found.ladder.horizon();
    let (rungs, history) = rungs(&files, horizon, gone);
    let backups: Vec<Time> = held.iter().map(|held| held.manifest.started).collect();
    let manifest = newest.manifest;
    let facts = Facts {
        size: newest.size,
        growth: (week.min(month), week.max(month)),
        base: base_now(&files, held),
        rungs,
        history,
        horizon,
        changes,
        backups: &backups,
        rules: configured.rules(&manifest.host, manifest.backup_type.as_ref(), newest.name),
        zone: &TimeZone::system(),
    };
    let [month, year] = FORECAST_DAYS.map(|days| forecast(&facts, days));
    found.forecast = month.zip(year).map(|(month, year)| [month, year]);
    Ok(())
}

/// The time of a lineage's last point.
fn end(listing: &LineageListing) -> Option<Time> {
    points(&listing.files).last().map(|point| point.time)
}

/// What a base would take up now, as the newest one does: that is of the size that the database had
/// in the backup next to it in time.
fn base_now(files: &[LtxFile], held: &[Held<'_>]) -> u64 {
    let bases = files.iter().filter(|file| file.name.range().is_base());
    let Some(base) = bases.max_by_key(|file| file.name.max) else { return 0 };
    let distance = |held: &&Held<'_>| held.time.millis().abs_diff(base.name.time.millis());
    let then = held.iter().min_by_key(distance).map_or(0, |held| held.size);
    resized(base.size(), then, held.first().map_or(0, |held| held.size))
}

/// Bytes of the files within the ladder that stay, and how far back they go.
fn rungs(files: &[LtxFile], horizon: Duration, gone: &HashSet<&Key>) -> (u64, Duration) {
    let Some(newest) = files.iter().map(|file| file.name.time).max() else {
        return (0, Duration::ZERO);
    };
    let age = |file: &LtxFile| Duration::from_millis(elapsed_ms(file.name.time, newest));
    let stays = |file: &&LtxFile| {
        !file.name.range().is_base()
            && age(file) <= horizon
            && !file.objects.iter().any(|object| gone.contains(&object.key))
    };
    let bytes = files.iter().filter(stays).map(LtxFile::size).sum();
    let history = files.iter().map(age).max().unwrap_or_default();
    (bytes, history.min(horizon))
}

/// The sum over all databases, files, and what else there is.
fn total(
    databases: &[DatabaseStats],
    files: Option<&FilesStats>,
    other_bytes: u64,
) -> Option<Forecast> {
    let mut total = [(other_bytes, other_bytes); 2];
    let forecasts = databases.iter().map(|database| database.forecast);
    for forecast in forecasts.chain(files.map(FilesStats::forecast)) {
        for (sum, (low, high)) in total.iter_mut().zip(forecast?) {
            *sum = (sum.0.saturating_add(low), sum.1.saturating_add(high));
        }
    }
    (!databases.is_empty() || files.is_some()).then_some(total)
}
