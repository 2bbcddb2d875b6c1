//! Files that are backed up when they change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::Machine;
use common::replication::{beside, wait_for};
use lifeboat::{Context, FilesSource, Source, backups};

const CONFIG: &str = "[files.config]\npaths = ['etc', 'one.toml']\nexclude = ['*.log']\non-change = true\n\
    debounce = '50ms'\n";

/// A machine whose configuration names files that are to be watched.
fn machine() -> Machine {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("etc/deep")).unwrap();
    fs::write(machine.path("etc/app.toml"), "[app]\n").unwrap();
    fs::write(machine.path("one.toml"), "one").unwrap();
    fs::write(machine.path("lifeboat.toml"), CONFIG).unwrap();
    machine
}

/// The backups there are, oldest first, as far as files go.
fn made(context: &Context) -> Vec<FilesSource> {
    let opened = context.open_repository().unwrap();
    let mut manifests: Vec<_> =
        backups(&opened).unwrap().into_iter().map(|entry| entry.manifest.unwrap()).collect();
    manifests.reverse();
    assert!(manifests.iter().all(|one| one.backup_type.as_ref().unwrap().as_str() == "config"));
    let files = manifests.into_iter().map(|manifest| match manifest.sources.into_iter().next() {
        Some(Source::Files(files)) => *files,
        other => panic!("{other:?}"),
    });
    files.collect()
}

#[test]
fn a_change_is_backed_up_and_nothing_else_is() {
    let machine = machine();
    let context = machine.context();
    beside(&context, &[], |log| {
        wait_for("the first backup", || log.count("BackedUp") == 1);
        fs::write(machine.path("etc/deep/new.toml"), "new").unwrap();
        wait_for("a backup of a new file", || log.count("BackedUp") == 2);
        // What is left out is no change, and a file that was written anew with what it had is one by its time.
        fs::write(machine.path("etc/app.log"), "much").unwrap();
        fs::create_dir(machine.path("etc/later")).unwrap();
        wait_for("a backup of a directory", || log.count("BackedUp") == 3);
        fs::write(machine.path("etc/later/inside.toml"), "inside").unwrap();
        wait_for("a backup of what is in it", || log.count("BackedUp") == 4);
        fs::write(machine.path("one.toml"), "two!").unwrap();
        wait_for("a backup of a file that was named", || log.count("BackedUp") == 5);
    });
    let files: Vec<u64> = made(&context).iter().map(|files| files.files).collect();
    assert_eq!(files, [2, 3, 3, 4, 4]);

    // What changed while nobody watched is noticed at the start; what did not is not stored again.
    beside(&context, &[], |log| {
        fs::remove_file(machine.path("etc/deep/new.toml")).unwrap();
        wait_for("a backup", || log.count("BackedUp") == 1);
    });
    assert_eq!(made(&context).len(), 6);
    fs::write(machine.path("etc/app.toml"), "[other]\n").unwrap();
    beside(&context, &[], |log| wait_for("a backup at the start", || log.count("BackedUp") == 1));
    let all = made(&context);
    assert_eq!((all.len(), all[6].changed_files, all[6].unchanged_files), (7, 1, 2));
}

#[test]
fn what_fails_is_told_and_tried_again() {
    let machine = machine();
    let broken = machine.path("broken");
    fs::write(&broken, "").unwrap();
    let hooks = format!("{CONFIG}hooks = {{ before = '! test -e {}' }}\n", broken.display());
    fs::write(machine.path("lifeboat.toml"), hooks).unwrap();
    let context = machine.context();
    beside(&context, &[], |log| {
        wait_for("a failure", || log.count("Failing") == 1);
        fs::remove_file(&broken).unwrap();
        fs::write(machine.path("one.toml"), "now").unwrap();
        wait_for("a backup", || log.count("BackedUp") == 1 && log.count("Working") == 1);
    });
    assert_eq!(made(&context).len(), 1);
}

#[test]
fn a_hook_that_says_that_now_is_no_time_for_it_is_no_failure() {
    let machine = machine();
    let (asked, busy) = (machine.path("asked"), machine.path("busy"));
    fs::write(&busy, "").unwrap();
    let hook = format!("touch {}; test ! -e {} || exit 75", asked.display(), busy.display());
    let hooks = format!("{CONFIG}hooks = {{ before = '{hook}' }}\n");
    fs::write(machine.path("lifeboat.toml"), hooks).unwrap();
    let context = machine.context();
    beside(&context, &[], |log| {
        wait_for("a backup that is not wanted", || asked.exists());
        fs::remove_file(&busy).unwrap();
        fs::write(machine.path("one.toml"), "now").unwrap();
        wait_for("a backup", || log.count("BackedUp") == 1);
        assert_eq!(log.count("Failing"), 0);
    });
    assert_eq!(made(&context).len(), 1);
}
