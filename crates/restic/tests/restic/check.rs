//! Checks: every damage is found and named, with what it takes; and restic agrees.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_restic::{
    BlobHandle, BlobKind, CheckOptions, CheckReport, Index, ObjectId, PackId, ResticRepository,
    Root, SnapshotId, Subset, TreeId,
};

use crate::common::{Place, display, text};
use crate::fixture::{Fixture, fixture, noise};

/// A copy of the fixture on disk, to be damaged.
struct Patient {
    fixture: &'static Fixture,
    place: Place,
    repository: ResticRepository,
    roots: Vec<Root>,
    index: Index,
}

impl Patient {
    fn new() -> Option<Self> {
        let fixture = fixture()?;
        let place = fixture.place();
        let repository = fixture.open(place.storage());
        let roots = repository.snapshots().unwrap().roots();
        let index = Index::load(&repository).unwrap();
        Some(Self { fixture, place, repository, roots, index })
    }

    fn check(&self, read_data: Option<Subset>) -> CheckReport {
        let options = CheckOptions { read_data, ..CheckOptions::default() };
        self.repository.check(&self.roots, &options, &|_, _| {}).unwrap()
    }

    /// The pack of the first piece of this file.
    fn pack_of(&self, file: &str) -> PackId {
        let nodes = self.fixture.nodes(&self.repository, &self.index);
        let (_, node) = nodes.iter().find(|(path, _)| path == Path::new(file)).unwrap();
        self.index.find(&BlobHandle { kind: BlobKind::Data, id: node.content[0] }).unwrap().pack
    }

    fn pack_of_tree(&self, tree: TreeId) -> PackId {
        self.index.find(&BlobHandle { kind: BlobKind::Tree, id: tree.into() }).unwrap().pack
    }

    fn path(&self, id: &impl ObjectId) -> PathBuf {
        self.place.root().join(id.key().unwrap().as_str())
    }

    /// The snapshot of the two that is called so.
    fn snapshot(&self, name: &str) -> SnapshotId {
        self.fixture.snapshots[name]
    }

    /// The objects in a directory, in the order of their names.
    fn objects(&self, directory: &str) -> Vec<PathBuf> {
        let directory = fs::read_dir(self.place.root().join(directory)).unwrap();
        let mut objects: Vec<_> = directory.map(|entry| entry.unwrap().path()).collect();
        objects.sort();
        objects
    }

    /// For packs that are missing restic asks again and again for minutes: not for them.
    fn restic_agrees_that_it_is(&self, sound: bool) {
        let run = self.place.try_restic(&["check", "--read-data"]);
        assert_eq!(run.status.success(), sound, "{}", text(&run.stderr));
    }

    fn key(&self, path: &Path) -> String {
        display(path.strip_prefix(self.place.root()).unwrap())
    }
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    FlipFirst,
    FlipMiddle,
    FlipLast,
    Cut,
    Empty,
    Grow,
    Delete,
    /// Another object of its kind in its place.
    Swap,
}

const HARMS: [Harm; 8] = [
    Harm::FlipFirst,
    Harm::FlipMiddle,
    Harm::FlipLast,
    Harm::Cut,
    Harm::Empty,
    Harm::Grow,
    Harm::Delete,
    Harm::Swap,
];

fn harm(path: &Path, harm: Harm, other: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let (middle, last) = (bytes.len() / 2, bytes.len() - 1);
    match harm {
        Harm::FlipFirst => bytes[0] ^= 1,
        Harm::FlipMiddle => bytes[middle] ^= 1,
        Harm::FlipLast => bytes[last] ^= 1,
        Harm::Cut => bytes.truncate(last),
        Harm::Empty => bytes.clear(),
        Harm::Grow => bytes.push(0),
        Harm::Delete => {}
        Harm::Swap => bytes = fs::read(other).unwrap(),
    }
    fs::remove_file(path).unwrap();
    if harm != Harm::Delete {
        fs::write(path, bytes).unwrap();
    }
}

fn names(report: &CheckReport, object: &str) -> bool {
    report.damages.iter().any(|damage| damage.object == object && !damage.problems.is_empty())
}

fn lost_paths(report: &CheckReport, snapshot: SnapshotId) -> Vec<String> {
    let lost = report.lost.iter().find(|lost| lost.snapshot == snapshot);
    lost.into_iter().flat_map(|lost| &lost.paths).map(|lost| display(&lost.path)).collect()
}

#[test]
fn a_sound_repository_is_sound() {
    let Some(patient) = Patient::new() else { return };
    let without = patient.check(None);
    assert!(without.is_sound(), "{without:?}");
    assert_eq!((without.packs_read, without.unreferenced_packs, without.roots), (0, 0, 2));
    let all = patient.check(Some(Subset::All));
    assert!(all.is_sound(), "{all:?}");
    assert_eq!((all.packs_read, all.packs), (without.packs, without.packs));
    assert!(all.read_bytes > 10_000_000 && all.trees > 5 && all.blobs > 200);
    patient.restic_agrees_that_it_is(true);
}

#[test]
fn every_harm_to_a_pack_of_files_is_found_and_named() {
    for what in HARMS {
        let Some(patient) = Patient::new() else { return };
        let pack = patient.path(&patient.pack_of("second/small/000"));
        let key = patient.key(&pack);
        harm(&pack, what, &patient.path(&patient.pack_of("first/noise")));
        let report = patient.check(Some(Subset::All));
        assert!(names(&report, &key), "{what:?}: {:?}", report.damages);
        assert_eq!(report.damages.len(), 1, "{what:?}: {:?}", report.damages);
        let is_flip = matches!(what, Harm::FlipFirst | Harm::FlipMiddle | Harm::FlipLast);
        assert_eq!(patient.check(None).is_sound(), is_flip, "{what:?}");
        // The header takes no file with it.
        let takes_files = !matches!(what, Harm::FlipLast | Harm::Cut | Harm::Grow);
        let lost = lost_paths(&report, patient.snapshot("second"));
        assert_eq!(!lost.is_empty(), takes_files, "{what:?}: {lost:?}");
        assert!(lost.iter().all(|path| path.contains("/second/small/")), "{what:?}: {lost:?}");
        assert_eq!(lost_paths(&report, patient.snapshot("first")), Vec::<String>::new());
        if matches!(what, Harm::FlipMiddle | Harm::Cut | Harm::Swap) {
            patient.restic_agrees_that_it_is(false);
        }
    }
}

#[test]
fn every_harm_to_a_pack_of_directories_is_found_and_named() {
    for what in HARMS {
        let Some(patient) = Patient::new() else { return };
        let root = patient.repository.snapshot(&patient.snapshot("second")).unwrap().tree;
        let pack = patient.path(&patient.pack_of_tree(root));
        let key = patient.key(&pack);
        harm(&pack, what, &patient.path(&patient.pack_of("first/noise")));
        let report = patient.check(Some(Subset::All));
        assert!(names(&report, &key), "{what:?}: {:?}", report.damages);
        if matches!(what, Harm::Empty | Harm::Delete | Harm::Swap) {
            assert_eq!(lost_paths(&report, patient.snapshot("second")), ["/"], "{what:?}");
            let lost = report.lost.iter().find(|lost| lost.snapshot == patient.snapshot("second"));
            assert!(lost.unwrap().problem.is_none());
            assert!(!patient.check(None).is_sound());
        }
        if matches!(what, Harm::FlipFirst | Harm::FlipMiddle) {
            patient.restic_agrees_that_it_is(false);
        }
    }
}

#[test]
fn every_harm_to_an_index_is_found_and_named() {
    for what in HARMS {
        let Some(patient) = Patient::new() else { return };
        let indexes = patient.objects("index");
        assert!(indexes.len() > 1);
        harm(&indexes[0], what, &indexes[1]);
        let report = patient.check(None);
        assert!(!report.is_sound());
        assert!(report.unreferenced_packs > 0 && !report.lost.is_empty());
        if what != Harm::Delete {
            assert!(names(&report, &patient.key(&indexes[0])), "{what:?}: {:?}", report.damages);
        }
        assert!(
            report
                .damages
                .iter()
                .any(|damage| damage.problems.contains(&"no index lists it".to_owned()))
        );
        if matches!(what, Harm::FlipMiddle | Harm::Cut | Harm::Delete) {
            patient.restic_agrees_that_it_is(false);
        }
    }
}

#[test]
fn every_harm_to_a_snapshot_is_found_and_named() {
    for what in HARMS {
        let Some(patient) = Patient::new() else { return };
        let (first, second) = (patient.snapshot("first"), patient.snapshot("second"));
        let path = patient.path(&first);
        harm(&path, what, &patient.path(&second));
        let report = patient.check(None);
        assert_eq!(
            names(&report, &patient.key(&path)),
            what != Harm::Delete,
            "{what:?}: {report:?}"
        );
        let [lost] = &report.lost[..] else { panic!("{what:?}: {report:?}") };
        assert_eq!((lost.snapshot, lost.paths.len(), lost.more_paths), (first, 0, false));
        assert!(lost.problem.is_some());
        if matches!(what, Harm::FlipMiddle | Harm::Cut) {
            patient.restic_agrees_that_it_is(false);
        }
    }
}

#[test]
fn every_harm_to_the_configuration_keeps_it_shut() {
    for what in HARMS {
        let Some(patient) = Patient::new() else { return };
        let config = patient.place.root().join("config");
        harm(&config, what, &patient.path(&patient.snapshot("first")));
        let key = patient.repository.key().clone();
        let opened = ResticRepository::open(patient.place.storage(), key);
        assert!(opened.is_err(), "{what:?}");
        if matches!(what, Harm::FlipMiddle | Harm::Delete) {
            patient.restic_agrees_that_it_is(false);
        }
    }
}

#[test]
fn a_root_that_is_not_what_it_should_be_is_lost() {
    let Some(patient) = Patient::new() else { return };
    let unknown = TreeId::of(b"unknown");
    let (first, second) = (patient.snapshot("first"), patient.snapshot("second"));
    let tree = patient.repository.snapshot(&second).unwrap().tree;
    let roots = [Root { snapshot: first, tree }, Root { snapshot: second, tree: unknown }];
    let report = patient.repository.check(&roots, &CheckOptions::default(), &|_, _| {}).unwrap();
    let [one, other] = &report.lost[..] else { panic!("{report:?}") };
    assert!(one.problem.as_ref().unwrap().contains(&tree.to_string()) && one.paths.is_empty());
    assert!(other.problem.is_some() && other.paths[0].path == Path::new("/"));
    let options = CheckOptions { most_paths: 0, ..CheckOptions::default() };
    let report = patient.repository.check(&roots, &options, &|_, _| {}).unwrap();
    assert!(report.lost[1].more_paths && report.lost[1].paths.is_empty());
}

#[test]
fn what_no_index_lists_is_counted_and_no_damage() {
    let Some(patient) = Patient::new() else { return };
    let pack = noise(9, 1000);
    let id = PackId::of(&pack);
    fs::create_dir_all(patient.path(&id).parent().unwrap()).unwrap();
    fs::write(patient.path(&id), pack).unwrap();
    let report = patient.check(Some(Subset::All));
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.unreferenced_packs, report.unreferenced_bytes), (1, 1000));
    patient.restic_agrees_that_it_is(true);
}

#[test]
fn parts_read_all_packs_between_them() {
    let Some(patient) = Patient::new() else { return };
    let parts = (1..=3).map(|number| patient.check(Some(Subset::Part { number, parts: 3 })));
    let read: u64 = parts.map(|report| report.packs_read).sum();
    assert_eq!(read, patient.check(None).packs);
    let share = patient.check(Some(Subset::Bytes(1)));
    assert_eq!(share.packs_read, 1);
}
