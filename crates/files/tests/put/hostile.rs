//! A backup or a user that wants files to be written elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink as make_symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};

use lifeboat_files::{Kind, Outcome, Overwrite, Put, PutOptions};

use crate::tree::{
    Node, assert_well, directory, file, fill, fill_as, names, options, other, problems, put_file,
    read, safe, scratch, symlink, write,
};

#[test]
fn names_that_are_none() {
    let scratch = scratch();
    let (target, inner) = (scratch.path().join("target"), scratch.path().join("target/inner"));
    write(scratch.path().join("beside"), b"stays", 1);
    let before = read(scratch.path());
    let absolute = scratch.path().join("beside").into_os_string();
    let refused: [&[u8]; 9] =
        [b"", b".", b"..", b"../beside", b"a/b", b"/", b"inner/", b"a\0b", absolute.as_bytes()];
    let nodes = [
        file("x", b"x", 1),
        symlink("x", "y"),
        directory("x", vec![file("below", b"x", 1), directory("deep", vec![symlink("y", "z")])]),
    ];
    for refused in refused {
        let mut put = Put::open(&target, safe()).unwrap();
        let inner_node = directory("inner", vec![]);
        put.enter("inner".as_ref(), &inner_node.entry);
        for node in &nodes {
            let outcome = fill_as(&mut put, OsStr::from_bytes(refused), node);
            assert_eq!(outcome, Outcome::Failed, "{refused:?}");
        }
        // What comes after is put where it belongs.
        let last = file("last", b"x", 1);
        assert_ne!(fill_as(&mut put, "last".as_ref(), &last), Outcome::Failed);
        put.leave();
        let report = put.finish();
        let expected =
            format!("cannot put {}/{}", inner.display(), OsStr::from_bytes(refused).display());
        let problems = problems(&report);
        assert_eq!((problems.len(), report.unreachable), (3, 3), "{problems:?}");
        assert!(problems.iter().all(|problem| problem.starts_with(&expected)), "{problems:?}");
        assert_eq!((report.files, report.directories, report.others), (1, 1, 0));
        assert_eq!(names(&target), ["inner", "inner/last"]);
    }
    fs::remove_dir_all(target).unwrap();
    assert_eq!(read(scratch.path()), before);
}

/// The classic of archives: a link first, then something that goes through it.
#[test]
fn two_entries_of_one_name() {
    let outside = scratch();
    let link = symlink("name", outside.path().to_str().unwrap());
    let below = directory("name", vec![file("file", b"x", 1)]);
    let a_file = file("name", b"x", 1);
    for overwrite in [Overwrite::Always, Overwrite::IfChanged, Overwrite::Never] {
        for second in [&below, &a_file, &link] {
            let scratch = scratch();
            let options = PutOptions { overwrite, ..options() };
            let mut put = Put::open(scratch.path(), options).unwrap();
            assert_eq!(fill_as(&mut put, "name".as_ref(), &link), Outcome::Created);
            assert_eq!(fill_as(&mut put, "name".as_ref(), second), Outcome::Failed);
            let report = put.finish();
            assert_eq!(problems(&report).len(), 1);
            assert_eq!(names(outside.path()), [""; 0]);
            assert_eq!(names(scratch.path()), ["name"]);
        }
    }
    // A directory may be entered again: that is how a caller puts two trees.
    let scratch = scratch();
    let mut put = Put::open(scratch.path(), options()).unwrap();
    fill(&mut put, &[below, directory("name", vec![file("other", b"x", 1)])]);
    assert_well(&put.finish());
    assert_eq!(names(scratch.path()), ["name", "name/file", "name/other"]);
}

#[test]
fn entries_of_another_kind() {
    let scratch = scratch();
    let mut put = Put::open(scratch.path(), options()).unwrap();
    let (a_file, a_directory) = (file("x", b"x", 1), directory("x", vec![]));
    assert_eq!(put.other("x".as_ref(), &a_file.entry), Outcome::Failed);
    assert_eq!(put.other("x".as_ref(), &a_directory.entry), Outcome::Failed);
    assert_eq!(put_file(&mut put, "x".as_ref(), &a_directory), Outcome::Failed);
    assert_eq!(put_file(&mut put, "x".as_ref(), &other("x", Kind::Fifo)), Outcome::Failed);
    assert_eq!(put.enter("x".as_ref(), &a_file.entry), Outcome::Failed);
    put.leave();
    // One more than was entered.
    put.leave();
    let report = put.finish();
    assert_eq!(problems(&report).len(), 6);
    assert_eq!(names(scratch.path()), [""; 0]);
}

/// Directories of which the upper ones are not held open: when they are opened again, a link in
/// their place is not followed.
#[test]
fn a_link_in_place_of_a_directory_that_is_left() {
    let scratch = scratch();
    let outside = crate::tree::scratch();
    let (target, depth) = (scratch.path(), 100);
    let there = outside.path().join("d");
    fs::create_dir_all((0..depth).fold(there, |path, _| path.join("d"))).unwrap();
    let before = read(outside.path());
    let level = directory("d", vec![]);
    let mut put = Put::open(target, options()).unwrap();
    for _ in 0..depth {
        assert_eq!(put.enter("d".as_ref(), &level.entry), Outcome::Created);
    }
    fs::rename(target.join("d"), target.join("moved")).unwrap();
    make_symlink(outside.path().join("d"), target.join("d")).unwrap();
    let mut failed = 0;
    for _ in 1..depth {
        put.leave();
        let outcome = fill_as(&mut put, "file".as_ref(), &file("file", b"x", 1));
        failed += u64::from(outcome == Outcome::Failed);
    }
    assert!(failed > 50, "{failed}");
    let report = put.finish();
    assert!(report.problem_count >= failed);
    assert_eq!(read(outside.path()), before);
    let written = names(&target.join("moved")).iter().filter(|name| name.ends_with("file")).count();
    assert_eq!(written as u64, report.files, "those that were open were filled");
}

/// Another directory in place of one that is left is not it either.
#[test]
fn another_directory_in_place_of_one() {
    let scratch = scratch();
    let target = scratch.path();
    let level = directory("d", vec![]);
    let mut put = Put::open(target, options()).unwrap();
    for _ in 0..100 {
        put.enter("d".as_ref(), &level.entry);
    }
    fs::rename(target.join("d"), target.join("moved")).unwrap();
    fs::create_dir(target.join("d")).unwrap();
    for _ in 1..100 {
        put.leave();
    }
    assert_eq!(fill_as(&mut put, "file".as_ref(), &file("file", b"x", 1)), Outcome::Failed);
    let report = put.finish();
    let why = "the directory was exchanged for another while in use";
    assert!(report.problems.iter().any(|problem| problem.source.to_string() == why));
    assert_eq!(names(&target.join("d")), [""; 0]);
}

/// Someone exchanges a directory for a link to elsewhere, and back, all the time.
#[test]
fn a_race() {
    let outside = scratch();
    write(outside.path().join("file"), b"outside", 1);
    let before = read(outside.path());
    let directory_before = crate::tree::read_entry(outside.path());
    let tree = [directory(
        "d",
        vec![
            file("file", b"inside!", 5),
            directory("e", vec![file("deep", b"inside", 5)]),
            symlink("link", "x"),
        ],
    )];
    for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
        let scratch = scratch();
        let target = scratch.path();
        let ended = AtomicBool::new(false);
        let (mut files, mut problems) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    exchange(target, outside.path());
                }
            });
            // Until both have been first often enough; how often is up to the machine.
            for number in 0..3000 {
                if files > 300 && problems > 100 {
                    break;
                }
                let safety = Some(format!("before{number}").into());
                let options = PutOptions { overwrite, safety, ..options() };
                let mut put = Put::open(target, options).unwrap();
                fill(&mut put, &tree);
                put.remove_extras(|name| name == "nothing");
                let report = put.finish();
                files += report.files;
                problems += report.problem_count;
            }
            ended.store(true, Ordering::Relaxed);
        });
        assert_eq!(read(outside.path()), before, "{overwrite:?}");
        assert_eq!(crate::tree::read_entry(outside.path()), directory_before, "{overwrite:?}");
    }
}

/// Exchanges the directory for a link to elsewhere, or back, with nothing in between.
fn exchange(target: &Path, outside: &Path) {
    let (directory, link) = (target.join("d"), target.join("link"));
    if !directory.is_symlink() && !link.is_symlink() {
        // The restore has moved it aside.
        let _ = fs::remove_dir_all(&link);
        let _ = make_symlink(outside, &link);
    }
    let flags = RenameFlags::EXCHANGE;
    let _ = rustix::fs::renameat_with(CWD, &directory, CWD, &link, flags);
}

/// Many problems: all are counted, the first hundred are kept.
#[test]
fn many_problems() {
    let scratch = scratch();
    let nodes: Vec<Node> = (0..150).map(|_| file("x", b"x", 1)).collect();
    let mut put = Put::open(scratch.path(), options()).unwrap();
    for node in &nodes {
        fill_as(&mut put, "..".as_ref(), node);
    }
    assert_eq!(put.report().problem_count, 150);
    let report = put.finish();
    assert_eq!((report.problem_count, report.problems.len()), (150, 100));
}
