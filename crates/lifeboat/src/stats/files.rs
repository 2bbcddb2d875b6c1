//! What files, command output and devices take up.

use std::collections::BTreeMap;

use lifeboat_repository::{FilesUsage, Manifest, PruneOptions, Source, Time, encode_name};

use super::growth::{growth, stored_per_day};
use super::{FORECAST_DAYS, Forecast, MONTH, WEEK};
use crate::files::plan_files_prune;
use crate::{OpenRepository, Result};

/// The files part of a repository.
#[derive(Debug, Default)]
pub struct FilesStats {
    /// By its objects.
    pub usage: FilesUsage,
    /// Bytes of packs that no snapshot needs that stays: prunes will free most of them. `None` if that cannot be
    /// told, for want of a password or because something is damaged.
    pub waiting_bytes: Option<u64>,
    /// Packed bytes that backups have added a day, on the average of the last 30 days; `None`: not enough history.
    pub stored_per_day: Option<u64>,
    /// Sources, by host and name.
    pub sources: Vec<StoredSourceStats>,
}

/// Files, command output or a device.
#[derive(Debug, Default)]
pub struct StoredSourceStats {
    /// The host, as it stands in keys.
    pub host: String,
    /// The name.
    pub name: String,
    /// Backups that hold it.
    pub backups: u64,
    /// Its bytes in the newest of them.
    pub size_bytes: u64,
    /// Packed bytes that these backups have added, all together.
    pub stored_bytes: u64,
    /// By how many bytes a day it has grown in the last 7 days; `None`: not enough history.
    pub growth_week: Option<i64>,
    /// In the last 30 days.
    pub growth_month: Option<i64>,
}

/// What one backup says of a source.
struct Held {
    time: Time,
    size_bytes: u64,
    stored_bytes: u64,
}

impl FilesStats {
    /// `manifests` are newest first. `None` where there are no files.
    pub(super) fn of(
        opened: &OpenRepository<'_>,
        usage: FilesUsage,
        manifests: &[&Manifest],
    ) -> Result<Option<Self>> {
        if usage.bytes == 0 {
            return Ok(None);
        }
        let mut sources: BTreeMap<(String, String), Vec<Held>> = BTreeMap::new();
        for manifest in manifests {
            let stored = manifest.sources.iter().filter(|source| source.stored().is_some());
            for (source, name) in stored.filter_map(|source| Some((source, source.name()?))) {
                let of = (encode_name(&manifest.host)?, name.clone());
                sources.entry(of).or_default().push(Held::of(manifest.started, source));
            }
        }
        let added: Vec<(Time, u64)> =
            sources.values().flatten().map(|held| (held.time, held.stored_bytes)).collect();
        Ok(Some(Self {
            usage,
            waiting_bytes: waiting_bytes(opened),
            stored_per_day: stored_per_day(&added, MONTH),
            sources: sources.into_iter().map(|(of, held)| sum_up(of, &held)).collect(),
        }))
    }

    /// Between as much as now, if as much is forgotten as is added, and what is there and all that is added.
    pub(super) fn forecast(&self) -> Option<Forecast> {
        let per_day = self.stored_per_day?;
        Some(FORECAST_DAYS.map(|days| {
            let added = per_day.saturating_mul(days.into());
            (self.usage.bytes, self.usage.bytes.saturating_add(added))
        }))
    }
}

/// What cannot be told must not keep from telling the rest.
fn waiting_bytes(opened: &OpenRepository<'_>) -> Option<u64> {
    if !opened.can_read() {
        return None;
    }
    let plan = plan_files_prune(opened, &PruneOptions::default()).ok()??;
    Some(plan.packs.freed_bytes() + plan.packs.unused_bytes)
}

impl Held {
    fn of(time: Time, source: &Source) -> Self {
        Self { time, size_bytes: source.size_bytes(), stored_bytes: source.stored_bytes() }
    }
}

/// Of a source, newest first.
fn sum_up((host, name): (String, String), held: &[Held]) -> StoredSourceStats {
    let sizes: Vec<_> = held.iter().map(|held| (held.time, held.size_bytes)).collect();
    StoredSourceStats {
        host,
        name,
        backups: held.len() as u64,
        size_bytes: held.first().map_or(0, |held| held.size_bytes),
        stored_bytes: held.iter().map(|held| held.stored_bytes).sum(),
        growth_week: growth(&sizes, WEEK),
        growth_month: growth(&sizes, MONTH),
    }
}
