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

#[cfg(test)]
mod tests {
    use lifeboat_repository::{DatabaseAddress, Ladder, Manifest};
    use serde_json::json;

    use super::Ladders;
    use crate::{Context, Environment, Overrides};

    fn manifest(host: &str, name: &str, points: &serde_json::Value) -> Manifest {
        let (id, time) = ("0123456789abcdef", "2026-11-21T02:49:00.123Z");
        serde_json::from_value(json!({
            "version": 1, "id": id, "revision": 1, "host": host, "hostname": host, "started": time,
            "finished": time, "tool": "test", "sources": [{
                "kind": "database", "name": name, "path": "/app.db", "lineage": id, "txid": id,
                "time": time, "page_size": 512, "page_count": 1, "size_bytes": 512,
                "checksum": "8000000000000000", "journal_mode": "wal", "schema_sha256": null,
                "mode": "0644", "uid": 0, "gid": 0, "changed_pages": 1, "changed_from": null,
                "stored_bytes": 1, "duration_ms": 1, "objects": [], "points": points,
            }],
        }))
        .unwrap()
    }

    #[test]
    fn each_host_decides_about_its_own_databases() {
        let directory = tempfile::tempdir().unwrap();
        let config = "host = 'pi'\n[points]\nladder = ['all for 2h']\n[database.app]\n\
                      path = 'app.db'\npoints = ['all for 3h']\n";
        std::fs::write(directory.path().join("lifeboat.toml"), config).unwrap();
        let environment = Environment::of([("HOME", directory.path())], directory.path());
        let context = Context::load(environment, Overrides::default()).unwrap();
        let manifests = [
            manifest("nas", "app", &json!(["all for 4h"])),
            manifest("nas", "app", &json!(["all for 5h"])),
            manifest("nas", "web", &json!(null)),
            manifest("nas", "web", &json!(["all for 6h"])),
            manifest("nas", "new", &json!(["sometimes"])),
            manifest("pi", "app", &json!(["all for 7h"])),
        ];
        let ladders = Ladders::of(&context, manifests.iter()).unwrap();
        let usual = Ladder::default().horizon().as_secs() / 3600;
        for (host, name, hours) in [
            ("pi", "app", 3),
            ("pi", "other", 2),
            // The newest manifest counts.
            ("nas", "app", 4),
            ("nas", "web", usual),
            ("nas", "new", usual),
            ("nas", "other", usual),
        ] {
            let address = DatabaseAddress::new(host, name).unwrap();
            assert_eq!(ladders.get(&address).horizon().as_secs(), hours * 3600, "{host} {name}");
        }
    }
}
