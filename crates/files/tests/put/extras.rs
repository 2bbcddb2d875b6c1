//! Taking away what is not in the backup.

use std::fs;

use lifeboat_files::{Put, PutOptions};

use crate::tree::{
    assert_well, directory, file, fill, fill_as, names, options, problems, safe, scratch, write,
};

fn prepare(target: &std::path::Path) {
    fs::create_dir_all(target.join("kept/deep/deeper")).unwrap();
    fs::create_dir_all(target.join("kept/.keep")).unwrap();
    write(target.join("kept/file"), b"old", 1);
    write(target.join("kept/extra"), b"old", 1);
    write(target.join("kept/deep/deeper/file"), b"old", 1);
    std::os::unix::fs::symlink("/", target.join("kept/link")).unwrap();
    write(target.join("beside"), b"old", 1);
}

fn restore(target: &std::path::Path, options: PutOptions) -> lifeboat_files::PutReport {
    let mut put = Put::open(target, options).unwrap();
    let node = directory("kept", vec![file("file", b"new", 2), file("new", b"new", 2)]);
    put.enter("kept".as_ref(), &node.entry);
    fill(&mut put, &node.children);
    put.remove_extras(|name| name != ".keep");
    put.leave();
    put.finish()
}

#[test]
fn they_are_moved_aside() {
    let scratch = scratch();
    prepare(scratch.path());
    let report = restore(scratch.path(), safe());
    assert_well(&report);
    assert_eq!((report.removed, report.moved_aside, report.replaced), (3, 4, 1));
    let expected = [
        "before",
        "before/kept",
        "before/kept/deep",
        "before/kept/deep/deeper",
        "before/kept/deep/deeper/file",
        "before/kept/extra",
        "before/kept/file",
        "before/kept/link",
        "beside",
        "kept",
        "kept/.keep",
        "kept/file",
        "kept/new",
    ];
    assert_eq!(names(scratch.path()), expected);
}

#[test]
fn they_are_removed() {
    let scratch = scratch();
    prepare(scratch.path());
    let report = restore(scratch.path(), options());
    assert_well(&report);
    assert_eq!((report.removed, report.moved_aside), (3, 0));
    assert_eq!(names(scratch.path()), ["beside", "kept", "kept/.keep", "kept/file", "kept/new"]);
}

/// What is in the backup and could not be put is no reason to take away what is there.
#[test]
fn what_failed_is_not_extra() {
    let scratch = scratch();
    fs::create_dir_all(scratch.path().join("full/below")).unwrap();
    let mut put = Put::open(scratch.path(), options()).unwrap();
    fill_as(&mut put, "full".as_ref(), &file("full", b"new", 1));
    put.remove_extras(|_| true);
    let report = put.finish();
    assert_eq!((problems(&report).len(), report.removed), (1, 0));
    assert_eq!(names(scratch.path()), ["full", "full/below"]);
}

/// The safe place of this restore is not in the backup and stays.
#[test]
fn the_safe_place_stays() {
    let scratch = scratch();
    write(scratch.path().join("file"), b"old", 1);
    let mut put = Put::open(scratch.path(), safe()).unwrap();
    fill_as(&mut put, "file".as_ref(), &file("file", b"newer", 1));
    put.remove_extras(|_| true);
    let report = put.finish();
    assert_well(&report);
    assert_eq!(report.removed, 0);
    assert_eq!(names(scratch.path()), ["before", "before/file", "file"]);
}
