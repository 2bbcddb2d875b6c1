//! A backup written and read back.

use std::collections::HashMap;
use std::sync::Arc;

use lifeboat_repository::{
    BackupId, BackupName, Error, Form, ObjectRef, Repository, Signed, Source, Time, usage,
};
use lifeboat_storage::{LocalStorage, Storage, seal_bytes, unseal_bytes, x25519};

use crate::common::{
    Database, PAGE_BYTES, PART_BYTES, World, apply, assert_restores, backup, checked, host_key,
    key, keys, new_lineage, password, read, txid,
};

/// Two backups of two databases, of which the second has changed one.
fn two_backups(repository: &Repository) -> (Database, Database) {
    let (mut app, mut web) = (Database::new("pi", "app", 40), Database::new("pi", "web", 3));
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    app.change(7, 1007);
    app.change(41, 1041);
    app.clock_ms += 3_600_000;
    backup(repository, &mut [&mut app, &mut web]).unwrap();
    (app, web)
}

fn assert_reads_back(repository: &Repository, storage: &dyn Storage) {
    let secrets = repository.unlock(&password()).unwrap();
    let (app, web) = two_backups(repository);
    assert_eq!((app.last, web.last), (2, 1));
    let names = repository.backups().unwrap();
    assert_eq!(names.len(), 2);
    assert!(names[0].started > names[1].started);
    for name in &names {
        assert_restores(repository, &secrets, name, &[&app, &web]);
    }
    assert_eq!(app.captures[&1].len(), 40 * PAGE_BYTES);
    assert_eq!(app.captures[&2].len(), 41 * PAGE_BYTES);

    let report = checked(repository, &secrets);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.restorable, names);
    assert_eq!((report.files, report.unfinished.len()), (3, 0));

    let databases = repository.databases().unwrap();
    let names: Vec<_> = databases.iter().map(|database| database.key().as_str()).collect();
    assert_eq!(names, ["databases/pi/app", "databases/pi/web"]);
    assert_eq!(repository.lineages(&databases[0]).unwrap(), std::slice::from_ref(&app.lineage));
    let origin = repository.origin(&app.lineage, &secrets).unwrap();
    assert_eq!((origin.name.as_str(), origin.page_size), ("app", 512));

    let listing = repository.listing(&app.lineage).unwrap();
    assert!(listing.has_origin && listing.partial.is_empty() && listing.foreign.is_empty());
    assert_eq!(listing.pins.len(), 2);
    let base = listing.files.iter().find(|file| file.name.level == 9).unwrap();
    assert!(base.objects.len() > 5, "{base:?}");
    let found = usage(repository).unwrap();
    assert_eq!(found.backups, 2);
    assert_eq!(found.objects, keys(storage).len() as u64);
    let of_app = &found.databases[&("pi".to_owned(), "app".to_owned())];
    assert_eq!(of_app.base_bytes, base.size());
    assert_eq!(of_app.ltx_objects, base.objects.len() as u64 + 1);
}

#[test]
fn what_was_backed_up_is_read_back() {
    let world = World::new();
    assert_reads_back(&world.repository, &world.memory);
}

#[test]
fn the_same_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let storage = LocalStorage::create(directory.path()).unwrap();
    let repository = Repository::init(Arc::new(storage.clone()), &password(), "").unwrap();
    assert_reads_back(&repository.with_part_bytes(PART_BYTES), &storage);
}

#[test]
fn parts_are_cut_where_the_format_says() {
    for pages in 1..14 {
        let world = World::new();
        let mut app = Database::new("pi", "app", pages);
        backup(&world.repository, &mut [&mut app]).unwrap();
        let listing = world.repository.listing(&app.lineage).unwrap();
        let file = &listing.files[0];
        let (last, before) = file.objects.split_last().unwrap();
        assert!(before.iter().all(|object| object.size == PART_BYTES));
        assert!((1..=PART_BYTES).contains(&last.size));
        assert_eq!(last.key.as_str().ends_with(".last"), !before.is_empty());
        assert_eq!(last.key.as_str().ends_with(".age"), before.is_empty());
        assert!(world.check().is_clean());
    }
}

#[test]
fn no_file_has_more_parts_than_names_can_number() {
    let world = World::new();
    let repository = world.repository.clone().with_part_bytes(1);
    let mut large = Database::new("pi", "large", 20);
    let error = large.capture(&repository).unwrap_err();
    assert!(format!("{error:?}").contains("TooManyParts"), "{error:?}");
    let listing = repository.listing(&large.lineage).unwrap();
    // The last part would have been the 9,999th.
    assert_eq!((listing.files.len(), listing.partial.len()), (0, 9_998));
}

/// Writes a manifest's plaintext as it is given.
fn put_manifest(world: &World, name: &BackupName, plain: &[u8]) {
    let recipient: x25519::Recipient =
        world.repository.recipient().unwrap().recipient.parse().unwrap();
    let sealed = seal_bytes(plain, &[recipient]).unwrap();
    world.memory.put(&name.key().unwrap(), &sealed).unwrap();
}

/// The two lines of a manifest.
fn lines(world: &World, name: &BackupName) -> Vec<u8> {
    let sealed = read(&world.memory, &name.key().unwrap());
    unseal_bytes(&sealed, &[identity(world)], 1 << 20).unwrap()
}

fn identity(world: &World) -> x25519::Identity {
    let wrapped = read(&world.memory, &identity_key(world));
    let text = lifeboat_storage::unwrap_with_passphrase(&wrapped, &password()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("# label: test\n# created: 20"), "{text}");
    assert!(text.contains("Z\nAGE-SECRET-KEY-1"), "{text}");
    text.lines().find(|line| !line.starts_with('#')).unwrap().parse().unwrap()
}

fn identity_key(world: &World) -> lifeboat_storage::Key {
    world.memory.list(Some(&key("identities"))).unwrap()[0].key.clone()
}

#[test]
fn a_manifest_comes_back_as_it_was_written() {
    let world = World::new();
    let mut app = Database::new("Pi Kitchen", "büro/1", 2);
    let mut written = backup(&world.repository, &mut [&mut app]).unwrap();
    written.id = BackupId::random();
    written.label = Some("before the upgrade\n☃".to_owned());
    written.problems.push(lifeboat_repository::Problem {
        path: None,
        source: "web".to_owned(),
        error: "it is locked".to_owned(),
    });
    world.repository.write_manifest(&written, &host_key()).unwrap();
    let name = written.name(Form::Sealed).unwrap();
    assert_eq!(name.host, "%50i%20%4bitchen");
    assert_eq!(BackupName::parse(&name.key().unwrap()).as_ref(), Some(&name));
    let Signed { manifest, key } = world.repository.manifest(&name, &world.secrets).unwrap();
    assert_eq!(manifest, written);
    assert_eq!(key, host_key().public());

    let text = String::from_utf8(lines(&world, &name)).unwrap();
    let (signed, signature) = text.split_once('\n').unwrap();
    assert!(signed.starts_with("{\"version\":1,\"id\":\""), "{signed}");
    assert!(signature.starts_with("{\"key\":\"") && signature.ends_with("\"}\n"), "{signature}");
    assert_eq!(signature.lines().count(), 1);
}

/// Signs a changed line 1 anew, as a newer version would.
fn rewritten(world: &World, change: impl Fn(&str) -> String) -> Result<Signed, Error> {
    let (memory, repository) = world.copy();
    let copy = World { memory, repository, secrets: world.secrets.clone() };
    let name = copy.repository.backups().unwrap().remove(0);
    let text = String::from_utf8(lines(&copy, &name)).unwrap();
    let line = change(text.lines().next().unwrap());
    assert_ne!(Some(line.as_str()), text.lines().next());
    // There is no other way to a signature than through a manifest: sign with the library below.
    let plain = format!("{line}\n{}", sign(&line));
    copy.memory.remove(&name.key().unwrap()).unwrap();
    put_manifest(&copy, &name, plain.as_bytes());
    copy.repository.manifest(&name, &copy.secrets)
}

fn sign(line: &str) -> String {
    use ed25519_dalek::{Signer, SigningKey};
    let key = SigningKey::from_bytes(&[7; 32]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let public = hex(key.verifying_key().as_bytes());
    let signature = hex(&key.sign(line.as_bytes()).to_bytes());
    format!("{{\"key\":\"{public}\",\"signature\":\"{signature}\"}}")
}

#[test]
fn what_newer_versions_add_is_ignored_and_what_they_change_is_refused() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    let written = backup(&world.repository, &mut [&mut app]).unwrap();

    let added = rewritten(&world, |line| line.replacen('{', "{\"new\":[{\"a\":1}],", 2)).unwrap();
    assert_eq!(added.manifest, written);

    let unknown = |line: &str| line.replace("\"kind\":\"database\"", "\"kind\":\"later\"");
    let unknown = rewritten(&world, unknown).unwrap().manifest;
    assert_eq!(unknown.sources, [Source::Unknown]);
    // It cannot be written again without losing what it says.
    let error = world.repository.write_manifest(&unknown, &host_key()).unwrap_err();
    assert!(matches!(error, Error::UnknownFeature { .. }), "{error:?}");

    let newer = |line: &str| line.replace("\"version\":1", "\"version\":2").replace("host", "hose");
    let error = rewritten(&world, newer).unwrap_err();
    assert!(matches!(error, Error::UnknownFeature { .. }), "{error:?}");

    for (from, to) in [
        ("\"revision\":1", "\"revision\":2"),
        ("\"host\":\"pi\"", "\"host\":\"po\""),
        ("\"started\":\"2026", "\"started\":\"2027"),
    ] {
        let error = rewritten(&world, |line| line.replace(from, to)).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{from}: {error:?}");
    }
    let error = rewritten(&world, |line| line.replace("\"sources\"", "\"zources\"")).unwrap_err();
    assert!(matches!(error, Error::Json { .. }), "{error:?}");
}

#[test]
fn a_backup_with_an_unknown_source_is_checked_without_it() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let name = world.repository.backups().unwrap().remove(0);
    let text = String::from_utf8(lines(&world, &name)).unwrap();
    let line = text.lines().next().unwrap();
    let line = line.replace("\"sources\":[", "\"sources\":[{\"kind\":\"later\",\"x\":[1]},");
    world.memory.remove(&name.key().unwrap()).unwrap();
    put_manifest(&world, &name, format!("{line}\n{}\n", sign(&line)).as_bytes());
    let report = world.check();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.restorable, [name]);
}

#[test]
fn a_changed_byte_breaks_the_signature() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let name = world.repository.backups().unwrap().remove(0);
    let plain = lines(&world, &name);
    let end = plain.iter().position(|byte| *byte == b'\n').unwrap();
    for at in [0, 1, end / 2, end - 1, end, end + 12, end + 100, plain.len() - 4, plain.len() - 2] {
        let mut changed = plain.clone();
        changed[at] ^= 1;
        world.memory.remove(&name.key().unwrap()).unwrap();
        put_manifest(&world, &name, &changed);
        let error = world.repository.manifest(&name, &world.secrets).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Json { .. }), "{at}: {error:?}");
        assert_eq!(error.key(), Some(&name.key().unwrap()), "{at}");
    }
    for (plain, what) in [
        (plain[..end].to_vec(), "without signature"),
        (plain[..=end].to_vec(), "with an empty signature"),
        ([&plain[..], b"{}\n"].concat(), "with a third line"),
        (Vec::new(), "empty"),
    ] {
        world.memory.remove(&name.key().unwrap()).unwrap();
        put_manifest(&world, &name, &plain);
        assert!(world.repository.manifest(&name, &world.secrets).is_err(), "{what}");
    }
    world.memory.remove(&name.key().unwrap()).unwrap();
    put_manifest(&world, &name, &plain[..plain.len() - 1]);
    assert!(world.repository.manifest(&name, &world.secrets).is_ok(), "the last line feed");
}

#[test]
fn a_manifest_under_another_name_is_refused() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let name = world.repository.backups().unwrap().remove(0);
    let sealed = read(&world.memory, &name.key().unwrap());
    let other_time = Time::from_millis(name.started.millis() + 1);
    for other in [
        BackupName { revision: 2, ..name.clone() },
        BackupName { id: BackupId::random(), ..name.clone() },
        BackupName { started: other_time, ..name.clone() },
        BackupName { host: "po".to_owned(), ..name.clone() },
    ] {
        world.memory.put(&other.key().unwrap(), &sealed).unwrap();
        let error = world.repository.manifest(&other, &world.secrets).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert_eq!(error.key(), Some(&other.key().unwrap()));
    }
}

#[test]
fn an_ltx_file_under_another_name_is_refused() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let object = world.repository.listing(&app.lineage).unwrap().files.remove(0).objects.remove(0);
    let (lineage, stray) = (app.lineage.key().as_str(), new_lineage("pi", "app"));
    let renames = [
        (lineage, stray.key().as_str()),
        ("20261121T025000.123Z", "20261121T025000.124Z"),
        ("-0000000000000001-", "-0000000000000002-"),
    ];
    for (from, to) in renames {
        let (memory, repository) = world.copy();
        let other = key(&object.key.as_str().replace(from, to));
        memory.put(&other, &read(&memory, &object.key)).unwrap();
        let report = checked(&repository, &world.secrets);
        let finding = report.findings.iter().find(|finding| finding.key == other.as_str());
        let error = &finding.unwrap_or_else(|| panic!("{to}: {report:?}")).error;
        assert!(error.to_string().contains("its header says"), "{to}: {error}");
        assert_eq!(report.restorable.len(), 1, "{to}");
    }
}

#[test]
fn the_highest_revision_counts() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 2);
    let mut manifest = backup(&world.repository, &mut [&mut app]).unwrap();
    for revision in [10, 2, 9] {
        manifest.revision = revision;
        world.repository.write_manifest(&manifest, &host_key()).unwrap();
    }
    let names = world.repository.backups().unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].revision, 10);
    let read = world.repository.manifest(&names[0], &world.secrets).unwrap();
    assert_eq!(read.manifest.revision, 10);
    manifest.revision = 0;
    assert!(world.repository.write_manifest(&manifest, &host_key()).is_err());
}

#[test]
fn what_was_written_before_is_not_overwritten() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 12);
    let manifest = backup(&world.repository, &mut [&mut app]).unwrap();
    // The same bytes: a pin is empty.
    world.repository.write_pin(&app.lineage, txid(1), manifest.id).unwrap();
    // Sealed again, the same content has other bytes, and the name is taken.
    let taken = |error: Error| {
        matches!(error, Error::Storage(lifeboat_storage::Error::Exists { .. }))
            || format!("{error:?}").contains("Exists")
    };
    assert!(taken(world.repository.write_manifest(&manifest, &host_key()).unwrap_err()));
    assert!(taken(app.begin_lineage(&world.repository).unwrap_err()));
    let before = keys(&world.memory);
    app.clock_ms -= 60_000;
    assert!(taken(app.write_base(&world.repository, 1).unwrap_err()));
    assert_eq!(keys(&world.memory), before);
    assert!(world.check().is_clean());
}

#[test]
fn objects_are_compared_with_what_a_manifest_says() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 12);
    let manifest = backup(&world.repository, &mut [&mut app]).unwrap();
    let source = manifest.sources[0].database().unwrap();
    let listing = world.repository.listing(&app.lineage).unwrap();
    let plan = listing.plan(&app.lineage, txid(1)).unwrap();
    let sound: HashMap<String, ObjectRef> =
        source.objects.iter().map(|object| (object.key.clone(), object.clone())).collect();
    let apply = |expected: &HashMap<_, _>| {
        apply(&world.repository, &world.secrets, &app.lineage, &plan, expected)
    };
    assert!(apply(&sound).unwrap() == app.captures[&1]);
    for object in &source.objects {
        let mut other = sound.clone();
        other.get_mut(&object.key).unwrap().sha256 = "00".repeat(32);
        let error = apply(&other).unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(error.key().unwrap().as_str(), object.key);
        other.get_mut(&object.key).unwrap().size += 1;
        assert_eq!(apply(&other).unwrap_err().key().unwrap().as_str(), object.key);
    }
}
