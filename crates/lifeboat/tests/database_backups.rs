//! What an application gets that keeps its own backups through the library.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "its main is for the command line")]
#[path = "../examples/embed.rs"]
mod embed;

use std::path::Path;

use common::Machine;
use lifeboat::{
    BackupRequest, BackupsOptions, DatabaseBackups, Environment, Error, KeepRules, Limit,
    PasswordSource, Replaced, Request, Selection, Silent, backup,
};

fn options(machine: &Machine) -> BackupsOptions {
    let home = machine.directory.path();
    BackupsOptions {
        repository: Some(machine.path("backups").display().to_string()),
        password: Some(PasswordSource::Given("correct horse".into())),
        state_directory: Some(machine.path("state")),
        environment: Some(Environment::of([("HOME", home)], home)),
        ..BackupsOptions::default()
    }
}

/// A machine with a database and three backups of it, each of another state; the states and the
/// ids, oldest first.
fn three() -> (Machine, DatabaseBackups, Vec<(String, Vec<u8>)>) {
    let machine = Machine::new();
    machine.create("delete", 10);
    let backups = DatabaseBackups::open_or_init(&options(&machine)).unwrap();
    let mut made = Vec::new();
    for name in [None, Some("before_migration_v2"), None] {
        machine.change(3);
        let backup = backups.create(machine.database(), name).unwrap();
        made.push((backup.id.to_string(), machine.bytes()));
    }
    (machine, backups, made)
}

fn objects(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(std::result::Result::unwrap) {
        let path = entry.path();
        if path.is_dir() { files.extend(objects(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn the_example_does_what_it_says() {
    let machine = Machine::new();
    machine.create("wal", 10);
    let (database, repository) = (machine.database(), machine.path("backups"));
    embed::run(&database, &repository).unwrap();
    assert!(std::fs::read(machine.path("app.db.restored")).unwrap() == machine.bytes());
    machine.change(2);
    embed::run(&database, &repository).unwrap();
    assert!(std::fs::read(machine.path("app.db.restored")).unwrap() == machine.bytes());
}

#[test]
fn backups_are_made_listed_and_described() {
    let (machine, backups, made) = three();
    let list = backups.list().unwrap();
    assert!(list.unreadable.is_empty());
    let ids: Vec<String> = list.backups.iter().map(|backup| backup.id.to_string()).collect();
    assert_eq!(ids, [made[2].0.clone(), made[1].0.clone(), made[0].0.clone()]);
    let [newest, named, oldest] = &list.backups[..] else { panic!("{list:?}") };
    assert_eq!(named.name.as_deref(), Some("before_migration_v2"));
    assert!(newest.created > named.created && named.created > oldest.created);
    assert_eq!(newest.size_bytes, made[2].1.len() as u64);
    assert!(newest.stored_bytes < newest.size_bytes && oldest.stored_bytes > newest.stored_bytes);
    assert_eq!((oldest.tables["t"], newest.tables["t"]), (Some(11), Some(13)));
    assert_eq!(newest.source_path, machine.database().canonicalize().unwrap());
    assert!(machine.path("backups").join(&newest.path).is_file(), "{}", newest.path);
    // `app_20261121_024900.db`
    let stamp = newest.file_name.strip_prefix("app_").unwrap().strip_suffix(".db").unwrap();
    let shape = |at: usize, c: char| if at == 8 { c == '_' } else { c.is_ascii_digit() };
    assert!(stamp.len() == 15 && stamp.chars().enumerate().all(|(at, c)| shape(at, c)), "{stamp}");

    let stats = backups.stats().unwrap();
    assert_eq!(stats.total_backups, 3);
    assert_eq!((stats.newest, stats.oldest), (Some(newest.created), Some(oldest.created)));
    let bytes = objects(&machine.path("backups"));
    let bytes = bytes.iter().map(|path| path.metadata().unwrap().len());
    assert_eq!(stats.total_size_bytes, bytes.sum::<u64>());
}

/// The metadata file that backup scripts write beside each backup follows from what is listed.
#[test]
fn the_metadata_of_scripts_can_be_derived() {
    let (machine, backups, _) = three();
    let backup = backups.list().unwrap().backups.remove(0);
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let megabytes = backup.size_bytes as f64 / 1024.0 / 1024.0;
    let meta = serde_json::json!({
        "backup_time": backup.created,
        "source_db": backup.source_path,
        "backup_path": machine.path("backups").join(&backup.path),
        "size_bytes": backup.size_bytes,
        "size_mb": (megabytes * 100.0).round() / 100.0,
        "checksum": backup.checksum,
        "tables": backup.tables,
    });
    assert!(meta["backup_time"].as_str().unwrap().ends_with('Z'));
    assert!((0.05..0.1).contains(&meta["size_mb"].as_f64().unwrap()), "{meta}");
    assert_eq!(meta["tables"]["t"], 13);
    assert_eq!(meta["checksum"].as_str().unwrap().len(), 16);
    assert!(Path::new(meta["backup_path"].as_str().unwrap()).is_file());
}

#[test]
fn latest_an_id_or_a_name_comes_back() {
    let (machine, backups, made) = three();
    let target = machine.path("restored.db");
    for (which, expected) in [
        ("latest", &made[2].1),
        ("before_migration_v2", &made[1].1),
        (&made[0].0, &made[0].1),
        (&made[0].0[..8], &made[0].1),
    ] {
        let report = backups.restore(which, Some(&target), true).unwrap();
        assert!(report.verified && std::fs::read(&target).unwrap() == *expected, "{which}");
    }
    let report = backups.restore("latest", Some(&target), false).unwrap();
    assert!(!report.verified && matches!(report.replaced, Replaced::Former(_)));

    // Where it came from; what was there is moved aside.
    machine.change(1);
    let harmed = machine.bytes();
    let report = backups.restore("latest", None, true).unwrap();
    assert!(machine.bytes() == made[2].1);
    let Replaced::Former(former) = report.replaced else { panic!("{report:?}") };
    assert!(std::fs::read(former.database).unwrap() == harmed);

    let selection = Selection { source: Some("other".to_owned()), ..Selection::default() };
    assert!(matches!(backups.restore(selection, None, true), Err(Error::NoBackup { .. })));
    assert!(matches!(backups.restore("none", None, true), Err(Error::NoBackup { .. })));
}

#[test]
fn verification_tells_sound_backups_from_damaged_ones() {
    let (machine, backups, made) = three();
    backups.verify("latest").unwrap();
    let verified = backups.verify_all().unwrap();
    assert_eq!((verified.valid.len(), verified.invalid.len()), (3, 0));

    // The delta of the second backup, which the third needs, too.
    let is_delta =
        |path: &&std::path::PathBuf| path.to_string_lossy().contains("/ltx/0/0000000000000002-");
    let delta = objects(&machine.path("backups")).iter().find(is_delta).unwrap().clone();
    let mut bytes = std::fs::read(&delta).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&delta, bytes).unwrap();
    let error = backups.verify("before_migration_v2").unwrap_err();
    assert!(error.to_string().contains("/ltx/0/0000000000000002-"), "{error}");
    backups.verify(&*made[0].0).unwrap();
    let verified = backups.verify_all().unwrap();
    let valid: Vec<String> = verified.valid.iter().map(ToString::to_string).collect();
    let invalid: Vec<String> = verified.invalid.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(valid, [made[0].0.clone()]);
    assert_eq!(invalid, [made[2].0.clone(), made[1].0.clone()]);

    // A manifest that cannot be read is listed as such.
    let newest = backups.list().unwrap().backups[0].path.clone();
    std::fs::write(machine.path("backups").join(newest), b"damage").unwrap();
    let list = backups.list().unwrap();
    assert_eq!((list.backups.len(), list.unreadable.len()), (2, 1));
    assert_eq!(list.unreadable[0].0.to_string(), made[2].0);
    assert_eq!(backups.verify_all().unwrap().invalid.len(), 2);
}

/// Days cannot pass in a test, but rules can be stricter.
#[test]
fn cleanup_counts_what_goes_and_never_takes_the_newest_or_a_safety_backup() {
    let (machine, backups, made) = three();
    assert_eq!(BackupsOptions::default().retention_days, 30);
    assert_eq!(backups.cleanup().unwrap(), 0, "nothing is 30 days old");

    let request = BackupRequest {
        sources: Request::of(vec![machine.database().display().to_string()]),
        tags: vec!["safety".to_owned()],
        ..BackupRequest::default()
    };
    let safety = backup(backups.context(), &request, &Silent).unwrap().manifest.id;
    let last = backups.create(machine.database(), None).unwrap().id;
    let keep = Some(KeepRules { last: Limit::Newest(1), ..KeepRules::default() });
    let strict = DatabaseBackups::open(&BackupsOptions { keep, ..options(&machine) }).unwrap();
    assert_eq!(strict.cleanup().unwrap(), made.len() as u64);
    assert_eq!(strict.cleanup().unwrap(), 0);
    let left: Vec<_> = backups.list().unwrap().backups.iter().map(|backup| backup.id).collect();
    assert_eq!(left, [last, safety]);
    assert_eq!(backups.verify_all().unwrap().valid, [last, safety]);

    let never = BackupsOptions { retention_days: 0, ..options(&machine) };
    assert_eq!(DatabaseBackups::open(&never).unwrap().cleanup().unwrap(), 0);
}

/// As scripts rotate: so many days, weeks and months.
#[test]
fn other_rules_can_be_given() {
    let (machine, _, made) = three();
    let keep = KeepRules {
        daily: Limit::Newest(5),
        weekly: Limit::Newest(3),
        monthly: Limit::Newest(6),
        ..KeepRules::default()
    };
    let backups =
        DatabaseBackups::open(&BackupsOptions { keep: Some(keep), ..options(&machine) }).unwrap();
    // The newest of the day (or of the two days, at midnight), and the oldest, since numbers are left.
    let removed = backups.cleanup().unwrap();
    let left = backups.list().unwrap().backups;
    let ids: Vec<String> = left.iter().map(|backup| backup.id.to_string()).collect();
    assert_eq!(removed + ids.len() as u64, 3);
    assert_eq!((ids.first(), ids.last()), (Some(&made[2].0), Some(&made[0].0)));
}

#[test]
fn what_is_missing_is_not_made() {
    let machine = Machine::new();
    machine.create("delete", 2);
    let options = options(&machine);
    let missing = DatabaseBackups::open(&options).unwrap_err();
    assert!(missing.to_string().contains("no repository"), "{missing}");
    assert!(!machine.path("backups").exists());
    let backups = DatabaseBackups::open_or_init(&options).unwrap();
    assert!(backups.create(machine.path("none.db"), None).is_err());
    assert!(backups.create(machine.directory.path(), None).is_err(), "a directory");
    assert!(!machine.path("none.db").exists());
    assert!(backups.list().unwrap().backups.is_empty());
    assert_eq!(backups.stats().unwrap().newest, None);
    assert_eq!(backups.cleanup().unwrap(), 0);

    let wrong = PasswordSource::Given("wrong".into());
    let wrong = BackupsOptions { password: Some(wrong), ..options };
    assert!(DatabaseBackups::open_or_init(&wrong).is_err());
}

/// Without options everything is where the command line has it.
#[test]
fn defaults_are_those_of_the_command_line() {
    let machine = Machine::new();
    machine.create("delete", 2);
    let environment = options(&machine).environment;
    let backups =
        DatabaseBackups::open(&BackupsOptions { environment, ..BackupsOptions::default() })
            .unwrap();
    let made = backups.create(machine.database(), None).unwrap().id;
    let opened = machine.context();
    let listed = lifeboat::backups(&opened.open_repository().unwrap()).unwrap();
    assert_eq!(listed[0].name.id, made);
}
