//! What may not be read. To root everything is readable, so root runs these tests once more as nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_files::{ExcludeOptions, Excludes, WalkItem, WalkOptions};
use rustix::fs::{XattrFlags, lsetxattr};

use crate::common::{Scratch, lines, walk};

/// Where the tree is that the same test, as nobody, is to look at.
const TREE: &str = "LIFEBOAT_TEST_TREE";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs `look` on the tree as somebody to whom not all is readable. `test` is the calling test's name.
fn as_nobody(test: &str, make: impl FnOnce(&Scratch), look: impl FnOnce(&Path)) {
    if let Some(tree) = std::env::var_os(TREE) {
        return look(Path::new(&tree));
    }
    let scratch = Scratch::new();
    make(&scratch);
    if rustix::process::geteuid().is_root() {
        run_again(test, &scratch);
    } else {
        look(&scratch.path("tree"));
    }
    for path in ["tree/closed", "tree/listed-only"].map(|name| scratch.path(name)) {
        if path.exists() {
            mode(&path, 0o755);
        }
    }
}

fn run_again(test: &str, scratch: &Scratch) {
    mode(scratch.root(), 0o755);
    // Where the program is, nobody may not be able to go.
    let program: PathBuf = scratch.path("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    mode(&program, 0o755);
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", test, "--nocapture"])
        .env(TREE, scratch.path("tree"))
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_directory_that_cannot_be_read_is_a_problem_and_empty() {
    as_nobody(
        "unreadable::a_directory_that_cannot_be_read_is_a_problem_and_empty",
        |scratch| {
            scratch.write("tree/a", "");
            scratch.write("tree/closed/file", "");
            scratch.write("tree/z", "");
            mode(&scratch.path("tree/closed"), 0o311);
        },
        |tree| {
            let found = lines(walk(tree, WalkOptions::default()), tree);
            let expected = ["a", "closed/", "!closed open: Permission denied (os error 13)", "z"];
            assert_eq!(found, expected);
        },
    );
}

#[test]
fn a_directory_that_can_only_be_listed_is_a_problem_for_each_name() {
    as_nobody(
        "unreadable::a_directory_that_can_only_be_listed_is_a_problem_for_each_name",
        |scratch| {
            scratch.write("tree/listed-only/file", "");
            scratch.write("tree/listed-only/other", "");
            mode(&scratch.path("tree/listed-only"), 0o444);
        },
        |tree| {
            let found = lines(walk(tree, WalkOptions::default()), tree);
            let expected = [
                "listed-only/",
                "!listed-only/file look at: Permission denied (os error 13)",
                "!listed-only/other look at: Permission denied (os error 13)",
            ];
            assert_eq!(found, expected);
        },
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_when_it_is_opened() {
    as_nobody(
        "unreadable::a_file_that_cannot_be_read_is_a_problem_when_it_is_opened",
        |scratch| {
            let path = scratch.write("tree/file", "secret");
            mode(&path, 0o000);
        },
        |tree| {
            let file = walk(tree, WalkOptions::default()).find_map(|item| match item {
                WalkItem::File(file) => Some(file),
                _ => None,
            });
            let problem = file.unwrap().open().unwrap_err();
            assert_eq!((problem.path, problem.operation), (tree.join("file"), "open"));
            assert_eq!(problem.source.kind(), std::io::ErrorKind::PermissionDenied);
        },
    );
}

#[test]
fn an_attribute_that_cannot_be_read_is_a_problem_that_names_it() {
    as_nobody(
        "unreadable::an_attribute_that_cannot_be_read_is_a_problem_that_names_it",
        |scratch| {
            let path = scratch.write("tree/file", "");
            lsetxattr(&path, "user.comment", b"secret", XattrFlags::empty()).unwrap();
            mode(&path, 0o000);
        },
        |tree| {
            let items: Vec<_> = walk(&tree.join("file"), WalkOptions::default()).collect();
            let [.., WalkItem::File(file), WalkItem::Problem(problem)] =
                &items[..items.len() - tree.components().count() + 1]
            else {
                panic!("{items:?}");
            };
            assert_eq!(file.entry.metadata.attributes, []);
            assert_eq!(problem.path, tree.join("file"));
            assert_eq!(problem.operation, "read an extended attribute of");
            assert_eq!(problem.source.to_string(), "user.comment");
            assert_eq!(problem.source.kind(), std::io::ErrorKind::PermissionDenied);
        },
    );
}

#[test]
fn a_directory_that_one_can_only_go_through_leads_to_named_paths() {
    as_nobody(
        "unreadable::a_directory_that_one_can_only_go_through_leads_to_named_paths",
        |scratch| {
            scratch.write("tree/closed/file", "");
            mode(&scratch.path("tree/closed"), 0o311);
        },
        |tree| {
            let found = lines(walk(&tree.join("closed/file"), WalkOptions::default()), tree);
            assert_eq!(found, ["closed/", "closed/file"]);
        },
    );
}

#[test]
fn what_is_there_and_cannot_be_read_for_it_was_not_there_has_not_vanished() {
    // Of a process that has ended and was not waited for, these links are listed and lead nowhere.
    let mut child = Command::new("true").spawn().unwrap();
    let process = Path::new("/proc").join(child.id().to_string());
    while !fs::read_to_string(process.join("stat")).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    let patterns = ["*", "!exe"].map(str::to_owned).to_vec();
    let excludes =
        Excludes::new(&ExcludeOptions { patterns, ..ExcludeOptions::default() }).unwrap();
    let options = WalkOptions { excludes, ..WalkOptions::default() };
    let mut found = lines(walk(&process, options), &process);
    child.wait().unwrap();
    found.retain(|line| !line.starts_with('-'));
    assert_eq!(found, ["!exe read: No such file or directory (os error 2)"]);
}
