//! Points in time: every one comes back, whether a backup names it or not, and none silently in the
//! place of another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Machine, Notes, backup_app, database, objects_below};
use lifeboat::{
    Context, Error, LineageId, OpenRepository, Point, PointChoice, PointRestoreReport,
    PointRestoreRequest, PointSelection, PointsRequest, Progress, Result, Silent, Time, Txid,
    dump_point, parse_txid, plan_point_restore, points, ranges, restore_point,
};
use lifeboat_ltx::{Decoder, Encoder, PageCoding};
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{Entry, Key, Result as StorageResult, Storage};

/// A machine with points in its default repository, each of a backup; the oldest first.
struct World {
    machine: Machine,
    made: Vec<(LineageId, Point, Vec<u8>)>,
}

impl World {
    fn new(backups: u32) -> Self {
        let mut world = Self { machine: Machine::new(), made: Vec::new() };
        world.machine.create("delete", 10);
        world.back_up(backups);
        world
    }

    fn for_litestream(backups: u32) -> Self {
        let mut world = Self { machine: Machine::new(), made: Vec::new() };
        world.machine.create("delete", 10);
        world.machine.context().init_litestream(&Silent).unwrap();
        world.back_up(backups);
        world
    }

    /// Each backup after a change.
    fn back_up(&mut self, backups: u32) {
        for row in 1..=backups {
            self.machine.change(row);
            let source = database(&backup_app(&self.machine.context()).unwrap());
            let point = Point { time: source.time, txid: source.txid };
            self.made.push((source.lineage, point, self.machine.bytes()));
            // Points are a millisecond apart at least: two may not be meant by one time.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn objects(&self) -> Vec<PathBuf> {
        objects_below(&self.machine.path(".local/share/lifeboat/repository"))
    }

    /// Takes the backups away, as if the points came from replication.
    fn forget_backups(&self) {
        let is_of_backup = |path: &&PathBuf| {
            let text = path.to_str().unwrap();
            text.contains("/backups/") || text.contains("/pins/")
        };
        self.objects().iter().filter(is_of_backup).for_each(|path| fs::remove_file(path).unwrap());
    }

    /// The LTX file whose name has this in it.
    fn ltx(&self, name: &str) -> PathBuf {
        self.objects().into_iter().find(|path| path.to_str().unwrap().contains(name)).unwrap()
    }

    #[track_caller]
    fn assert_comes_back(&self, opened: &OpenRepository<'_>, number: usize, choice: PointChoice) {
        let (lineage, point, bytes) = &self.made[number];
        let (report, restored) = self.try_restore(opened, choice, &Silent).unwrap();
        assert_eq!((report.found.lineage, report.found.point), (*lineage, *point));
        assert!(restored == *bytes && report.skipped.is_empty(), "{report:?}");
    }

    fn try_restore(
        &self,
        opened: &OpenRepository<'_>,
        choice: PointChoice,
        progress: &dyn Progress,
    ) -> Result<(PointRestoreReport, Vec<u8>)> {
        restore_to(opened, selection(choice), &self.machine.path("restored.db"), progress)
    }
}

fn selection(point: PointChoice) -> PointSelection {
    PointSelection { source: None, host: None, lineage: None, point }
}

fn restore_to(
    opened: &OpenRepository<'_>,
    selection: PointSelection,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(PointRestoreReport, Vec<u8>)> {
    let request = PointRestoreRequest {
        selection,
        target: Some(target.to_owned()),
        force: false,
        no_verify: false,
    };
    let plan = plan_point_restore(opened, &request, progress)?;
    let report = restore_point(opened, plan, progress)?;
    let bytes = fs::read(target).unwrap();
    fs::remove_file(target).unwrap();
    Ok((report, bytes))
}

fn at(time: Time, plus_ms: i64) -> PointChoice {
    PointChoice::At(Time::from_millis(time.millis() + plus_ms))
}

fn txid(number: u64) -> PointChoice {
    PointChoice::Txid(Txid::new(number).unwrap())
}

fn flip(object: &Path) {
    let mut bytes = fs::read(object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(object, bytes).unwrap();
}

/// Everything there is to restore, without what made it.
fn listed(context: &Context) -> Vec<(LineageId, Vec<Point>)> {
    let opened = context.open_repository().unwrap();
    let found = points(&opened, &PointsRequest::default()).unwrap();
    let lineages = found.into_iter().flat_map(|database| database.lineages);
    lineages.map(|lineage| (lineage.id, lineage.points)).collect()
}

#[test]
fn every_point_comes_back_with_and_without_its_backup() {
    for world in [World::new(4), World::for_litestream(4)] {
        let context = world.machine.context();
        let opened = context.open_repository().unwrap();
        for forgotten in [false, true] {
            for (number, (_, point, bytes)) in world.made.iter().enumerate() {
                world.assert_comes_back(&opened, number, PointChoice::Txid(point.txid));
                world.assert_comes_back(&opened, number, at(point.time, 0));
                world.assert_comes_back(&opened, number, at(point.time, 1));
                if let Some(before) = number.checked_sub(1) {
                    world.assert_comes_back(&opened, before, at(point.time, -1));
                }
                let mut dumped = Vec::new();
                let wanted = selection(PointChoice::Txid(point.txid));
                let report = dump_point(&opened, &wanted, &mut dumped, &Silent).unwrap();
                assert!(dumped == *bytes && report.found.point == *point);
            }
            world.assert_comes_back(&opened, 3, PointChoice::Newest);
            world.forget_backups();
            let points = world.made.iter().map(|(_, point, _)| *point).collect::<Vec<_>>();
            assert_eq!(listed(&context), [(world.made[0].0, points.clone())], "{forgotten}");
            assert_eq!(ranges(&points).len(), 1);
        }
    }
}

/// The database was made anew with pages of another size, so that another lineage follows.
#[test]
fn a_time_is_looked_for_in_all_lineages_and_a_transaction_may_be_in_several() {
    let mut world = World::new(2);
    world.machine.open().execute_batch("PRAGMA page_size = 8192; VACUUM").unwrap();
    world.back_up(2);
    let (old, new) = (world.made[0].0, world.made[2].0);
    assert_ne!(old, new);
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    for (number, (_, point, _)) in world.made.iter().enumerate() {
        world.assert_comes_back(&opened, number, at(point.time, 0));
    }
    world.assert_comes_back(&opened, 1, at(world.made[2].1.time, -1));
    let ids: Vec<_> = listed(&context).iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [new, old], "newest first");

    let error = world.try_restore(&opened, txid(1), &Silent).unwrap_err();
    let Error::Ambiguous { candidates, .. } = &error else { panic!("{error:?}") };
    for id in [old, new] {
        assert!(candidates.iter().any(|one| one.contains(&id.to_string())), "{candidates:?}");
    }
    for (number, id) in [(0, old), (2, new)] {
        let lineage = Some(id.to_string()[..6].to_owned());
        let wanted = PointSelection { lineage, ..selection(txid(1)) };
        let target = world.machine.path("restored.db");
        let (_, bytes) = restore_to(&opened, wanted, &target, &Silent).unwrap();
        assert!(bytes == world.made[number].2);
    }
    let lineage = Some("ffff".to_owned());
    let error = points(&opened, &PointsRequest { lineage, ..PointsRequest::default() });
    assert!(matches!(error, Err(Error::NoLineage { .. })), "{error:?}");
}

#[test]
fn what_was_never_there_is_told_with_what_is() {
    let world = World::new(2);
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    let (first, last) = (world.made[0].1, world.made[1].1);
    for choice in [at(first.time, -1), txid(3)] {
        let error = world.try_restore(&opened, choice, &Silent).unwrap_err();
        let Error::NoPoint { between, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*between, Some((first, last)));
    }
    let source = Some("web".to_owned());
    let error = points(&opened, &PointsRequest { source, ..PointsRequest::default() });
    assert!(matches!(error, Err(Error::NoDatabase { .. })), "{error:?}");
    // By the name, by the path, and by the path as a URL.
    let path = world.machine.database().display().to_string();
    for source in ["app", "app.db", &path, &format!("sqlite:///{path}")] {
        let wanted = PointSelection { source: Some(source.to_owned()), ..selection(txid(2)) };
        let target = world.machine.path("restored.db");
        assert!(restore_to(&opened, wanted, &target, &Silent).is_ok(), "{source}");
    }
}

/// A time takes the next older point, and says so; a transaction does not.
#[test]
fn damage_is_gone_around_or_told() {
    let world = World::new(5);
    world.forget_backups();
    flip(&world.ltx("/0/0000000000000003-"));
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    for choice in [PointChoice::Newest, at(world.made[4].1.time, 0)] {
        let notes = Notes::default();
        let (report, bytes) = world.try_restore(&opened, choice, &notes).unwrap();
        assert!(bytes == world.made[1].2);
        assert_eq!(report.found.point, world.made[1].1);
        let skipped: Vec<Point> = report.skipped.iter().map(|one| one.found.point).collect();
        assert_eq!(skipped, [world.made[4].1]);
        assert_eq!(report.damaged.len(), 1, "{report:?}");
        assert!(notes.text().contains("OtherPoint"), "{}", notes.text());
    }
    world.assert_comes_back(&opened, 1, txid(2));
    let error = world.try_restore(&opened, txid(4), &Silent).unwrap_err();
    let Error::PointUnrestorable { point, earlier, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*point, *earlier), (world.made[3].1, Some(world.made[1].1)));
    assert!(!world.machine.path("restored.db").exists());

    flip(&world.ltx("/9/0000000000000001-"));
    for choice in [txid(1), PointChoice::Newest] {
        let error = world.try_restore(&opened, choice, &Silent).unwrap_err();
        assert!(matches!(error, Error::PointUnrestorable { earlier: None, .. }), "{error:?}");
    }
}

/// What names alone show to be missing is damage as well.
#[test]
fn a_missing_file_is_no_silent_step_back() {
    let world = World::new(4);
    world.forget_backups();
    fs::remove_file(world.ltx("/0/0000000000000003-")).unwrap();
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    let found = points(&opened, &PointsRequest::default()).unwrap();
    let lineage = &found[0].lineages[0];
    assert_eq!((lineage.points.len(), lineage.unreachable), (2, Some(world.made[3].1)));
    let (report, bytes) = world.try_restore(&opened, PointChoice::Newest, &Silent).unwrap();
    assert!(bytes == world.made[1].2 && report.damaged.is_empty());
    assert_eq!(report.skipped[0].found.point, world.made[3].1);
    let error = world.try_restore(&opened, txid(4), &Silent).unwrap_err();
    let Error::PointUnrestorable { earlier, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*earlier, Some(world.made[1].1));
    // Of what came before, nothing is missing.
    world.assert_comes_back(&opened, 1, at(world.made[1].1.time, 0));
}

/// While a listing is made, uploads go on: it may show a file and not the one before it.
#[test]
fn a_listing_in_the_middle_of_uploads_is_made_again() {
    let world = World::new(4);
    world.forget_backups();
    let context = world.machine.context().with_storage_between(|inner| {
        Arc::new(Meddling::new(Late { inner, listed: AtomicU32::new(0) }))
    });
    let opened = context.open_repository().unwrap();
    world.assert_comes_back(&opened, 3, PointChoice::Newest);
    assert_eq!(listed(&context)[0].1.len(), 4);
}

/// A storage whose first listing with LTX files lacks the third.
struct Late {
    inner: Arc<dyn Storage>,
    listed: AtomicU32,
}

impl Meddle for Late {
    fn inner(&self) -> &dyn Storage {
        &self.inner
    }

    fn list(&self, directory: Option<&Key>) -> StorageResult<Vec<Entry>> {
        let mut entries = self.inner.list(directory)?;
        let third = |entry: &Entry| entry.key.as_str().contains("/0/0000000000000003-");
        if entries.iter().any(third) && self.listed.fetch_add(1, Ordering::Relaxed) == 0 {
            entries.retain(|entry| !third(entry));
        }
        Ok(entries)
    }
}

/// What a manifest says of objects counts for points too; where none does, the file's own checksums
/// are all there is.
#[test]
fn manifests_vouch_for_what_they_name() {
    let world = World::for_litestream(3);
    let file = world.ltx("/0/0000000000000002-");
    let modified = file.metadata().unwrap().modified().unwrap();
    fs::write(&file, other_pages(&fs::read(&file).unwrap())).unwrap();
    fs::File::options().append(true).open(&file).unwrap().set_modified(modified).unwrap();
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    let error = world.try_restore(&opened, txid(2), &Silent).unwrap_err();
    let Error::PointUnrestorable { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("expected"), "{source:?}");
    world.forget_backups();
    let request = PointRestoreRequest {
        selection: selection(txid(2)),
        target: Some(world.machine.path("restored.db")),
        force: false,
        no_verify: true,
    };
    let plan = plan_point_restore(&opened, &request, &Silent).unwrap();
    restore_point(&opened, plan, &Silent).unwrap();
}

/// A sound file of the same transaction with another last page, as Litestream could have written it.
fn other_pages(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(bytes).unwrap();
    let mut header = decoder.header().clone();
    (header.node, header.checksum_before, header.checksum_after) = (0, None, None);
    let mut encoder = Encoder::with_coding(Vec::new(), &header, PageCoding::Lz4).unwrap();
    let mut page = Vec::new();
    while let Some((number, _)) = decoder.next_page(&mut page).unwrap() {
        if number == header.commit {
            *page.last_mut().unwrap() ^= 1;
        }
        encoder.write_page(number, &page).unwrap();
    }
    decoder.finish().unwrap();
    encoder.finish().unwrap().0
}

#[test]
fn the_file_gets_the_place_and_permissions_that_are_known() {
    let world = World::new(1);
    fs::set_permissions(world.machine.database(), PermissionsExt::from_mode(0o640)).unwrap();
    world.machine.change(1);
    backup_app(&world.machine.context()).unwrap();
    let context = world.machine.context();
    let opened = context.open_repository().unwrap();
    for mode in [0o640, 0o600] {
        fs::remove_file(world.machine.database()).unwrap();
        let request = PointRestoreRequest {
            selection: selection(txid(1)),
            target: None,
            force: false,
            no_verify: false,
        };
        let plan = plan_point_restore(&opened, &request, &Silent).unwrap();
        restore_point(&opened, plan, &Silent).unwrap();
        let found = world.machine.database().metadata().unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
        assert!(world.machine.bytes() == world.made[0].2);
        let again = plan_point_restore(&opened, &request, &Silent).unwrap_err();
        assert!(again.to_string().contains("app.db"), "{again}");
        world.forget_backups();
    }
}

/// To look at points needs no secret, to restore one does.
#[test]
fn points_are_listed_without_a_password() {
    let world = World::new(2);
    fs::remove_file(world.machine.path(".config/lifeboat/password")).unwrap();
    let context = world.machine.context();
    assert_eq!(listed(&context)[0].1.len(), 2);
    let opened = context.open_repository().unwrap();
    let error = world.try_restore(&opened, PointChoice::Newest, &Silent).unwrap_err();
    assert!(matches!(error, Error::NoPassword { .. }), "{error:?}");
    assert_eq!(parse_txid("2").unwrap(), world.made[1].1.txid);
}
