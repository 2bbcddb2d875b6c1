//! What becomes of a lineage when the local state is lost or damaged: it goes on where that is certain
//! to be right, else another begins; every point restores either way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{
    Machine, Notes, assert_clean, back_up_with, context, copy_directory, database, restored,
};
use lifeboat::{Acceptable, Context, DatabaseSource, accept, plan_acceptance};

/// A machine that has backed up three states of its database to one repository.
struct Site {
    machine: Machine,
    /// Backups, with the repository and the bytes that they hold.
    backups: Vec<(Option<&'static str>, String, Vec<u8>)>,
    last: Option<DatabaseSource>,
}

impl Site {
    fn new() -> Self {
        let machine = Machine::new();
        machine.create("wal", 30);
        let mut site = Self { machine, backups: Vec::new(), last: None };
        for row in [3, 4, 5] {
            site.back_up_changed(row);
        }
        site
    }

    fn context(&self, repository: Option<&str>) -> Context {
        context(self.machine.directory.path(), repository)
    }

    /// What a backup writes, and what it notes.
    fn back_up_to(&mut self, repository: Option<&'static str>) -> (DatabaseSource, String) {
        let notes = Notes::default();
        let report = back_up_with(&self.context(repository), "app.db", false, &notes).unwrap();
        let id = report.manifest.id.to_string();
        self.backups.push((repository, id, self.machine.bytes()));
        let source = database(&report);
        self.last = Some(source.clone());
        (source, notes.text())
    }

    fn back_up(&mut self) -> (DatabaseSource, String) {
        self.back_up_to(None)
    }

    fn back_up_changed(&mut self, row: u32) -> (DatabaseSource, String) {
        self.machine.change(row);
        self.back_up()
    }

    fn state(&self) -> PathBuf {
        self.machine.path(".local/state/lifeboat")
    }

    fn of_database(&self, name: &str) -> PathBuf {
        self.state().join("databases/app").join(name)
    }

    fn repository(&self) -> PathBuf {
        self.machine.path(".local/share/lifeboat/repository")
    }

    fn password(&self) -> PathBuf {
        self.machine.path(".config/lifeboat/password")
    }

    fn last(&self) -> DatabaseSource {
        self.last.clone().unwrap()
    }

    /// The next backup goes on from the last one.
    #[track_caller]
    fn assert_goes_on(&mut self, what: &str) {
        let before = self.last();
        let (after, notes) = self.back_up_changed(6);
        assert!(notes.contains("StateRebuilt"), "{what}: {notes}");
        assert_eq!(after.lineage, before.lineage, "{what}");
        assert_eq!(after.txid.get(), before.txid.get() + 1, "{what}");
        assert_eq!(after.changed_from, Some(before.txid), "{what}");
        assert!(after.changed_pages < 10, "{what}: {}", after.changed_pages);
        self.assert_whole(what);
    }

    /// The next backup begins a lineage, for this reason.
    #[track_caller]
    fn assert_begins(&mut self, reason: &str) {
        let before = self.last();
        let (after, notes) = self.back_up_changed(6);
        assert!(notes.contains("WholeDatabase") && notes.contains(reason), "{reason}: {notes}");
        assert_ne!(after.lineage, before.lineage, "{reason}");
        assert_eq!(after.changed_from, None, "{reason}");
    }

    /// Everything restores, and so does what comes next.
    #[track_caller]
    fn assert_whole(&mut self, what: &str) {
        let before = self.last();
        let (after, notes) = self.back_up_changed(7);
        assert_eq!(after.lineage, before.lineage, "{what}: {notes}");
        assert_eq!(after.changed_from, Some(before.txid), "{what}: {notes}");
        for repository in [None, Some("second")] {
            if !self.backups.iter().any(|(of, ..)| *of == repository) {
                continue;
            }
            let context = self.context(repository);
            let opened = context.open_repository().unwrap();
            assert_clean(&opened, what);
            for (of, id, bytes) in &self.backups {
                if *of == repository {
                    let found = restored(&opened, id, &self.machine.path("restored.db"));
                    assert!(found == *bytes, "{what}: backup {id}");
                }
            }
        }
    }
}

fn alter(path: &Path, alter: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    alter(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_lost_or_damaged_state_is_rebuilt() {
    type Damage = fn(&Site);
    let damage: [(&str, Damage); 8] = [
        ("directory", |site| fs::remove_dir_all(site.of_database("")).unwrap()),
        ("state.json lost", |site| fs::remove_file(site.of_database("state.json")).unwrap()),
        ("state.json cut", |site| {
            alter(&site.of_database("state.json"), |bytes| bytes.truncate(90));
        }),
        ("pages lost", |site| fs::remove_file(site.of_database("pages")).unwrap()),
        ("pages cut", |site| alter(&site.of_database("pages"), |bytes| bytes.truncate(400))),
        ("pages of zeros", |site| alter(&site.of_database("pages"), |bytes| bytes.fill(0))),
        ("a bit of pages", |site| {
            alter(&site.of_database("pages"), |bytes| bytes[256 + 32 * 9 + 17] ^= 4);
        }),
        ("a pending capture without its changes", |site| {
            alter(&site.of_database("state.json"), |bytes| {
                let mut state: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                state["pending"] =
                    serde_json::json!({ "captured": state["captured"], "whole": false });
                *bytes = serde_json::to_vec(&state).unwrap();
            });
            fs::write(site.of_database("changes"), "torn").unwrap();
        }),
    ];
    for (what, damage) in damage {
        let mut site = Site::new();
        damage(&site);
        site.assert_goes_on(what);
    }
}

#[test]
fn of_an_unchanged_database_nothing_is_stored_again() {
    let mut site = Site::new();
    let before = site.last();
    fs::remove_dir_all(site.of_database("")).unwrap();
    let (after, notes) = site.back_up();
    assert!(notes.contains("StateRebuilt"), "{notes}");
    assert_eq!((after.lineage, after.txid, after.stored_bytes), (before.lineage, before.txid, 0));
    assert_eq!(after.objects, before.objects);
    site.assert_whole("unchanged");
}

/// The state directory was put back as it was before the last backup: to go on from there would give
/// a number twice.
#[test]
fn a_state_that_is_older_than_the_repository_is_rebuilt() {
    let mut site = Site::new();
    let copy = tempfile::tempdir().unwrap();
    copy_directory(&site.of_database(""), copy.path());
    site.back_up_changed(2);
    copy_directory(copy.path(), &site.of_database(""));
    site.assert_goes_on("an older state");
}

#[test]
fn without_a_password_a_lineage_begins() {
    let mut site = Site::new();
    fs::remove_dir_all(site.of_database("")).unwrap();
    let aside = site.machine.path("aside");
    fs::rename(site.password(), &aside).unwrap();
    site.assert_begins("no password");
    fs::rename(aside, site.password()).unwrap();
    site.assert_whole("no password");
}

#[test]
fn with_a_wrong_password_nothing_is_done() {
    let mut site = Site::new();
    fs::remove_dir_all(site.of_database("")).unwrap();
    let right = fs::read(site.password()).unwrap();
    fs::write(site.password(), "another one\n").unwrap();
    let refused = back_up_with(&site.context(None), "app.db", false, &lifeboat::Silent);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("wrong password"), "{error}");
    fs::write(site.password(), right).unwrap();
    site.assert_goes_on("a wrong password");
}

#[test]
fn another_repository_may_hold_more() {
    let mut site = Site::new();
    site.context(Some("second")).init(&lifeboat::Silent).unwrap();
    site.machine.change(9);
    site.back_up_to(Some("second"));
    fs::remove_dir_all(site.of_database("")).unwrap();
    site.assert_begins("another repository");
    site.assert_whole("another repository");
}

/// The numbers that another repository has are known where only the page array is damaged.
#[test]
fn another_repository_is_ahead_but_the_state_can_be_read() {
    for changes in [false, true] {
        let mut site = Site::new();
        site.context(Some("second")).init(&lifeboat::Silent).unwrap();
        let lineage = site.last().lineage;
        for row in [9, 10] {
            site.machine.change(row);
            site.back_up_to(Some("second"));
        }
        assert_eq!(site.last().txid.get(), 5);
        fs::remove_file(site.of_database("pages")).unwrap();
        if changes {
            site.machine.change(11);
        }
        let (source, notes) = site.back_up();
        assert!(notes.contains("StateRebuilt"), "{notes}");
        assert_eq!((source.lineage, source.txid.get()), (lineage, 6));
        // The other one gets a base of the same lineage.
        let (source, notes) = site.back_up_to(Some("second"));
        assert!(notes.contains("does not hold"), "{notes}");
        assert_eq!((source.lineage, source.txid.get()), (lineage, 6));
        site.machine.change(12);
        site.back_up_to(Some("second"));
        site.back_up();
        site.assert_whole("another one was ahead");
    }
}

/// The same, and the database is what it was at the point that the state was rebuilt from: there it
/// has its number, elsewhere that number's successors stand for other content.
#[test]
fn a_number_is_not_used_again_where_higher_ones_may_be() {
    let mut site = Site::new();
    let former = fs::read(site.machine.database()).unwrap();
    let before = site.last();
    site.context(Some("second")).init(&lifeboat::Silent).unwrap();
    site.machine.change(9);
    site.back_up_to(Some("second"));
    fs::remove_file(site.of_database("pages")).unwrap();
    fs::write(site.machine.database(), former).unwrap();
    let (source, _) = site.back_up();
    assert_eq!((source.txid, source.stored_bytes), (before.txid, 0));
    let (source, _) = site.back_up_to(Some("second"));
    assert_eq!(source.txid.get(), 5);
    site.back_up();
    site.assert_whole("back to a former state");
}

/// Killed between the new page array and the new state: the former state still tells which numbers
/// were given, and does not fit the array, so all is done again.
#[test]
fn a_rebuild_that_was_killed_is_done_again() {
    let mut site = Site::new();
    let former = fs::read(site.machine.database()).unwrap();
    site.context(Some("second")).init(&lifeboat::Silent).unwrap();
    for row in [9, 10] {
        site.machine.change(row);
        site.back_up_to(Some("second"));
    }
    let state = fs::read(site.of_database("state.json")).unwrap();
    fs::remove_file(site.of_database("pages")).unwrap();
    fs::write(site.machine.database(), former).unwrap();
    assert_eq!(site.back_up().0.txid.get(), 3);
    fs::write(site.of_database("state.json"), state).unwrap();
    let (source, notes) = site.back_up_changed(11);
    assert!(notes.contains("StateRebuilt") && notes.contains("adds up to"), "{notes}");
    assert_eq!(source.txid.get(), 6);
    site.assert_whole("killed");
}

#[test]
fn two_machines_of_one_name_keep_their_lineages_apart() {
    let mut site = Site::new();
    let repository = site.repository();
    let configure = |home: &Path| {
        let directory = home.join(".config/lifeboat");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("lifeboat.toml"), "host = \"twin\"\n").unwrap();
    };
    configure(site.machine.directory.path());
    let (own, _) = site.back_up_changed(8);
    let twin = Machine::new();
    twin.create("wal", 10);
    configure(twin.directory.path());
    fs::copy(site.password(), twin.path(".config/lifeboat/password")).unwrap();
    let twins = context(twin.directory.path(), Some(repository.to_str().unwrap()));
    let theirs = database(&back_up_with(&twins, "app.db", false, &lifeboat::Silent).unwrap());
    assert_ne!(theirs.lineage, own.lineage);

    // Another key speaks for the host now: whoever checks it all has to believe it.
    {
        let context = site.context(None);
        let opened = context.open_repository().unwrap();
        let hosts = vec!["twin".to_owned()];
        let wanted = Acceptable { hosts, ..Acceptable::default() };
        accept(&opened, &plan_acceptance(&opened, &wanted).unwrap()).unwrap();
    }
    // The twin's is the newer one.
    fs::remove_dir_all(site.of_database("")).unwrap();
    site.assert_goes_on("with a twin");
    // A state that was copied over from the other machine is not gone on with either.
    let other = twin.path(".local/state/lifeboat/databases/app");
    fs::remove_dir_all(other).unwrap();
    copy_directory(&site.of_database(""), &twin.path(".local/state/lifeboat/databases/app"));
    fs::remove_file(twin.path(".local/state/lifeboat/databases/app/pages")).unwrap();
    let notes = Notes::default();
    let path = |machine: &Machine| machine.database().to_str().unwrap().to_owned();
    alter(&twin.path(".local/state/lifeboat/databases/app/state.json"), |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        *bytes = text.replace(&path(&site.machine), &path(&twin)).into_bytes();
    });
    let theirs = database(&back_up_with(&twins, "app.db", false, &notes).unwrap());
    assert!(notes.text().contains("another host began its lineage"), "{}", notes.text());
    assert_ne!(theirs.lineage, own.lineage);
}

/// The directory of a lineage in the repository.
fn lineage_of(site: &Site) -> PathBuf {
    let key = site.last().objects[0].key.clone();
    site.repository().join(key.split_once("/ltx/").unwrap().0)
}

#[test]
fn a_damaged_newest_point_begins_a_lineage() {
    for gone in [false, true] {
        let mut site = Site::new();
        // Without this one, the newest whole file does not follow the others.
        let object = site.repository().join(&site.last().objects[1].key);
        if gone {
            fs::remove_file(object).unwrap();
        } else {
            alter(&object, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            });
        }
        fs::remove_file(site.of_database("state.json")).unwrap();
        site.assert_begins("not rebuilt from the repository");
        let (id, bytes) = site.backups.last().map(|(_, id, bytes)| (id, bytes)).unwrap();
        let context = site.context(None);
        let opened = context.open_repository().unwrap();
        assert!(restored(&opened, id, &site.machine.path("restored.db")) == *bytes);
    }
}

/// An upload was killed between two parts: nobody reads its file, but its number was given.
#[test]
fn numbers_of_files_that_are_not_whole_count() {
    let mut site = Site::new();
    let part = "ltx/0/0000000000000007-0000000000000007-20261121T024900.123Z.ltx.zst.age.0001";
    let path = lineage_of(&site).join(part);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "part").unwrap();
    fs::remove_dir_all(site.of_database("")).unwrap();
    let before = site.last();
    let (after, notes) = site.back_up_changed(6);
    assert!(notes.contains("StateRebuilt"), "{notes}");
    assert_eq!((after.lineage, after.txid.get()), (before.lineage, 8));
    assert_eq!(after.changed_from, Some(before.txid));
    let (id, bytes) = site.backups.last().map(|(_, id, bytes)| (id, bytes)).unwrap();
    let context = site.context(None);
    let opened = context.open_repository().unwrap();
    assert!(restored(&opened, id, &site.machine.path("restored.db")) == *bytes);
}

/// A lease has closed the lineage: whatever is added to it is ignored by readers.
#[test]
fn a_lineage_that_was_taken_over_is_not_continued() {
    for lost in [false, true] {
        let mut site = Site::new();
        let lineage = lineage_of(&site);
        let host = lineage.parent().unwrap().parent().unwrap().file_name().unwrap();
        let leases = site.repository().join("leases").join(host).join("app");
        fs::create_dir_all(&leases).unwrap();
        let lease = serde_json::json!({
            "epoch": 1, "holder": "0123456789abcdef", "hostname": "other",
            "taken": "2026-11-21T02:49:00.123Z", "ttl_s": 0,
            "lineage": site.last().lineage.to_string(), "after_txid": site.last().txid.to_string(),
        });
        fs::write(leases.join("00000001.json"), lease.to_string()).unwrap();
        if lost {
            fs::remove_dir_all(site.of_database("")).unwrap();
        }
        site.assert_begins("took the database over");
        site.assert_whole("taken over");
    }
}
