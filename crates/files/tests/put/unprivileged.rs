//! Put back by someone who is not root.
//!
//! These tests run in a process of their own: root starts it as the user `nobody`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_files::{Attribute, Kind, Overwrite, PutOptions};

use crate::tree::{
    Node, directory, file, is_root, options, other, problems, put, put_well, safe, scratch, write,
};

const DIRECTORY: &str = "LIFEBOAT_TEST_DIRECTORY";
const NOBODY: u32 = 65_534;

/// Runs one of the tests below as someone else, in a directory that belongs to them.
fn as_user(test: &str, prepare: impl FnOnce(&Path)) {
    let scratch = scratch();
    let (program, home) = (scratch.path().join("program"), scratch.path().join("home"));
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The directory of the program may be closed to others.
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(&home).unwrap();
    if is_root() {
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    prepare(&home);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let user = NOBODY.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let name = format!("unprivileged::{test}");
    let output = command
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(DIRECTORY, &home)
        .env("TMPDIR", &home)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

fn home() -> PathBuf {
    assert!(!is_root());
    PathBuf::from(std::env::var_os(DIRECTORY).unwrap())
}

fn with_permissions(mut node: Node, permissions: u32) -> Node {
    node.entry.metadata.permissions = permissions;
    node
}

fn of_root(mut node: Node) -> Node {
    (node.entry.metadata.user_id, node.entry.metadata.group_id) = (0, 0);
    node
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn owners_are_not_set() {
    as_user("owners_are_not_set_as_user", |_| {});
}

#[test]
#[ignore = "run by owners_are_not_set"]
fn owners_are_not_set_as_user() {
    let target = home();
    let tree = [
        with_permissions(file("mine", b"x", 1), 0o6755),
        of_root(with_permissions(file("root's", b"x", 1), 0o6755)),
        of_root(directory("directory", vec![of_root(file("below", b"x", 1))])),
        of_root(other("pipe", Kind::Fifo)),
    ];
    for _ in 0..2 {
        let report = put_well(&target, &tree, options());
        assert_eq!((report.owners_skipped, report.set_id_dropped), (4, 1));
        assert_eq!(mode(target.join("mine")), 0o6755);
        assert_eq!(mode(target.join("root's")), 0o755, "it would run with our rights");
        let owner = fs::metadata(target.join("root's")).unwrap().uid();
        assert_eq!(owner, rustix::process::geteuid().as_raw());
    }
}

#[test]
fn directories_without_permissions() {
    as_user("directories_without_permissions_as_user", |_| {});
}

#[test]
#[ignore = "run by directories_without_permissions"]
fn directories_without_permissions_as_user() {
    let target = home();
    let tree = |content| {
        let deep = directory("deep", vec![file("file", content, 1)]);
        [with_permissions(directory("closed", vec![with_permissions(deep, 0o500)]), 0o000)]
    };
    put_well(&target, &tree(b"one"), safe());
    assert_eq!(mode(target.join("closed")), 0o000);
    // Its owner may fill it all the same, and it is as closed as before afterwards.
    let report = put_well(&target, &tree(b"three"), safe());
    assert_eq!(report.moved_aside, 1);
    assert_eq!(mode(target.join("closed")), 0o000);
    let never = PutOptions { overwrite: Overwrite::Never, ..options() };
    let mut more = tree(b"three");
    more[0].entry.metadata.permissions = 0o777;
    more[0].children.push(file("new", b"x", 1));
    let report = put_well(&target, &more, never);
    assert_eq!((report.files, report.skipped), (1, 1));
    assert_eq!(mode(target.join("closed")), 0o000, "its metadata stays");

    fs::set_permissions(target.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(mode(target.join("closed/deep")), 0o500);
    assert_eq!(fs::read(target.join("closed/deep/file")).unwrap(), b"three");
    fs::set_permissions(target.join("closed/deep"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn directories_of_others() {
    if !is_root() {
        return crate::tree::skip("only root can make a directory of someone else");
    }
    as_user("directories_of_others_as_user", |home| {
        fs::create_dir(home.join("foreign")).unwrap();
        fs::create_dir(home.join("foreign/below")).unwrap();
        chown(home.join("foreign/below"), Some(NOBODY), Some(NOBODY)).unwrap();
        write(home.join("foreign/file"), b"old", 1);
        fs::create_dir(home.join("closed")).unwrap();
        fs::set_permissions(home.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        // It may be passed, but not listed.
        fs::create_dir_all(home.join("passed/mine")).unwrap();
        fs::set_permissions(home.join("passed"), fs::Permissions::from_mode(0o711)).unwrap();
        chown(home.join("passed/mine"), Some(NOBODY), Some(NOBODY)).unwrap();
    });
}

#[test]
#[ignore = "run by directories_of_others"]
fn directories_of_others_as_user() {
    let target = home();
    let tree = [
        directory(
            "foreign",
            vec![
                file("file", b"newer", 2),
                file("new", b"new", 2),
                directory("below", vec![file("file", b"new", 2)]),
                directory("not made", vec![file("file", b"new", 2)]),
            ],
        ),
        directory("closed", vec![file("file", b"new", 2)]),
        directory("passed", vec![directory("mine", vec![file("file", b"new", 2)])]),
        file("last", b"new", 2),
    ];
    let report = put(&target, &tree, safe());
    let path = |name: &str| target.join(name).display().to_string();
    let denied = "Permission denied (os error 13)";
    let not_ours = "Operation not permitted (os error 1)";
    let expected = [
        format!("cannot make {}: {denied}", path("foreign/file")),
        format!("cannot make {}: {denied}", path("foreign/new")),
        format!("cannot put the directory {}: {denied}", path("foreign/not made")),
        format!("cannot set the time of {}: {not_ours}", path("foreign")),
        format!("cannot put {}: {denied}", path("closed/file")),
        format!("cannot set the permissions of {}: {not_ours}", path("closed")),
        format!("cannot set the time of {}: {not_ours}", path("closed")),
        format!("cannot set the permissions of {}: {not_ours}", path("passed")),
        format!("cannot set the time of {}: {not_ours}", path("passed")),
    ];
    assert_eq!(problems(&report), expected);
    assert_eq!(report.unreachable, 1);
    assert_eq!(fs::read(target.join("foreign/file")).unwrap(), b"old");
    for name in ["foreign/below/file", "passed/mine/file", "last"] {
        assert_eq!(fs::read(target.join(name)).unwrap(), b"new", "{name}");
    }
    assert_eq!(report.files, 3);
}

#[test]
fn what_only_root_may_do() {
    as_user("what_only_root_may_do_as_user", |_| {});
}

#[test]
#[ignore = "run by what_only_root_may_do"]
fn what_only_root_may_do_as_user() {
    let target = home();
    let mut marked = file("marked", b"x", 1);
    for name in ["trusted.test", "user.test"] {
        let value = b"value".to_vec();
        marked.entry.metadata.attributes.push(Attribute { name: name.into(), value });
    }
    let device = rustix::fs::makedev(1, 3);
    let tree = [marked, other("device", Kind::CharacterDevice { device })];
    let report = put(&target, &tree, options());
    let problems = problems(&report);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("trusted.test"), "{problems:?}");
    assert!(problems[1].ends_with("device: Operation not permitted (os error 1)"), "{problems:?}");
    assert_eq!((report.files, report.others), (1, 0));
    assert_eq!(crate::tree::names(&target), ["marked"]);
}

/// What cannot be read cannot be compared, but its metadata can be corrected.
#[test]
fn files_without_permissions() {
    as_user("files_without_permissions_as_user", |_| {});
}

#[test]
#[ignore = "run by files_without_permissions"]
fn files_without_permissions_as_user() {
    let target = home();
    let inode = |name| fs::metadata(target.join(name)).unwrap().ino();
    for (overwrite, stays) in [(Overwrite::Always, false), (Overwrite::IfChanged, true)] {
        let path = target.join("file");
        let _ = fs::remove_file(&path);
        write(path.clone(), b"content", 1);
        let mut node = with_permissions(file("file", b"content", 1), 0o640);
        let value = b"value".to_vec();
        node.entry.metadata.attributes.push(Attribute { name: "user.test".into(), value });
        fs::set_permissions(&path, fs::Permissions::from_mode(0o200)).unwrap();
        let before = inode("file");
        let report = put_well(&target, &[node.clone()], PutOptions { overwrite, ..safe() });
        assert_eq!(inode("file") == before, stays);
        assert_eq!(report.unchanged, u64::from(stays));
        assert_eq!(mode(&path), 0o640);
        let made = crate::tree::read_entry(&path).metadata.attributes;
        assert_eq!(made, node.entry.metadata.attributes);
    }
}
