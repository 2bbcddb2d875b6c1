//! Every step of a restore over other files fails, or is the last one: nothing that was there is
//! lost, and what is not put is told.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_files::{Attribute, Durability, Kind, PutOptions};

use crate::tree::{
    Node, comparable, directory, file, is_root, names, other, put, read, scratch, skip, symlink,
    write,
};

const DIRECTORY: &str = "LIFEBOAT_TEST_DIRECTORY";
const SIGKILL: i32 = 9;

/// The calls that change something. The test harness makes none of them.
const STEPS: [&str; 14] = [
    "renameat",
    "renameat2",
    "linkat",
    "mkdirat",
    "symlinkat",
    "mknodat",
    "unlinkat",
    "pwrite64",
    "ftruncate",
    "fchown",
    "fchmod",
    "fsetxattr",
    "utimensat",
    "fsync",
];

/// Whether strace is here and may trace.
fn can_trace() -> bool {
    let trace = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    let traces = trace.is_ok_and(|output| output.status.success());
    let required = std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_some();
    assert!(traces || !required, "strace is missing, or may not trace here");
    let works = traces && is_root();
    if !works {
        skip("strace may not trace here, or is missing");
    }
    works
}

fn prepare(target: &Path) {
    fs::create_dir_all(target.join("a/is-directory")).unwrap();
    write(target.join("a/file"), b"old file", 1);
    write(target.join("a/is-directory/below"), b"old below", 1);
    write(target.join("a/same"), b"same", 1);
    write(target.join("is-file"), b"old is-file", 1);
    write(target.join("link"), b"old link", 1);
    write(target.join("name"), b"old name", 1);
}

fn tree() -> Vec<Node> {
    let with = |mut node: Node, inode| {
        (node.entry.metadata.inode, node.entry.metadata.links) = (inode, 2);
        node
    };
    let mut marked = file("file", &[1; 5000], 2);
    let value = b"value".to_vec();
    marked.entry.metadata.attributes = vec![Attribute { name: "user.test".into(), value }];
    (marked.entry.metadata.user_id, marked.entry.metadata.permissions) = (12_345, 0o4711);
    let mut same = file("same", b"same", 2);
    same.entry.metadata.permissions = 0o600;
    let inner =
        vec![marked, file("is-directory", b"new", 2), same, with(file("one", b"new", 2), 7)];
    vec![
        directory("a", inner),
        directory("is-file", vec![file("below", b"new", 2)]),
        symlink("link", "there"),
        with(file("name", b"new", 2), 7),
        other("pipe", Kind::Fifo),
    ]
}

#[test]
#[ignore = "run by an_error_at_every_step and killed_at_every_step"]
fn restore_as_child() {
    let home = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let options = PutOptions {
        safety: Some("before".into()),
        durability: Durability::EachFile,
        ..PutOptions::default()
    };
    let report = put(&home.join("target"), &tree(), options);
    let told = report.problem_count + report.separated;
    fs::write(home.join("problems"), told.to_string()).unwrap();
}

/// A restore into `target` in which the step for the n-th time does not go well. Returns the number
/// of problems, `None` if it was killed; and whether it came to that step at all.
fn restore(home: &Path, step: &str, number: usize, fault: &str) -> (Option<u64>, bool) {
    let log = home.join("log");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={step}")])
        .args(["-e", &format!("inject={step}:{fault}:when={number}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "faults::restore_as_child", "--ignored"])
        .env(DIRECTORY, home)
        .output()
        .unwrap();
    // strace ends as its child did.
    let status = output.status;
    if status.signal() == Some(SIGKILL) || status.code() == Some(128 + SIGKILL) {
        return (None, true);
    }
    assert!(status.success(), "{step} {number}: {output:?}");
    let problems = fs::read_to_string(home.join("problems")).unwrap().parse().unwrap();
    (Some(problems), fs::read_to_string(log).unwrap().contains("(INJECTED)"))
}

/// What is in the files below a directory.
fn contents(directory: &Path) -> BTreeSet<Vec<u8>> {
    fn collect(nodes: &[Node], contents: &mut BTreeSet<Vec<u8>>) {
        for node in nodes {
            contents.insert(node.content.clone());
            collect(&node.children, contents);
        }
    }
    let mut all = BTreeSet::new();
    collect(&read(directory), &mut all);
    all
}

/// What is in the target, but for what was moved aside.
fn restored(target: &Path) -> Vec<Node> {
    let nodes = read(target).into_iter();
    let nodes: Vec<_> = nodes.filter(|node| node.entry.path != target.join("before")).collect();
    comparable(&nodes)
}

/// Runs a restore for every step that there is, each with a fault, and looks at what is there then.
fn at_every_step(fault: &str, check: impl Fn(&Path, &[Node], Option<u64>, &str)) {
    if !can_trace() {
        return;
    }
    let clean = scratch();
    prepare(&clean.path().join("target"));
    assert_eq!(restore(clean.path(), "fsync", 60_000, fault), (Some(0), false));
    let expected = restored(&clean.path().join("target"));
    let mut faults = 0;
    for step in STEPS {
        for number in 1.. {
            let what = format!("{fault} at {step} {number}");
            let home = scratch();
            let target = home.path().join("target");
            prepare(&target);
            let before = names(&target);
            let (problems, happened) = restore(home.path(), step, number, fault);
            if !happened {
                break;
            }
            let left = contents(&target);
            for old in ["file", "below", "is-file", "link", "name"] {
                assert!(left.contains(format!("old {old}").as_bytes()), "{what}: {old} is lost");
            }
            check(&target, &expected, problems, &what);
            if problems.is_some() {
                let after = names(&target);
                let is_there =
                    |name: &String| after.contains(name) || name == "a/is-directory/below";
                assert!(before.iter().all(is_there), "{what}: {after:?}");
                let temporary = after.iter().any(|name| name.ends_with(".tmp"));
                assert!(!temporary || step == "unlinkat", "{what}: {after:?}");
            }
            faults += 1;
        }
    }
    assert!(faults > 40, "{faults}");
}

#[test]
fn an_error_at_every_step() {
    at_every_step("error=EIO", |target, expected, problems, what| {
        let complete = restored(target) == expected;
        assert!(complete || problems != Some(0), "{what}: not told");
        assert!(!what.contains("fsync") || problems == Some(1), "{what}: {problems:?} are told");
    });
}

#[test]
fn killed_at_every_step() {
    at_every_step("signal=KILL", |target, expected, problems, what| {
        assert_eq!(problems, None, "{what}");
        // It is restored once more, as whoever ran it would do.
        let options = PutOptions { safety: Some("before".into()), ..crate::tree::options() };
        let report = put(target, &tree(), options);
        assert_eq!(report.problem_count, 0, "{what}: {:?}", report.problems);
        let temporary = |node: &Node| node.entry.path.to_string_lossy().ends_with(".tmp");
        remove(target, &temporary);
        assert!(restored(target) == expected, "{what}");
        for old in ["file", "below", "is-file", "link", "name"] {
            let old = format!("old {old}");
            assert!(contents(target).contains(old.as_bytes()), "{what}: {old} is lost");
        }
    });
}

/// Removes what a killed process left, and sets the times of the directories that it was in.
fn remove(directory: &Path, unwanted: &dyn Fn(&Node) -> bool) {
    for node in read(directory) {
        if unwanted(&node) {
            let is_directory = node.entry.kind == Kind::Directory;
            let path = &node.entry.path;
            let removed = if is_directory { fs::remove_dir(path) } else { fs::remove_file(path) };
            removed.unwrap();
        } else if node.entry.kind == Kind::Directory {
            remove(&node.entry.path, unwanted);
            let (seconds, nanoseconds) =
                (node.entry.metadata.modified.seconds, node.entry.metadata.modified.nanoseconds);
            let time = std::time::Duration::new(seconds.try_into().unwrap(), nanoseconds);
            let open = fs::File::open(&node.entry.path).unwrap();
            open.set_modified(std::time::UNIX_EPOCH + time).unwrap();
        }
    }
}
