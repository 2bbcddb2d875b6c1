//! What a check finds besides damaged objects, and what it does not call damage.

use std::sync::Arc;

use lifeboat_ltx::{Encoder, Header, PageSize};
use lifeboat_repository::{
    BackupId, CheckOptions, Form, LtxName, Source, Time, check, check_names,
};
use lifeboat_storage::{Storage, seal_bytes, x25519};

use crate::common::sound::{is_kind, sound};
use crate::common::{
    Database, World, backup, checked, host_key, key, new_lineage, open, restore, txid,
};

fn put_sealed(world: &World, name: &str, plain: &str) {
    let recipient: x25519::Recipient =
        world.repository.recipient().unwrap().recipient.parse().unwrap();
    let sealed = seal_bytes(plain.as_bytes(), &[recipient]).unwrap();
    world.memory.put(&key(name), &sealed).unwrap();
}

#[test]
fn what_was_announced_for_deletion_may_be_gone() {
    let sound = sound();
    let world = &sound.world;
    let listing = world.repository.listing(&sound.app.lineage).unwrap();
    // Transaction 2 has its own base.
    let delta = listing.files.iter().find(|file| file.name.min == txid(2)).unwrap();
    let mut objects = Vec::new();
    for object in &delta.objects {
        world.memory.remove(&object.key).unwrap();
        objects.push(format!(r#"{{"key":"{}","size":{}}}"#, object.key, object.size));
    }
    let report = world.check();
    assert_eq!(report.findings.len(), delta.objects.len(), "{report:?}");
    assert_eq!(report.restorable.len(), 3);

    let notice = |version: u32, id: &str| {
        let objects = objects.join(",");
        let times =
            r#""created":"2026-11-21T02:49:00.123Z","not_before":"2026-11-22T02:49:00.123Z""#;
        format!(
            r#"{{"version":{version},"id":"{id}","host":"pi",{times},"reason":"merged",
               "objects":[{objects}],"replaced_by":[]}}"#
        )
    };
    let name = "deletions/20261121T024900.123Z-0123456789abcdef.json.zst.age";
    for refused in [notice(1, "0123456789abcdee"), notice(2, "0123456789abcdef"), "{}".to_owned()] {
        put_sealed(world, name, &refused);
        let report = world.check();
        assert!(report.findings.iter().any(|finding| finding.key == name), "{refused}");
        assert_eq!(report.findings.len(), delta.objects.len() + 1);
        world.memory.remove(&key(name)).unwrap();
    }
    put_sealed(world, name, &notice(1, "0123456789abcdef"));
    let report = world.check();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.restorable.len(), 3);
}

#[test]
fn a_lineage_that_is_gone_is_named() {
    let sound = sound();
    for database in [&sound.app, &sound.web] {
        let (copy, repository) = sound.world.copy();
        let lineage = database.lineage.key();
        for entry in copy.list(Some(lineage)).unwrap() {
            copy.remove(&entry.key).unwrap();
        }
        let report = checked(&repository, &sound.world.secrets);
        assert_eq!((report.lost.len(), report.restorable.len()), (3, 0));
        let gone = report.findings.iter().any(|finding| finding.error.key() == Some(lineage));
        assert!(gone, "{report:?}");
    }
}

#[test]
fn unfinished_uploads_are_no_damage() {
    let sound = sound();
    let lineage = sound.app.lineage.key();
    let stem = "0000000000000004-0000000000000004-20261121T090000.123Z.ltx.zst.age";
    let mut left = [
        format!("{lineage}/ltx/0/{stem}.0001"),
        format!("{lineage}/ltx/0/{stem}.0003"),
        format!("{lineage}/pins/0000000000000004-{}", BackupId::random()),
    ];
    for (name, bytes) in left.iter().zip([&vec![1; 2048][..], &[1; 7], &[]]) {
        sound.world.memory.put(&key(name), bytes).unwrap();
    }
    let report = sound.world.check();
    assert!(report.is_clean(), "{report:?}");
    let mut unfinished = report.unfinished;
    unfinished.sort();
    left.sort();
    assert_eq!(unfinished, left);
}

/// Sound files that do not fit together, as only a faulty writer makes them.
#[test]
fn files_that_do_not_fit_together_are_found() {
    let world = World::new();
    let repository = &world.repository;
    let mut app = Database::new("pi", "app", 3);
    backup(repository, &mut [&mut app]).unwrap();
    app.change(2, 77);
    backup(repository, &mut [&mut app]).unwrap();
    let listing = repository.listing(&app.lineage).unwrap();
    let delta = listing.files.iter().find(|file| file.name.level == 0).unwrap().clone();

    // Another delta that leads elsewhere, from elsewhere.
    let mut other = Database::new("pi", "app", 3);
    other.change(1, 78);
    let (copy, stray) = world.copy();
    other.lineage = new_lineage("pi", "app");
    other.begin_lineage(&stray).unwrap();
    other.capture(&stray).unwrap();
    other.change(3, 79);
    other.lineage = app.lineage.clone();
    other.clock_ms = app.clock_ms;
    other.capture(&stray).unwrap();
    let report = checked(&stray, &world.secrets);
    assert_eq!(report.lost.len(), 0, "the plan takes the older of two: {report:?}");
    let told: Vec<_> = report.findings.iter().map(|finding| finding.error.to_string()).collect();
    assert!(told.iter().any(|told| told.contains("another file to")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("it continues checksum")), "{told:?}");

    // Alone, it loses the backup that it stands for.
    copy.remove(&delta.objects[0].key).unwrap();
    let report = checked(&stray, &world.secrets);
    assert_eq!((report.lost.len(), report.restorable.len()), (1, 1), "{report:?}");
    assert!(restore(&stray, &world.secrets, &app.lineage, txid(2)).is_err());
}

/// A merge continues the state before its first transaction, wherever a plan comes from.
#[test]
fn ranges_that_overlap_are_no_break() {
    let world = World::new();
    let repository = &world.repository;
    let mut app = Database::new("pi", "app", 3);
    backup(repository, &mut [&mut app]).unwrap();
    let before = app.checksum();
    for seed in [60, 61] {
        app.change(2, seed);
        app.capture(repository).unwrap();
    }
    app.write_base(repository, 3).unwrap();
    app.change(1, 62);
    app.capture(repository).unwrap();
    app.write_merge(repository, 2, before).unwrap();
    backup(repository, &mut [&mut app]).unwrap();
    let listing = repository.listing(&app.lineage).unwrap();
    let plan = listing.plan(&app.lineage, txid(4)).unwrap();
    let ranges: Vec<_> = plan.iter().map(|file| file.name.range().to_string()).collect();
    assert_eq!(plan.len(), 2, "{ranges:?}");
    assert!(plan[1].name.min < plan[0].name.max, "{ranges:?}");
    let report = world.check();
    assert!(report.is_clean() && report.restorable.len() == 2, "{report:?}");
    let bytes = restore(repository, &world.secrets, &app.lineage, txid(4)).unwrap();
    assert!(bytes == app.captures[&4]);
}

#[test]
fn two_page_sizes_in_a_lineage_are_found() {
    let world = World::new();
    let repository = &world.repository;
    let mut app = Database::new("pi", "app", 3);
    let mut manifest = backup(repository, &mut [&mut app]).unwrap();
    let time = Time::from_millis(app.clock_ms + 1);
    let name = LtxName { level: 0, min: txid(2), max: txid(2), time };
    let mut header = Header::new(PageSize::new(1024).unwrap(), 3, name.range());
    (header.timestamp_ms, header.node) = (time.millis(), app.lineage.id().node());
    let writer = repository.begin_ltx(&app.lineage, name, 0).unwrap();
    let mut encoder = Encoder::new(writer, &header).unwrap();
    encoder.write_page(2, &[5; 1024]).unwrap();
    let objects = encoder.finish().unwrap().0.finish().unwrap().publish().unwrap();

    manifest.id = BackupId::random();
    let Source::Database(source) = &mut manifest.sources[0] else { panic!() };
    (source.txid, source.page_size) = (txid(2), 1024);
    source.objects.extend(objects);
    repository.write_pin(&app.lineage, txid(2), manifest.id).unwrap();
    repository.write_manifest(&manifest, &host_key()).unwrap();
    let report = world.check();
    assert_eq!(report.lost, [manifest.name(Form::Sealed).unwrap()], "{report:?}");
    assert!(report.findings[0].error.to_string().contains("1024 bytes"), "{report:?}");
    assert!(restore(repository, &world.secrets, &app.lineage, txid(2)).is_err());
}

#[test]
fn a_restore_that_would_not_be_what_the_manifest_says_is_lost() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 3);
    let sound = backup(&world.repository, &mut [&mut app]).unwrap();
    let other = Database::new("pi", "app", 4).checksum();
    for change in 0..6 {
        let (_, repository) = world.copy();
        let mut manifest = sound.clone();
        manifest.id = BackupId::random();
        let Source::Database(source) = &mut manifest.sources[0] else { panic!() };
        match change {
            0 => source.checksum = other,
            1 => source.page_count += 1,
            2 => source.page_size = 1024,
            3 => source.objects[0].sha256 = "00".repeat(32),
            4 => source.objects[0].key = "lifeboat.json".to_owned(),
            _ => source.objects[0].key = "../ \n".to_owned(),
        }
        repository.write_pin(&app.lineage, txid(1), manifest.id).unwrap();
        repository.write_manifest(&manifest, &host_key()).unwrap();
        let report = checked(&repository, &world.secrets);
        assert_eq!(report.lost, [manifest.name(Form::Sealed).unwrap()], "{change}: {report:?}");
        assert_eq!(report.restorable, [sound.name(Form::Sealed).unwrap()], "{change}: {report:?}");
        assert_eq!(report.findings.len(), 1, "{change}: {report:?}");
        let name = report.lost[0].key().unwrap();
        assert_eq!(report.findings[0].key, name.as_str());
    }
}

#[test]
fn progress_tells_all_that_is_read() {
    let sound = sound();
    let (mut total, mut read) = (0, 0);
    let options = CheckOptions::all();
    let report =
        check(&sound.world.repository, &sound.world.secrets, options, &mut |step| match step {
            lifeboat_repository::Progress::Total(bytes) => total = bytes,
            lifeboat_repository::Progress::Read(bytes) => read += bytes,
        })
        .unwrap();
    let sealed = sound.world.memory.list(Some(&key("databases"))).unwrap();
    let ltx = sealed.iter().filter(|entry| is_kind(&entry.key, "/ltx/"));
    let bytes: u64 = ltx.map(|entry| entry.size).sum();
    assert_eq!((total, read, report.read_bytes), (bytes, bytes, bytes));
}

/// One listing for each kind of object and each database's leases, however many backups there are.
#[test]
fn a_check_lists_once() {
    let sound = sound();
    let faulty = lifeboat_storage::testing::Faulty::new(sound.world.memory.clone(), None);
    let repository = open(Arc::new(faulty.clone()));
    let lists = || {
        faulty.reset(None);
        let report = checked(&repository, &sound.world.secrets);
        assert!(report.is_clean(), "{report:?}");
        let is_list = |one: &&_| matches!(one, lifeboat_storage::testing::Operation::List(_));
        faulty.operations().iter().filter(is_list).count()
    };
    let before = lists();
    let (mut app, mut web) = (sound.app.clone(), sound.web.clone());
    for number in 0..20 {
        app.change(3, 900 + number);
        web.change(1, 950 + number);
        backup(&sound.world.repository, &mut [&mut app, &mut web]).unwrap();
    }
    assert!(lists() <= before, "{before}");
    assert!(before <= 8, "{before}");
}

/// What whoever cannot open anything finds out.
#[test]
fn names_alone_tell_what_is_missing() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 12);
    backup(&world.repository, &mut [&mut app]).unwrap();
    app.change(3, 99);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let report = check_names(&world.repository).unwrap();
    assert!(report.is_clean() && report.unfinished.is_empty(), "{report:?}");
    assert_eq!((report.restorable.len(), report.lost.len()), (2, 0));

    let (mut found, mut lost) = (0, 0);
    for object in world.memory.list(None).unwrap() {
        let name = object.key.to_string();
        let (memory, repository) = world.copy();
        memory.remove(&object.key).unwrap();
        if name == "lifeboat.json" {
            continue;
        }
        let report = check_names(&repository).unwrap();
        if name.starts_with("backups/") {
            // Its pin is left, as that of a backup which never came to be.
            assert_eq!(report.unfinished.len(), 1, "{name}: {report:?}");
            continue;
        }
        assert!(!report.is_clean(), "{name}");
        found += 1;
        lost += report.lost.len();
    }
    assert!(found > 5 && lost > 3, "{found} {lost}");

    let (memory, repository) = world.copy();
    let manifest = repository.backups().unwrap().remove(0).key().unwrap();
    memory.damage(&manifest, Vec::clear);
    let report = check_names(&repository).unwrap();
    assert_eq!((report.findings.len(), report.lost.len()), (1, 1), "{report:?}");
}
