//! Every point of a repository, restored.

use std::collections::HashMap;
use std::path::Path;

use lifeboat::{Context, Environment, OpenRepository, Overrides};
use lifeboat_repository::{LineageAddress, LineageListing, Point, open_ltx, points};
use lifeboat_sqlite::Stage;

use super::Home;

/// The home's own settings, for the library; `repository` is a name in `lifeboat.toml`.
pub(crate) fn context(home: &Home, repository: &str) -> Context {
    let environment = Environment::of([("HOME", home.directory())], home.directory());
    let overrides = Overrides { repository: Some(repository.to_owned()), ..Overrides::default() };
    Context::load(environment, overrides).unwrap()
}

/// Restores every point of every lineage of the one database, from the oldest to the newest, and
/// shows it.
///
/// A point is reached by the files that a restore would take. Those that lead to the point before it
/// are not applied again where they are the first of them.
pub(crate) fn for_each_point(
    opened: &OpenRepository<'_>,
    scratch: &Path,
    mut show: impl FnMut(Point, &Path),
) {
    let repository = opened.repository();
    let databases = repository.databases().unwrap();
    let mut found: Vec<(LineageAddress, LineageListing, Vec<Point>)> = Vec::new();
    for lineage in databases.iter().flat_map(|one| repository.lineages(one).unwrap()) {
        let listing = repository.listing(&lineage).unwrap();
        let points = points(&listing.files);
        found.push((lineage, listing, points));
    }
    found.sort_by_key(|(.., points)| points.first().map(|point| point.time));
    for (lineage, listing, points) in found {
        let path = scratch.join(lineage.id().to_string());
        let mut stage = Stage::create(&path).unwrap();
        let mut applied = Vec::new();
        for point in points {
            let way = listing.plan(&lineage, point.txid).unwrap();
            let keys: Vec<_> = way.iter().map(|file| file.first_key()).collect();
            if !keys.starts_with(&applied) {
                stage.restart().unwrap();
                applied.clear();
            }
            for file in &way[applied.len()..] {
                let (storage, secrets) = (repository.storage(), opened.secrets().unwrap());
                let expected = HashMap::new();
                let (decoder, _) =
                    open_ltx(storage, file, lineage.id().node(), &expected, secrets).unwrap();
                stage.apply(decoder, &mut |_| ()).unwrap();
            }
            applied = keys;
            show(point, &path);
        }
    }
}
