//! A storage that fails at every operation of a backup in turn.

use std::sync::Arc;

use lifeboat_repository::{CheckOptions, Error, Repository, Secrets, check};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::{LocalStorage, Storage};

use crate::common::{
    Database, KINDS, World, assert_restores, backup, checked, copy, key, new_lineage, open, read,
    restore, txid,
};

/// The first backup has `app`; the second has what changed of it, and `new`, with parts.
pub(crate) fn first(world: &World) -> (Database, Database) {
    let mut app = Database::new("pi", "app", 12);
    backup(&world.repository, &mut [&mut app]).unwrap();
    for page in [3, 5, 13, 14, 15, 16, 17, 18] {
        app.change(page, 2000 + page as u64);
    }
    let mut new = Database::new("pi", "new", 9);
    new.clock_ms = app.clock_ms;
    (app, new)
}

/// The second backup once more after it failed: what may have been written is looked for; a new
/// lineage that is not known to be whole is given up.
fn repeat(repository: &Repository, app: &mut Database, new: &mut Database) {
    if new.last == 0 {
        new.lineage = new_lineage("pi", "new");
    }
    app.clock_ms += 1000;
    backup(repository, &mut [app, new]).unwrap();
}

fn assert_first_is_sound(
    repository: &Repository,
    secrets: &Secrets,
    app: &Database,
    context: &str,
) {
    let bytes = restore(repository, secrets, &app.lineage, txid(1)).unwrap();
    assert!(bytes == app.captures[&1], "{context}");
    let report = checked(repository, secrets);
    assert!(report.is_clean(), "{context}: {report:?}");
    assert!(report.lost.is_empty() && !report.restorable.is_empty(), "{context}");
    // What is told as unfinished are parts and pins only, and each is there.
    for object in &report.unfinished {
        assert!(object.contains(".age.0") || object.contains("/pins/"), "{context}: {object}");
        assert!(repository.storage().stat(&key(object)).unwrap().is_some(), "{context}");
    }
}

#[test]
fn a_failed_backup_harms_nothing_and_can_be_repeated() {
    let world = World::new();
    let (app, new) = first(&world);
    let recording = Faulty::new(copy(&world.memory), None);
    let repository = open(Arc::new(recording.clone()));
    recording.reset(None);
    backup(&repository, &mut [&mut app.clone(), &mut new.clone()]).unwrap();
    let operations = recording.operations();
    let published =
        operations.iter().filter(|operation| matches!(operation, Operation::Publish(_))).count();
    assert!(published > 8, "{operations:?}");

    let mut unfinished = 0;
    for kind in KINDS {
        for (at, operation) in operations.iter().enumerate() {
            let context = format!("{kind:?} at {at}, {operation:?}");
            let memory = copy(&world.memory);
            let faulty = Faulty::new(memory.clone(), None);
            let repository = open(Arc::new(faulty.clone()));
            faulty.reset(Some(Fault { at, kind }));
            let (mut app, mut new) = (app.clone(), new.clone());
            let error = backup(&repository, &mut [&mut app, &mut new]).unwrap_err();
            assert!(format!("{error:?}").contains("injected fault"), "{context}: {error:?}");
            assert!(matches!(error, Error::Storage(_)), "{context}: {error:?}");

            let repository = open(Arc::new(memory));
            assert_first_is_sound(&repository, &world.secrets, &app, &context);
            unfinished += checked(&repository, &world.secrets).unfinished.len();

            repeat(&repository, &mut app, &mut new);
            assert_first_is_sound(&repository, &world.secrets, &app, &context);
            for name in repository.backups().unwrap() {
                assert_restores(&repository, &world.secrets, &name, &[&app, &new]);
            }
        }
    }
    assert!(unfinished > 0);
}

/// The same objects in a directory, where an upload that is given up leaves a file.
#[test]
fn the_same_in_a_directory() {
    let world = World::new();
    let (app, new) = first(&world);
    let recording = Faulty::new(copy(&world.memory), None);
    let repository = open(Arc::new(recording.clone()));
    recording.reset(None);
    backup(&repository, &mut [&mut app.clone(), &mut new.clone()]).unwrap();
    for at in (0..recording.operations().len()).step_by(5) {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalStorage::create(directory.path()).unwrap();
        for entry in world.memory.list(None).unwrap() {
            local.put(&entry.key, &read(&world.memory, &entry.key)).unwrap();
        }
        let fault = Fault { at, kind: FaultKind::FromThenOn };
        let faulty = Faulty::new(local.clone(), None);
        let repository = open(Arc::new(faulty.clone()));
        faulty.reset(Some(fault));
        let (mut app, mut new) = (app.clone(), new.clone());
        assert!(backup(&repository, &mut [&mut app, &mut new]).is_err());
        let repository = open(Arc::new(local));
        assert_first_is_sound(&repository, &world.secrets, &app, &format!("at {at}"));
        repeat(&repository, &mut app, &mut new);
        assert_first_is_sound(&repository, &world.secrets, &app, &format!("at {at}"));
    }
}

/// What a reader says when the storage fails under it: that, and never that data is damaged.
#[test]
fn a_failing_storage_is_told_from_damage() {
    let world = World::new();
    let (mut app, mut new) = first(&world);
    backup(&world.repository, &mut [&mut app, &mut new]).unwrap();
    let faulty = Faulty::new(world.memory.clone(), None);
    let repository = open(Arc::new(faulty.clone()));
    let read = || -> lifeboat_repository::Result<()> {
        for name in repository.backups()? {
            let manifest = repository.manifest(&name, &world.secrets)?.manifest;
            for source in manifest.sources.iter().filter_map(|source| source.database()) {
                let database = if source.name == "app" { &app } else { &new };
                restore(&repository, &world.secrets, &database.lineage, source.txid)?;
            }
        }
        Ok(())
    };
    faulty.reset(None);
    read().unwrap();
    for kind in KINDS {
        for at in 0..faulty.operations().len() {
            faulty.reset(Some(Fault { at, kind }));
            let error = read().unwrap_err();
            let context = format!("{kind:?} at {at}: {error:?}");
            assert!(matches!(error, Error::Storage(_)), "{context}");
            assert!(context.contains("injected fault"), "{context}");
        }
        faulty.reset(None);
        read().unwrap();
    }
}

/// A check goes on where it can, and what it could not read is not called sound.
#[test]
fn a_check_on_a_failing_storage_fails_or_tells() {
    let world = World::new();
    let (mut app, mut new) = first(&world);
    backup(&world.repository, &mut [&mut app, &mut new]).unwrap();
    let faulty = Faulty::new(world.memory.clone(), None);
    let options = CheckOptions::all();
    let check = |fault| {
        let repository = open(Arc::new(faulty.clone()));
        faulty.reset(fault);
        check(&repository, &world.secrets, options, &mut |_| {})
    };
    assert!(check(None).unwrap().is_clean());
    let count = faulty.operations().len();
    for kind in KINDS {
        for at in 0..count {
            faulty.reset(None);
            let Ok(report) = check(Some(Fault { at, kind })) else { continue };
            let mut errors = report.findings.iter().map(|finding| format!("{:?}", finding.error));
            assert!(errors.any(|error| error.contains("injected fault")), "{kind:?} at {at}");
        }
    }
}
