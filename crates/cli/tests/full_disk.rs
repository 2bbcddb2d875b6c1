//! A disk that is full: the error says so, what was there is whole, and with room it goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "../../files/tests/put/small_disk.rs"]
mod small_disk;

use std::process::Command;

use common::{Database, Home, Ran, files_below};
use small_disk::SmallDisk;

impl SmallDisk {
    /// Takes all the room but this many KiB.
    fn fill(&self, leave: u64) {
        let stat =
            Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.path).output().unwrap();
        let text = String::from_utf8(stat.stdout).unwrap();
        let (blocks, size) = text.trim().split_once(' ').unwrap();
        let free = blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap();
        let bytes = usize::try_from(free.saturating_sub(leave * 1024)).unwrap();
        std::fs::write(self.path.join("ballast"), vec![1; bytes]).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

#[test]
fn a_full_repository() {
    for journal_mode in ["wal", "delete"] {
        let home = Home::new();
        let Some(disk) = SmallDisk::mount(&home.path("disk"), "4m") else { return };
        let database = Database::create(&home.path("app.db"), journal_mode, 100);
        home.ok(&["init", "-r", "disk/repository"]);
        home.ok(&["backup", "app.db", "-r", "disk/repository"]);
        let first = database.bytes();
        database.add(200);
        for leave in [400, 64, 8, 0] {
            disk.fill(leave);
            let ran = home.run(&["backup", "app.db", "-r", "disk/repository"]);
            ran.fails(1, "No space left on device", "the disk is full: make room");
            assert_eq!(home.ids(&["-r", "disk/repository"]).len(), 1);
            assert!(home.restored(&["-r", "disk/repository"]) == first, "{leave}");
            disk.make_room();
        }
        assert_eq!(home.json(&["check", "--read-data", "-r", "disk/repository"])["clean"], true);
        let left = files_below(&home.path("disk/repository/tmp"));
        assert!(left.is_empty(), "what could not be stored takes up room: {left:?}");
        database.change(7);
        let next = home.backup(&["app.db", "-r", "disk/repository"]);
        assert!(!next["changed_from"].is_null(), "{next}");
        assert!(home.restored(&["-r", "disk/repository"]) == database.bytes());
        assert_eq!(home.json(&["check", "--read-data", "-r", "disk/repository"])["clean"], true);
    }
}

#[test]
fn a_full_repository_at_the_first_backup() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path("disk"), "4m") else { return };
    let database = Database::create(&home.path("app.db"), "wal", 300);
    home.ok(&["init", "-r", "disk/repository"]);
    disk.fill(300);
    let ran = home.run(&["backup", "app.db", "-r", "disk/repository"]);
    ran.fails(1, "No space left on device", "the disk is full: make room");
    assert!(home.ids(&["-r", "disk/repository"]).is_empty());
    home.run(&["init", "-r", "disk/another"]);
    disk.make_room();
    home.ok(&["backup", "app.db", "-r", "disk/repository"]);
    assert!(home.restored(&["-r", "disk/repository"]) == database.bytes());
    home.ok(&["check", "--read-data", "-r", "disk/repository"]);
}

/// A small source would still fit: another repository gets all of them, not only that one.
#[test]
fn of_several_repositories_the_first_is_full() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path("disk"), "16m") else { return };
    let small = Database::create(&home.path("a.db"), "wal", 1);
    let large = Database::create(&home.path("b.db"), "wal", 1500);
    home.write(
        "lifeboat.toml",
        "[database.a]\npath = 'a.db'\n[database.b]\npath = 'b.db'\n\
         [repository.first]\nurl = 'disk/repository'\n[repository.second]\nurl = 'second'\n",
    );
    for name in ["first", "second"] {
        home.ok(&["init", "-r", name]);
    }
    disk.fill(300);
    home.run(&["backup"]).fails(3, "No space left on device", "the disk is full: make room");
    for (name, database) in [("a", &small), ("b", &large)] {
        assert!(home.restored(&["-r", "second", name]) == database.bytes(), "{name}");
    }
    assert!(home.ids(&["-r", "first"]).is_empty());
    disk.make_room();
    home.ok(&["backup"]);
    for name in ["first", "second"] {
        assert!(home.restored(&["-r", name, "b"]) == large.bytes(), "{name}");
    }
    home.ok(&["check", "--read-data"]);
}

#[test]
fn a_full_state_directory() {
    for journal_mode in ["wal", "delete"] {
        let home = Home::new();
        let Some(disk) = SmallDisk::mount(&home.path("disk"), "2m") else { return };
        let database = Database::create(&home.path("app.db"), journal_mode, 100);
        let run = |arguments: &[&str]| {
            let state = home.path("disk/state");
            Ran::of(home.command(arguments).env("LIFEBOAT_STATE_DIR", state).output().unwrap())
        };
        assert_eq!(run(&["backup", "app.db"]).code, Some(0));
        let first = database.bytes();
        let mut made = 1;
        for leave in [0, 4, 8, 16, 32] {
            database.change(5);
            disk.fill(leave);
            let ran = run(&["backup", "app.db"]);
            assert!(!ran.err.contains("panicked"), "{ran:?}");
            if ran.code == Some(0) {
                made += 1;
            } else {
                ran.fails(1, "No space left on device", "the disk is full: make room");
            }
            disk.make_room();
            // Whether or not it was: the next one is right.
            database.change(6);
            let ran = run(&["backup", "app.db"]);
            assert_eq!(ran.code, Some(0), "{leave}: {ran:?}");
            assert!(!ran.err.contains("whole"), "{leave}: {ran:?}");
            made += 1;
            assert!(home.restored(&[]) == database.bytes(), "{leave}");
        }
        let ids = home.ids(&[]);
        assert_eq!(ids.len(), made);
        assert!(home.restored(&["-b", &ids[made - 1]]) == first);
        assert_eq!(home.json(&["check", "--read-data"])["clean"], true);
    }
}

#[test]
fn a_full_target() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path("disk"), "2m") else { return };
    let database = Database::create(&home.path("app.db"), "wal", 200);
    home.ok(&["backup", "app.db"]);
    let there = b"what is there already, and stays";
    std::fs::write(home.path("disk/app.db"), there).unwrap();
    disk.fill(600);
    let ran = home.run(&["restore", "-t", "disk/app.db", "--force"]);
    ran.fails(1, "not enough room in", "make room, or choose another place");
    assert_eq!(std::fs::read(home.path("disk/app.db")).unwrap(), there);
    assert_eq!(files_below(&home.path("disk")).len(), 2);
    disk.make_room();
    home.ok(&["restore", "-t", "disk/new.db"]);
    assert!(std::fs::read(home.path("disk/new.db")).unwrap() == database.bytes());
    // What dump and --verify put together lies in the state directory.
    std::fs::remove_file(home.path("disk/new.db")).unwrap();
    disk.fill(100);
    for arguments in [&["dump"][..], &["backup", "app.db", "--verify"]] {
        let state = home.path("disk/state");
        let ran = home.command(arguments).env("LIFEBOAT_STATE_DIR", state).output().unwrap();
        Ran::of(ran).fails(1, "not enough room in", "make room");
    }
}
