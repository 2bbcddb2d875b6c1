//! A dry run tells what would be, and touches nothing.

use std::fs;

use lifeboat_files::{Overwrite, PutOptions};

use crate::tree::{Node, directory, file, names, put, read, safe, scratch, symlink, write};

fn tree() -> Vec<Node> {
    let mut linked = [file("link1", b"linked", 2), file("link2", b"linked", 2)];
    for node in &mut linked {
        (node.entry.metadata.inode, node.entry.metadata.links) = (7, 2);
    }
    let [first, second] = linked;
    vec![
        directory("a", vec![file("same", b"same", 1), file("other", b"new", 2), first]),
        directory("is-file", vec![directory("b", vec![file("below", b"new", 2)]), second]),
        file("is-directory", b"new", 2),
        symlink("link", "there"),
        directory("new", vec![file("file", b"new", 2)]),
        file("", b"refused", 2),
    ]
}

fn prepare(target: &std::path::Path) {
    fs::create_dir_all(target.join("a")).unwrap();
    fs::create_dir_all(target.join("is-directory/below")).unwrap();
    write(target.join("a/same"), b"same", 5);
    write(target.join("a/other"), b"old", 5);
    write(target.join("a/extra"), b"old", 5);
    write(target.join("is-file"), b"old", 5);
    std::os::unix::fs::symlink("elsewhere", target.join("link")).unwrap();
}

#[test]
fn it_says_what_would_be() {
    let all = [Overwrite::Always, Overwrite::IfChanged, Overwrite::IfNewer, Overwrite::Never];
    for overwrite in all {
        let scratch = scratch();
        prepare(scratch.path());
        let before = read(scratch.path());
        let dry = put_all(scratch.path(), PutOptions { overwrite, dry_run: true, ..safe() });
        assert!(read(scratch.path()) == before, "{overwrite:?}");
        let real = put_all(scratch.path(), PutOptions { overwrite, ..safe() });
        assert_eq!(dry, real, "{overwrite:?}");
    }
}

/// Everything in the report but where things were moved to.
fn put_all(target: &std::path::Path, options: PutOptions) -> String {
    let mut put = lifeboat_files::Put::open(target, options).unwrap();
    for node in tree() {
        let name = node.entry.path.file_name().unwrap_or_default();
        let name = if node.content == b"refused" { "".as_ref() } else { name };
        if name == "a" {
            put.enter(name, &node.entry);
            crate::tree::fill(&mut put, &node.children);
            put.remove_extras(|_| true);
            put.leave();
        } else {
            crate::tree::fill_as(&mut put, name, &node);
        }
    }
    let mut report = put.finish();
    assert!(report.problem_count > 0);
    report.moved_to.clear();
    format!("{report:#?}")
}

#[test]
fn a_target_that_does_not_exist() {
    let scratch = scratch();
    let target = scratch.path().join("not/there");
    let tree = [directory("a", vec![file("file", b"12345", 1)]), symlink("link", "there")];
    let report = put(&target, &tree, PutOptions { dry_run: true, ..safe() });
    crate::tree::assert_well(&report);
    assert_eq!((report.files, report.directories, report.others), (1, 1, 1));
    assert_eq!(report.written_bytes, 5);
    assert_eq!(names(scratch.path()), [""; 0]);
}
