//! A sound repository, to be damaged.

use lifeboat_repository::{BackupName, CheckReport, plan};
use lifeboat_storage::Key;

use super::{Database, World, backup};

/// Three backups of two databases. `app` has parts, a second base in the middle, and a merge at its
/// end: each transaction but the first can be reached in several ways, and no manifest names what
/// the merge was made of last.
pub(crate) struct Sound {
    pub(crate) world: World,
    pub(crate) app: Database,
    pub(crate) web: Database,
    /// The oldest first.
    pub(crate) names: Vec<BackupName>,
}

pub(crate) fn sound() -> Sound {
    let world = World::new();
    let repository = &world.repository;
    let (mut app, mut web) = (Database::new("pi", "app", 12), Database::new("pi", "web", 2));
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    let first = app.checksum();
    for page in 2..10 {
        app.change(page, 300 + page as u64);
    }
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    app.write_base(repository, 2).unwrap();
    app.change(1, 400);
    web.change(2, 401);
    app.capture(repository).unwrap();
    app.write_merge(repository, 2, first).unwrap();
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    let mut names = repository.backups().unwrap();
    names.reverse();
    let sound = Sound { world, app, web, names };
    let report = sound.world.check();
    assert!(report.is_clean() && report.unfinished.is_empty(), "{report:?}");
    assert_eq!((report.files, report.restorable.len()), (7, 3));
    sound
}

pub(crate) fn is_kind(object: &Key, kind: &str) -> bool {
    object.as_str().contains(kind)
}

impl Sound {
    /// The backups to which no plan leads without the file that an object is a part of.
    pub(crate) fn need(&self, object: &Key) -> Vec<BackupName> {
        let needs = |name: &&BackupName| {
            let manifest =
                self.world.repository.manifest(name, &self.world.secrets).unwrap().manifest;
            let mut sources = manifest.sources.iter().filter_map(|source| source.database());
            sources.any(|source| {
                let lineage = if source.name == "app" { &self.app } else { &self.web };
                let mut listing = self.world.repository.listing(&lineage.lineage).unwrap();
                listing.files.retain(|file| file.objects.iter().all(|part| part.key != *object));
                plan(&listing.files, source.txid).is_err()
            })
        };
        self.names.iter().rev().filter(needs).cloned().collect()
    }

    /// Whether a manifest names an object: else its absence is no damage, nor is its size known.
    pub(crate) fn is_named(&self, object: &Key) -> bool {
        self.names.iter().any(|name| {
            let read = self.world.repository.manifest(name, &self.world.secrets);
            let manifest = read.unwrap().manifest;
            let sources = manifest.sources.iter().filter_map(|source| source.database());
            let mut objects = sources.flat_map(|source| &source.objects);
            objects.any(|named| named.key == object.as_str())
        })
    }

    pub(crate) fn assert_noticed(
        &self,
        object: &Key,
        report: &CheckReport,
        lost: &[BackupName],
        what: &str,
    ) {
        assert_eq!(report.lost, lost, "{what}: {report:?}");
        let others: Vec<_> =
            self.names.iter().rev().filter(|name| !lost.contains(name)).cloned().collect();
        assert_eq!(report.restorable, others, "{what}: {report:?}");
        let mut findings = report.findings.iter().map(|finding| finding.key.as_str());
        assert!(findings.any(|key| key == object.as_str()), "{what}: {report:?}");
        // And nothing else is called damaged than what follows from it.
        for finding in &report.findings {
            let follows = lost.iter().any(|name| name.key().unwrap().as_str() == finding.key)
                || [&self.app, &self.web]
                    .iter()
                    .any(|one| one.lineage.key().as_str() == finding.key);
            assert!(finding.key == object.as_str() || follows, "{what}: {finding:?}");
        }
    }
}
