//! What becomes of files in a repository as time goes by: forget, prune, undelete, check, keys and locks, with
//! restic as the judge.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use common::{Dice, Home, files_below, require_tool, restic, skip, try_restic};
use lifeboat_restic::{HeldLock, LockKind, LockOptions, ResticRepository, unlock};
use lifeboat_storage::LocalStorage;
use lifeboat_storage::secrecy::SecretString;
use serde_json::Value;

/// Whether restic finds nothing wrong, where it is here.
fn restic_agrees(home: &Home) {
    if require_tool("restic") {
        restic(home, &["check", "--read-data"]);
    }
}

/// Bytes that cannot be compressed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| step()).collect()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member}: {value}"))
}

/// Backs up files, and returns the id of the backup and of the snapshot.
fn back_up(home: &Home, path: &str) -> (String, String) {
    let summary = home.json(&["backup", path]);
    let id = text(&summary, "backup_id").to_owned();
    (id, text(&summary["sources"][0], "snapshot").to_owned())
}

fn snapshots(home: &Home) -> Vec<String> {
    let names = files_below(&home.repository().join("snapshots")).into_iter();
    names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The files part, opened beside lifeboat.
fn open(home: &Home) -> ResticRepository {
    let storage = Arc::new(LocalStorage::open(&home.repository()).unwrap());
    let password = fs::read_to_string(home.password_file()).unwrap();
    let password = SecretString::from(password.trim_end().to_owned());
    let (_, key) = unlock(&*storage, &password).unwrap();
    ResticRepository::open(storage, key).unwrap()
}

fn hold(home: &Home, kind: LockKind) -> HeldLock {
    open(home).lock(kind, &LockOptions::default()).unwrap()
}

/// Two backups of `srv`: the second has only a part of what the first one has.
fn two_backups() -> (Home, [(String, String); 2]) {
    let home = Home::new();
    home.write("srv/stays", noise(1, 200_000));
    home.write("srv/goes", noise(2, 300_000));
    let first = back_up(&home, "srv");
    fs::remove_file(home.path("srv/goes")).unwrap();
    let second = back_up(&home, "srv");
    (home, [first, second])
}

#[test]
fn prune_frees_what_forgotten_backups_held() {
    let (home, [(first, first_snapshot), (_, second_snapshot)]) = two_backups();
    home.ok(&["forget", &first]);

    // For a day it can come back.
    let pruned = home.json(&["prune"]);
    assert_eq!(pruned["files"]["removed_snapshots"], 0, "{pruned}");
    assert_eq!(home.json(&["undelete", &first])["backups"][0]["undeleted"], true);
    assert_eq!(home.ids(&[]).len(), 2);
    assert_eq!(home.json(&["check", "--read-data"])["clean"], true);

    home.ok(&["forget", &first]);
    let before = files_below(&home.repository());
    let plan = home.json(&["prune", "--dry-run", "--grace", "0"]);
    assert_eq!(plan["files"]["remove_snapshots"], serde_json::json!([first_snapshot]));
    assert!(plan["files"]["freed_bytes"].as_u64().unwrap() > 290_000, "{plan}");
    assert_eq!(files_below(&home.repository()), before);

    let pruned = home.json(&["prune", "--grace", "0"]);
    assert_eq!(pruned["files"]["removed_snapshots"], 1);
    assert!(pruned["files"]["freed_bytes"].as_u64().unwrap() > 290_000, "{pruned}");
    assert_eq!(snapshots(&home), [second_snapshot]);
    restic_agrees(&home);
    assert_eq!(home.json(&["check", "--read-data"])["clean"], true);
    assert_eq!(home.json(&["undelete"])["backups"].as_array().unwrap().len(), 0);
    let told = home.ok(&["prune"]);
    assert!(told.contains("files: removed 0 snapshots and 0 packs, 0 B freed"), "{told}");
}

#[test]
fn a_backup_does_not_come_back_without_its_snapshot() {
    let (home, [(first, snapshot), _]) = two_backups();
    home.ok(&["forget", &first]);
    if !require_tool("restic") {
        return skip("restic is missing");
    }
    restic(&home, &["forget", "--prune", &snapshot]);
    let listed = home.json(&["undelete"]);
    assert!(!listed["backups"][0]["error"].is_null(), "{listed}");
    home.run(&["undelete", &first]).fails(1, "", "too late");
    assert_eq!(home.ids(&[]).len(), 1);
}

#[test]
fn cleanup_prunes_files() {
    let home = Home::new();
    for number in 0..3 {
        home.write("srv/file", noise(number, 100_000));
        home.ok(&["backup", "srv"]);
    }
    home.write("lifeboat.toml", "[files.srv]\npaths = ['srv']\nkeep = 'last 1'\n");
    let summary = home.json(&["backup", "srv", "--cleanup"]);
    let files = &summary["cleanup"]["prune"]["files"];
    // What was forgotten now stays for a day.
    assert_eq!((&files["removed_snapshots"], &files["removed_packs"]), (&0.into(), &0.into()));
    assert_eq!(summary["cleanup"]["forget"]["forgotten"].as_array().unwrap().len(), 3);
    let held = hold(&home, LockKind::Shared);
    let ran = home.run(&["backup", "srv", "--cleanup"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("files were not pruned: process"), "{ran:?}");
    drop(held);
    restic_agrees(&home);
}

#[test]
fn who_uses_the_files_keeps_others_from_removing() {
    let (home, [(first, _), _]) = two_backups();
    home.ok(&["forget", &first]);
    let held = hold(&home, LockKind::Shared);
    let ran = home.run(&["--json", "prune", "--grace", "0"]);
    assert_eq!(ran.code, Some(11), "{ran:?}");
    let summary: Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!(summary["files"]["locked_by"]["pid"], std::process::id(), "{summary}");
    assert_eq!(snapshots(&home).len(), 2);
    let unlocked = home.json(&["unlock"]);
    assert_eq!(unlocked["held"][0]["lock"]["pid"], std::process::id());
    assert_eq!(home.json(&["check"])["clean"], true);
    drop(held);
    home.ok(&["prune", "--grace", "0"]);

    let held = hold(&home, LockKind::Exclusive);
    home.run(&["backup", "srv"]).fails(11, "locked exclusively by process", "lifeboat unlock");
    home.run(&["check"]).fails(11, "locked exclusively by process", "lifeboat unlock");
    assert_eq!(home.json(&["check", "--no-lock"])["clean"], true);
    held.release().unwrap();
    home.ok(&["backup", "srv"]);
    assert!(files_below(&home.repository().join("locks")).is_empty());
}

#[test]
fn restic_gives_way_to_a_backup_that_is_at_work() {
    if !require_tool("restic") {
        return skip("restic is missing");
    }
    let (home, _) = two_backups();
    home.write(
        "lifeboat.toml",
        "[command.slow]\nrun = 'touch started; while [ ! -e go ]; do sleep 0.05; done; echo done'\n",
    );
    let mut child = home.command(&["backup", "slow"]).stdout(Stdio::null()).spawn().unwrap();
    while !home.path("started").exists() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(child.try_wait().unwrap().is_none(), "the backup has ended");
    }
    let refused = try_restic(&home, &home.repository(), &home.password_file(), &["prune"]);
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("locked by PID"), "{error}");
    // By its rule the lock is not stale; asking, it sends the holder a signal.
    restic(&home, &["unlock"]);
    assert_eq!(home.run(&["prune"]).code, Some(11));
    fs::write(home.path("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    restic(&home, &["prune"]);
    restic_agrees(&home);
}

#[test]
fn what_a_killed_backup_left_is_unlocked() {
    let (home, _) = two_backups();
    home.write(
        "lifeboat.toml",
        "[command.slow]\nrun = 'touch started; while [ ! -e go ]; do sleep 0.05; done'\n",
    );
    let mut child = home.command(&["backup", "slow"]).stdout(Stdio::null()).spawn().unwrap();
    while !home.path("started").exists() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(child.try_wait().unwrap().is_none(), "the backup has ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(home.path("go"), "").unwrap();
    let pid = child.id();
    assert_eq!(home.run(&["prune"]).code, Some(11));
    let found = home.run(&["doctor"]);
    assert!(found.out.contains("lifeboat unlock"), "{found:?}");
    let unlocked = home.json(&["unlock"]);
    assert_eq!(unlocked["removed"][0]["lock"]["pid"], pid, "{unlocked}");
    home.ok(&["prune"]);
    assert_eq!(home.ok(&["unlock"]).trim(), "0 locks removed, 0 held");

    let held = hold(&home, LockKind::Shared);
    assert!(home.ok(&["unlock", "--all"]).contains("1 lock removed, 0 held"));
    drop(held);
}

/// The pack with the content of a file, which is not compressed.
fn largest_pack(home: &Home) -> PathBuf {
    let packs = files_below(&home.repository().join("data"));
    packs.into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[test]
fn check_names_what_is_lost_of_which_backup() {
    let (home, [(first, _), (second, _)]) = two_backups();
    let pack = largest_pack(&home);
    let whole = fs::read(&pack).unwrap();
    let mut damaged = whole.clone();
    let place = damaged.len() - 100_000;
    damaged[place] ^= 1;
    fs::write(&pack, &damaged).unwrap();

    assert_eq!(home.json(&["check"])["clean"], true, "its length is right");
    let report = home.run(&["--json", "check", "--read-data"]);
    assert_eq!(report.code, Some(1), "{report:?}");
    let report: Value = serde_json::from_str(report.out.trim()).unwrap();
    let lost: Vec<&str> =
        report["lost_files"].as_array().unwrap().iter().map(|one| text(one, "backup_id")).collect();
    assert!(lost.contains(&first.as_str()), "{report}");
    assert_eq!(report["lost_files"][0]["source"], "srv");
    let path = text(&report["lost_files"][0]["paths"][0], "path");
    assert!(path.starts_with(home.path("srv").to_str().unwrap()), "{report}");
    let told = home.run(&["check", "--read-data"]);
    assert!(told.out.contains("not whole: srv") && told.out.contains(path), "{told:?}");

    // One of two parts has it.
    let codes: Vec<_> = ["1/2", "2/2"]
        .map(|part| home.run(&["check", "--read-data-subset", part]).code.unwrap())
        .into();
    assert_eq!(codes.iter().sum::<i32>(), 1, "{codes:?}");
    assert_eq!(home.run(&["check", "--read-data-subset", "100%"]).code, Some(1));
    assert_eq!(home.run(&["check", "--read-data-subset", "1G"]).code, Some(1));
    home.run(&["check", "--read-data-subset", "3/2"]).fails_usage("3/2");

    // What is gone altogether shows without reading.
    fs::remove_file(&pack).unwrap();
    let report = home.run(&["--json", "check"]);
    assert_eq!(report.code, Some(1));
    // A prune leaves alone what is left.
    let before = files_below(&home.repository().join("data"));
    home.ok(&["forget", &first]);
    let ran = home.run(&["prune", "--grace", "0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("files were left alone"), "{ran:?}");
    assert_eq!(files_below(&home.repository().join("data")), before);
    fs::write(&pack, &whole).unwrap();
    home.ok(&["prune", "--grace", "0"]);
    assert_eq!(home.ids(&[]), [second]);
    assert_eq!(home.json(&["check", "--read-data"])["clean"], true);
}

#[test]
fn check_says_what_somebody_took_with_restic() {
    if !require_tool("restic") {
        return skip("restic is missing");
    }
    let (home, [(first, snapshot), (second, _)]) = two_backups();
    restic(&home, &["forget", "--prune", &snapshot]);
    let ran = home.run(&["--json", "check"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report: Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!(report["restorable"], serde_json::json!([second]));
    assert_eq!(report["lost"], serde_json::json!([first]));
    assert_eq!(report["lost_files"][0]["problem"], "it is missing");
    home.ok(&["forget", &first]);
    home.ok(&["prune", "--grace", "0"]);
    assert_eq!(home.json(&["check", "--read-data"])["clean"], true);
}

/// Without a password names tell nothing of files, and nothing is called lost.
#[test]
fn names_alone_do_not_tell_of_files() {
    let (home, [(first, _), (second, _)]) = two_backups();
    fs::rename(home.password_file(), home.path("elsewhere")).unwrap();
    let report = home.json(&["check"]);
    assert_eq!((&report["clean"], &report["names_only"]), (&true.into(), &true.into()));
    assert_eq!(report["unknown"], serde_json::json!([second, first]), "{report}");
    assert_eq!(report["lost"], serde_json::json!([]));
}

fn opens(home: &Home, password: &str) -> bool {
    let file = home.write("tried-password", password);
    try_restic(home, &home.repository(), &file, &["snapshots"]).status.success()
}

#[test]
fn restic_opens_with_the_same_passwords() {
    if !require_tool("restic") {
        return skip("restic is missing");
    }
    let (home, _) = two_backups();
    let first = fs::read_to_string(home.password_file()).unwrap();
    assert!(opens(&home, &first));
    let new = home.write("new-password", "second password");
    let new = new.to_str().unwrap();
    home.ok(&["key", "add", "--new-password-file", new]);
    assert!(opens(&home, "second password") && opens(&home, &first));

    let third = home.write("third-password", "third password");
    home.ok(&["key", "passwd", "--new-password-file", third.to_str().unwrap()]);
    assert!(opens(&home, "third password") && opens(&home, "second password"));
    assert!(!opens(&home, &first), "the former password still opens");

    let keys = home.json(&["key", "list"]);
    let keys = keys["keys"].as_array().unwrap();
    let other = keys.iter().find(|key| key["in_use"] == false).unwrap();
    home.ok(&["key", "remove", text(other, "id")]);
    assert!(!opens(&home, "second password") && opens(&home, "third password"));

    home.ok(&["key", "rotate"]);
    assert!(opens(&home, "third password"));
    home.ok(&["backup", "srv"]);
    assert!(opens(&home, "third password"));
    assert_eq!(files_below(&home.repository().join("keys")).len(), 1);
    restic_agrees(&home);
}

#[test]
fn doctor_looks_at_files_and_at_what_is_copied_as_it_lies() {
    let (home, _) = two_backups();
    let database = |at: usize, magic: &[u8]| {
        let mut bytes = vec![0; 8192];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    };
    home.write("data/cache.redb", database(0, b"redb\x1a\x0a\xa9\x0d\x0a"));
    home.write("data/env/data.mdb", database(16, &0xbeef_c0de_u32.to_le_bytes()));
    home.write("data/file", "text");
    home.write("lifeboat.toml", "[files.app]\npaths = ['data', 'not/there']\n");
    let ran = home.run(&["--json", "doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report: Value = serde_json::from_str(ran.out.trim()).unwrap();
    let all = report.to_string();
    assert!(all.contains("not/there does not exist"), "{report}");
    assert!(all.contains("cache.redb (redb)") && all.contains("data.mdb (LMDB)"), "{report}");
    assert!(all.contains("`before` hook of [files.app]"), "{report}");
    assert!(all.contains("restic opens the files with this password"), "{report}");
    assert!(!all.contains("no database is named"), "{report}");

    home.write(
        "lifeboat.toml",
        "[files.app]\npaths = ['data']\nhooks = { before = 'true', after = 'true' }\n",
    );
    for file in files_below(&home.repository().join("keys")) {
        fs::remove_file(file).unwrap();
    }
    let report = home.json(&["doctor", "app"]).to_string();
    assert!(report.contains("its hooks see to it"), "{report}");
    assert!(report.contains("restic does not open the files with this password"), "{report}");
    home.ok(&["backup", "srv"]);
    let report = home.json(&["doctor", "app"]).to_string();
    assert!(report.contains("restic opens the files with this password"), "{report}");
}

#[test]
fn stats_tell_what_files_take() {
    let (home, [(first, _), _]) = two_backups();
    let stats = home.json(&["stats"]);
    let files = &stats["files"];
    assert_eq!((&files["snapshots"], &files["waiting_bytes"]), (&2.into(), &0.into()), "{stats}");
    let source = &files["sources"][0];
    assert_eq!((&source["name"], &source["backups"]), (&"srv".into(), &2.into()));
    assert_eq!(
        (&source["size_bytes"], &stats["restorable_bytes"]),
        (&200_000.into(), &700_000.into())
    );
    let on_disk = |directory| -> u64 {
        let files = files_below(&home.repository().join(directory)).into_iter();
        files.map(|file| file.metadata().unwrap().len()).sum()
    };
    assert_eq!(files["pack_bytes"], on_disk("data"));
    let all = ["data", "index", "keys", "snapshots", "locks"].map(on_disk).iter().sum::<u64>();
    let config = home.repository().join("config").metadata().unwrap().len();
    assert_eq!(files["stored_bytes"], all + config);
    home.ok(&["forget", &first]);
    assert!(home.ok(&["stats"]).contains("2 snapshots"));
}

/// All files below a directory, by their paths in it.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |path: PathBuf| (path.strip_prefix(root).unwrap().to_owned(), path);
    let files = files_below(root).into_iter().map(relative);
    files.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// Random edits, backups, forgets, prunes and undeletes: whatever is there can be restored, and restic finds
/// nothing wrong after each prune.
#[test]
fn whatever_happens_what_is_there_can_be_restored() {
    let mut dice = Dice::new(20_261_121);
    let home = Home::new();
    home.write("srv/always", "there");
    let mut there: BTreeMap<String, BTreeMap<PathBuf, Vec<u8>>> = BTreeMap::new();
    let mut forgotten = BTreeMap::new();
    for _ in 0..30 {
        match dice.choose(&[
            "write", "write", "remove", "backup", "backup", "forget", "undelete", "prune",
        ]) {
            "write" => {
                let name = format!("srv/{}/{}", dice.below(3), dice.below(5));
                home.write(&name, noise(dice.below(1000) as u64, 1 + dice.below(200_000)));
            }
            "remove" => {
                let name = format!("srv/{}/{}", dice.below(3), dice.below(5));
                let _missing = fs::remove_file(home.path(&name));
            }
            "backup" => {
                let (id, _) = back_up(&home, "srv");
                there.insert(id, contents(&home.path("srv")));
            }
            "forget" if there.len() > 1 => {
                let id = there.keys().nth(dice.below(there.len())).unwrap().clone();
                home.ok(&["forget", &id]);
                forgotten.insert(id.clone(), there.remove(&id).unwrap());
            }
            "undelete" if !forgotten.is_empty() => {
                let id = forgotten.keys().nth(dice.below(forgotten.len())).unwrap().clone();
                home.ok(&["undelete", &id]);
                there.insert(id.clone(), forgotten.remove(&id).unwrap());
            }
            "prune" if dice.chance(50) => {
                home.ok(&["prune"]);
                restic_agrees(&home);
            }
            "prune" => {
                home.ok(&["prune", "--grace", "0"]);
                forgotten.clear();
                restic_agrees(&home);
            }
            _ => {}
        }
    }
    assert_eq!(home.ids(&[]).len(), there.len());
    for (id, files) in &there {
        let target = home.path("out");
        home.ok(&["restore", "srv", "--backup", id, "--target", target.to_str().unwrap()]);
        assert_eq!(&contents(&below(&target, &home.path("srv"))), files, "{id}");
        fs::remove_dir_all(&target).unwrap();
    }
    assert_eq!(home.json(&["check", "--read-data"])["clean"], true);
    restic_agrees(&home);
}

/// Where a path is put below a target.
fn below(target: &Path, path: &Path) -> PathBuf {
    target.join(path.strip_prefix("/").unwrap())
}
