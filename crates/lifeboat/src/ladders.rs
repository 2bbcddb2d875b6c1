//! How long the points of each database of a repository stay.

use std::collections::HashMap;

use lifeboat_repository::{DatabaseAddress, Ladder, Manifest, Source};

use crate::{Context, Result};

/// The ladders of all databases.
#[derive(Debug)]
pub(crate) struct Ladders {
    /// What is configured, or was when the newest backup was made.
    known: HashMap<DatabaseAddress, Ladder>,
    /// This host, as it stands in keys.
    own_host: String,
    /// Of this host's other databases.
    own: Ladder,
    /// Of the databases of other hosts that say nothing.
    other: Ladder,
}

impl Ladders {
    /// This host's own databases have the ladder of its configuration; those of other hosts what
    /// their newest manifest says, else the default one or this host's, whichever keeps longer.
    pub(crate) fn of<'a>(
        context: &Context,
        newest_first: impl Iterator<Item = &'a Manifest>,
    ) -> Result<Self> {
        let (config, own_host) = (context.config(), context.host_name());
        let own = config.points.ladder.clone().unwrap_or_default();
        let mut known = HashMap::new();
        let mut seen = HashMap::new();
        for manifest in newest_first.filter(|manifest| manifest.host != own_host) {
            for database in manifest.sources.iter().filter_map(Source::database) {
                let address = DatabaseAddress::new(&manifest.host, &database.name)?;
                seen.entry(address).or_insert_with(|| database.points.clone());
            }
        }
        known.extend(seen.into_iter().filter_map(|(address, points)| Some((address, points?))));
        for (name, database) in &config.databases {
            if let Some(points) = &database.points {
                known.insert(DatabaseAddress::new(&own_host, name)?, points.clone());
            }
        }
        let other = own.longer(&Ladder::default());
        let own_host = lifeboat_repository::encode_name(&own_host)?;
        Ok(Self { known, own_host, own, other })
    }

    /// The ladder of a database.
    pub(crate) fn get(&self, database: &DatabaseAddress) -> Ladder {
        let otherwise = if database.host() == self.own_host { &self.own } else { &self.other };
        self.known.get(database).unwrap_or(otherwise).clone()
    }
}
