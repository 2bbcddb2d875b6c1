//! G4: whatever object is damaged in whatever way, a restore does what `check --read-data` says, and
//! gives the very bytes that were backed up or none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Machine, back_up_base, backup_app, context, objects_below, try_restore};
use lifeboat::{CheckOptions, CheckReport, Context, Error, OpenRepository, Silent, check};

/// So small that bases of tests have parts.
const PART_BYTES: u64 = 16 * 1024;

/// A repository with files of level 0, 1 and 9, of which two bases have parts. From the third
/// backup on there are two ways to each point.
struct Sound {
    machine: Machine,
    context: Context,
    repository: PathBuf,
    /// Id and database, the oldest first.
    backups: Vec<(String, Vec<u8>)>,
}

impl Sound {
    fn new() -> Self {
        let machine = Machine::new();
        machine.create("wal", 6);
        let of = |name| context(machine.directory.path(), Some(name)).with_part_bytes(PART_BYTES);
        let (one, two) = (of("one"), of("two"));
        for context in [&one, &two] {
            context.init(&Silent).unwrap();
        }
        let repository = machine.path("one");
        let mut sound = Self { machine, context: one, repository, backups: Vec::new() };
        sound.back_up(false);
        sound.change(2);
        sound.back_up(false);
        // The other repository gets a transaction that this one lacks: the next file is a merge.
        sound.change(3);
        backup_app(&two).unwrap();
        sound.change(4);
        sound.back_up(false);
        sound.back_up(true);
        sound.change(5);
        sound.back_up(false);
        let objects = sound.objects();
        let count =
            |part: &str| objects.iter().filter(|object| key_of(object).contains(part)).count();
        assert_eq!((count("/ltx/0/"), count("/ltx/1/")), (2, 1), "{objects:?}");
        assert!(count("/ltx/9/") >= 4 && count(".0001") == 2, "{objects:?}");
        sound
    }

    fn change(&self, row: u32) {
        let sql = format!("UPDATE t SET b = randomblob(3000) WHERE a = {row}");
        self.machine.open().execute_batch(&sql).unwrap();
    }

    fn back_up(&mut self, base: bool) {
        let report = if base { back_up_base(&self.context) } else { backup_app(&self.context) };
        self.backups.push((report.unwrap().manifest.id.to_string(), self.machine.bytes()));
    }

    fn objects(&self) -> Vec<PathBuf> {
        objects_below(&self.repository)
    }

    fn target(&self) -> PathBuf {
        self.machine.path("restored.db")
    }

    /// Compares what a check says with what restores do.
    fn assert_agreement(&self, opened: &OpenRepository<'_>, what: &str) -> CheckReport {
        let report = check(opened, CheckOptions::all(), &Silent).unwrap();
        let restorable: Vec<String> =
            report.restorable.iter().map(|name| name.id.to_string()).collect();
        for (id, bytes) in &self.backups {
            match try_restore(opened, Some(id), &self.target(), &Silent) {
                Ok((_, restored)) => {
                    assert!(restored == *bytes, "{what}: {id} restores another database");
                    assert!(restorable.contains(id), "{what}: {id} restores: {report:?}");
                }
                Err(error) => {
                    assert!(!restorable.contains(id), "{what}: {id}: {error:?}: {report:?}");
                    assert_names_what_is_wrong(&error, &report, what);
                }
            }
        }
        match (try_restore(opened, None, &self.target(), &Silent), restorable.first()) {
            (Ok((restored, bytes)), Some(newest)) => {
                assert_eq!(restored.backup.id.to_string(), *newest, "{what}");
                let backup = self.backups.iter().find(|(id, _)| id == newest).unwrap();
                assert!(bytes == backup.1, "{what}");
                let skipped: Vec<_> =
                    restored.detour.skipped.iter().map(|skipped| skipped.name.clone()).collect();
                let newer: Vec<_> =
                    report.lost.iter().filter(|lost| **lost > restored.backup).cloned().collect();
                assert_eq!(skipped, newer, "{what}");
            }
            (Err(error), None) => assert_names_what_is_wrong(&error, &report, what),
            (other, newest) => panic!("{what}: {other:?}, newest {newest:?}"),
        }
        report
    }
}

/// The error of a restore is one of those that the check found, or that the backup is gone.
fn assert_names_what_is_wrong(error: &Error, report: &CheckReport, what: &str) {
    match error {
        Error::Unrestorable { others, source, .. } => {
            let text = source.to_string();
            let named = report.findings.iter().any(|finding| text.contains(&finding.key));
            assert!(named, "{what}: {text}: {report:?}");
            for other in others {
                assert!(report.restorable.contains(other), "{what}: {other:?}: {report:?}");
            }
        }
        Error::NoBackup { .. } => {}
        other => panic!("{what}: {other:?}"),
    }
}

fn key_of(object: &Path) -> &str {
    object.to_str().unwrap()
}

/// The kind of an object: what it may be swapped with.
fn kind_of(object: &Path) -> &str {
    let kinds = ["/ltx/", "/pins/", "/origin", "/backups/", "/recipients/", "/identities/"];
    kinds.into_iter().find(|kind| key_of(object).contains(kind)).unwrap_or("marker")
}

/// Every way to damage an object that is worth its time: a word for it, and what is there then.
fn damages(objects: &[PathBuf], object: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let whole = fs::read(object).unwrap();
    let mut damages = vec![("deleted".to_owned(), None)];
    for at in [0, whole.len() / 3, whole.len().saturating_sub(1)] {
        if let Some(byte) = whole.get(at) {
            let mut bytes = whole.clone();
            bytes[at] = byte ^ 1 << (at % 8);
            damages.push((format!("bit {} of byte {at} flipped", at % 8), Some(bytes)));
        }
    }
    if !whole.is_empty() {
        damages.push(("emptied".to_owned(), Some(Vec::new())));
        let cut = whole[..whole.len() - 1].to_vec();
        damages.push(("cut".to_owned(), Some(cut)));
    }
    let mut others = objects.iter().filter(|other| kind_of(other) == kind_of(object));
    for other in [others.next(), others.next_back()].into_iter().flatten() {
        let bytes = fs::read(other).unwrap();
        if bytes != whole {
            damages.push((format!("swapped for {}", key_of(other)), Some(bytes)));
        }
    }
    damages
}

#[test]
fn restores_do_what_a_check_says() {
    let sound = Sound::new();
    let opened = sound.context.open_repository().unwrap();
    let report = sound.assert_agreement(&opened, "sound");
    assert!(report.is_clean() && report.restorable.len() == 5, "{report:?}");
    let objects = sound.objects();
    let (mut losses, mut detours) = (0, 0);
    for object in &objects {
        let whole = fs::read(object).unwrap();
        for (damage, bytes) in damages(&objects, object) {
            let what = format!("{}: {damage}", key_of(object));
            match bytes {
                Some(bytes) => fs::write(object, bytes).unwrap(),
                None => fs::remove_file(object).unwrap(),
            }
            let report = sound.assert_agreement(&opened, &what);
            fs::write(object, &whole).unwrap();
            let is_data = matches!(kind_of(object), "/ltx/" | "/backups/");
            let vanished = kind_of(object) == "/backups/" && damage == "deleted";
            if is_data && !vanished {
                let named = report.findings.iter().any(|one| key_of(object).ends_with(&one.key));
                assert!(named, "{what}: {report:?}");
            }
            assert!(is_data || report.lost.is_empty(), "{what}: {report:?}");
            losses += report.lost.len();
            detours += usize::from(kind_of(object) == "/ltx/" && report.lost.len() < 3);
        }
    }
    assert!(losses > 50 && detours > 50, "{losses} lost, {detours} gone around");
}

/// Objects that are none of ours, under names of ours that every plan would take first.
#[test]
fn a_foreign_file_under_a_name_of_ours_is_gone_around() {
    let sound = Sound::new();
    let opened = sound.context.open_repository().unwrap();
    let objects = sound.objects();
    let delta = objects.iter().rfind(|object| key_of(object).contains("/ltx/0/")).unwrap();
    let levels = delta.parent().unwrap().parent().unwrap();
    let name = |level: u8, min: u64, max: u64| {
        let file = format!("{min:016x}-{max:016x}-20200101T000000.000Z.ltx.zst.age");
        let directory = levels.join(level.to_string());
        fs::create_dir_all(&directory).unwrap();
        directory.join(file)
    };
    let sealed = fs::read(delta).unwrap();
    let contents: [&[u8]; 4] = [b"", b"not sealed at all", &sealed, &sealed[..sealed.len() / 2]];
    for name in [name(9, 1, 1), name(9, 1, 4), name(9, 1, 5), name(3, 2, 5), name(8, 1, 2)] {
        for bytes in contents {
            let what = format!("{} bytes as {}", bytes.len(), key_of(&name));
            fs::write(&name, bytes).unwrap();
            let report = sound.assert_agreement(&opened, &what);
            assert_eq!(report.restorable.len(), 5, "{what}: {report:?}");
            let named = report.findings.iter().any(|one| key_of(&name).ends_with(&one.key));
            assert!(named, "{what}: {report:?}");
        }
        fs::remove_file(&name).unwrap();
    }
}
