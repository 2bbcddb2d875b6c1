//! What a restore goes around, and what it does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use common::{Machine, back_up, back_up_base, backup_app, objects_below, restored, try_restore};
use lifeboat::{CheckOptions, Error, Note, Progress, Selection, Silent, Time, check, dump};
use lifeboat_ltx::{Encoder, Header, PageSize, Txid};
use lifeboat_repository::{DatabaseAddress, LtxName};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Meddle, Meddling, Operation};
use lifeboat_storage::{Key, Result as StorageResult, Storage};

thread_local! {
    static FAULTY: RefCell<Option<Faulty<Arc<dyn Storage>>>> = const { RefCell::new(None) };
}

fn faulty(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    let storage = Faulty::new(storage, None);
    FAULTY.replace(Some(storage.clone()));
    Arc::new(storage)
}

/// The storage that was opened last, to make it fail.
fn opened_storage() -> Faulty<Arc<dyn Storage>> {
    FAULTY.with_borrow(|faulty| faulty.clone().unwrap())
}

/// A machine with backups in its default repository; each after a change, the oldest first.
fn backed_up(backups: u32) -> (Machine, Vec<(String, Vec<u8>)>) {
    let machine = Machine::new();
    machine.create("wal", 10);
    let mut made = Vec::new();
    for row in 1..=backups {
        machine.change(row);
        let report = backup_app(&machine.context()).unwrap();
        made.push((report.manifest.id.to_string(), machine.bytes()));
    }
    (machine, made)
}

/// The LTX file whose name has this in it.
fn ltx(machine: &Machine, name: &str) -> PathBuf {
    let objects = objects_below(&machine.path(".local/share/lifeboat/repository"));
    let fits = |object: &PathBuf| object.to_str().unwrap().contains(name);
    objects.into_iter().find(fits).unwrap()
}

fn flip(object: &PathBuf) {
    let mut bytes = fs::read(object).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(object, bytes).unwrap();
}

/// Remembers the notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn note(&self, note: &Note) {
        let text = match note {
            Note::DamagedObject { object } => format!("damaged {}", object.key),
            Note::SkippedBackup { backup } => format!("skipped {}", backup.name.id),
            Note::OtherBackup { name, .. } => format!("instead {}", name.id),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

#[test]
fn another_way_to_the_same_point_is_taken() {
    let (machine, backups) = backed_up(3);
    back_up_base(&machine.context()).unwrap();
    let base = ltx(&machine, "/9/0000000000000001-0000000000000003");
    flip(&base);
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let notes = Notes::default();
    let (report, bytes) = try_restore(&opened, None, &machine.path("restored.db"), &notes).unwrap();
    assert!(bytes == backups[2].1);
    assert!(report.detour.skipped.is_empty(), "{report:?}");
    assert_eq!(report.detour.damaged.len(), 1, "{report:?}");
    assert!(base.ends_with(&report.detour.damaged[0].key), "{report:?}");
    let key = &report.detour.damaged[0].key;
    assert_eq!(*notes.0.lock().unwrap(), [format!("damaged {key}")]);
    // The same for who named the backup.
    assert!(restored(&opened, &backups[2].0, &machine.path("restored.db")) == backups[2].1);
}

/// What was found damaged is not read again for each older backup, and every step is told.
#[test]
fn older_backups_follow_until_one_is_whole() {
    let (machine, backups) = backed_up(6);
    flip(&ltx(&machine, "/0/0000000000000003-0000000000000003"));
    let context = machine.context().with_storage_between(faulty);
    let opened = context.open_repository().unwrap();
    opened.secrets().unwrap();
    let storage = opened_storage();
    storage.reset(None);
    let notes = Notes::default();
    let (report, bytes) = try_restore(&opened, None, &machine.path("restored.db"), &notes).unwrap();
    assert!(bytes == backups[1].1);
    assert_eq!(report.backup.id.to_string(), backups[1].0);
    assert_eq!(report.database.txid.get(), 2);
    let skipped: Vec<_> = report.detour.skipped.iter().map(|one| one.name.id.to_string()).collect();
    let newer: Vec<_> = backups[2..].iter().rev().map(|(id, _)| id.clone()).collect();
    assert_eq!(skipped, newer);
    let mut told = vec![format!("damaged {}", report.detour.damaged[0].key)];
    told.extend(newer.iter().map(|id| format!("skipped {id}")));
    told.push(format!("instead {}", backups[1].0));
    assert_eq!(*notes.0.lock().unwrap(), told);
    let is_base =
        |one: &&Operation| matches!(one, Operation::Read(key) if key.as_str().contains("/ltx/9/"));
    assert_eq!(storage.operations().iter().filter(is_base).count(), 2);

    let mut dumped = Vec::new();
    let report = dump(&opened, &Selection::default(), &mut dumped, &Silent).unwrap();
    assert!(dumped == backups[1].1);
    assert_eq!(report.detour.skipped.len(), 4);
}

/// A backup that was named is not replaced by another.
#[test]
fn a_named_backup_is_refused_with_what_else_there_is() {
    let (machine, backups) = backed_up(4);
    let damaged = ltx(&machine, "/0/0000000000000003-0000000000000003");
    flip(&damaged);
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let target = machine.path("restored.db");
    let error = try_restore(&opened, Some(&backups[2].0), &target, &Silent).unwrap_err();
    let Error::Unrestorable { backup, others, source } = &error else { panic!("{error:?}") };
    assert_eq!(backup.id.to_string(), backups[2].0);
    // The newest needs the damaged file, too: that is known by now.
    let others: Vec<_> = others.iter().map(|other| other.id.to_string()).collect();
    assert_eq!(others, [backups[1].0.clone(), backups[0].0.clone()]);
    let Error::Repository(source) = source.as_ref() else { panic!("{source:?}") };
    assert!(damaged.ends_with(source.key().unwrap().as_str()), "{source:?}");
    assert!(!target.exists());
    let left = fs::read_dir(machine.directory.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().contains("lifeboat-")), "{left:?}");
}

/// An older backup of something else is no replacement.
#[test]
fn another_database_is_never_taken_instead() {
    let machine = Machine::new();
    machine.create("wal", 3);
    fs::copy(machine.database(), machine.path("web.db")).unwrap();
    let context = machine.context();
    back_up(&context, "web.db").unwrap();
    backup_app(&context).unwrap();
    flip(&ltx(&machine, "/app/"));
    let opened = context.open_repository().unwrap();
    let error = try_restore(&opened, None, &machine.path("restored.db"), &Silent).unwrap_err();
    assert!(matches!(&error, Error::Unrestorable { others, .. } if others.is_empty()), "{error:?}");
}

/// A base that is sound by itself, but of another database: whoever may write to the repository can
/// put one there, and every plan takes it first. What the manifests name is still there.
#[test]
fn a_file_that_leads_elsewhere_is_gone_around() {
    let (machine, backups) = backed_up(3);
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let target = machine.path("restored.db");
    let (report, _) = try_restore(&opened, None, &target, &Silent).unwrap();
    let address = DatabaseAddress::new(&context.host_name(), "app").unwrap();
    let lineage = address.lineage(report.database.lineage).unwrap();
    for max in [2, 3] {
        let max = Txid::new(max).unwrap();
        let name = LtxName { level: 9, min: Txid::FIRST, max, time: Time::from_millis(1000) };
        let mut header = Header::new(PageSize::new(4096).unwrap(), 1, name.range());
        (header.timestamp_ms, header.node) = (1000, lineage.id().node());
        let writer = opened.repository().begin_ltx(&lineage, name, 0).unwrap();
        let mut encoder = Encoder::new(writer, &header).unwrap();
        encoder.write_page(1, &[7; 4096]).unwrap();
        encoder.finish().unwrap().0.finish().unwrap().publish().unwrap();
        for (id, bytes) in &backups {
            let (report, restored) = try_restore(&opened, Some(id), &target, &Silent).unwrap();
            assert!(restored == *bytes, "{id} up to {max}");
            let damaged = report.detour.damaged.iter().all(|one| one.key.contains("/ltx/9/"));
            assert!(damaged, "{report:?}");
        }
        let report = check(&opened, CheckOptions::all(), &Silent).unwrap();
        assert_eq!(report.restorable.len(), 3, "{report:?}");
        assert!(
            report.findings.iter().any(|finding| finding.key.contains("/ltx/9/")),
            "{report:?}"
        );
    }
}

/// A prune beside: the file that the plan names is removed as it is opened, and what it was merged
/// into is there instead.
#[test]
fn what_is_gone_is_listed_and_planned_again() {
    let (machine, backups) = backed_up(2);
    back_up_base(&machine.context()).unwrap();
    let delta = ltx(&machine, "/0/0000000000000002-0000000000000002");
    let base = ltx(&machine, "/9/0000000000000001-0000000000000002");
    let hidden = machine.path("hidden");
    fs::rename(&base, &hidden).unwrap();
    MERGE.replace(Some(Merge { delta, base, hidden }));
    let context = machine.context().with_storage_between(pruned);
    let opened = context.open_repository().unwrap();
    let (report, bytes) =
        try_restore(&opened, Some(&backups[1].0), &machine.path("restored.db"), &Silent).unwrap();
    assert!(MERGE.take().is_none(), "the file was opened");
    assert!(bytes == backups[1].1);
    assert!(report.detour.skipped.is_empty(), "{report:?}");
    assert!(report.detour.damaged[0].reason.contains("does not exist"), "{report:?}");
}

struct Merge {
    delta: PathBuf,
    base: PathBuf,
    hidden: PathBuf,
}

thread_local! {
    static MERGE: RefCell<Option<Merge>> = const { RefCell::new(None) };
}

fn pruned(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    Arc::new(Meddling::new(Pruned(storage)))
}

/// Removes the delta of [`MERGE`] when it is opened, and brings the base that replaces it.
struct Pruned(Arc<dyn Storage>);

impl Meddle for Pruned {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> StorageResult<Box<dyn Read + Send>> {
        let merge = MERGE
            .with_borrow_mut(|merge| merge.take_if(|merge| merge.delta.ends_with(key.as_str())));
        if let Some(Merge { delta, base, hidden }) = merge {
            fs::rename(hidden, base).unwrap();
            fs::remove_file(delta).unwrap();
        }
        self.0.read(key, range)
    }
}

/// A storage that fails is no damage: nothing older is restored in its place.
#[test]
fn a_failing_storage_is_no_damage() {
    let (machine, backups) = backed_up(3);
    let context = machine.context().with_storage_between(faulty);
    let opened = context.open_repository().unwrap();
    opened.secrets().unwrap();
    let storage = opened_storage();
    let target = machine.path("restored.db");
    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for at in 0.. {
            storage.reset(Some(Fault { at, kind }));
            let result = try_restore(&opened, None, &target, &Silent);
            let operations = storage.operations();
            let what = format!("{kind:?} at {at}: {:?}", operations.get(at));
            match result {
                Ok((report, bytes)) => {
                    assert!(bytes == backups[2].1, "{what}");
                    assert!(report.detour.skipped.is_empty(), "{what}: {report:?}");
                    assert!(operations.len() <= at && at > 4, "{what}");
                    break;
                }
                Err(error) => {
                    let is_storage = matches!(
                        &error,
                        Error::Repository(lifeboat_repository::Error::Storage(
                            lifeboat_storage::Error::Storage { .. }
                        ))
                    );
                    assert!(is_storage, "{what}: {error:?}");
                    assert!(!target.exists(), "{what}");
                }
            }
        }
    }
}
