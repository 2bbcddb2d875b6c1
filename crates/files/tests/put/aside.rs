//! Replaced files are moved, not lost.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use lifeboat_files::{Outcome, Put, PutOptions};

use crate::tree::{
    assert_well, directory, file, fill_as, names, options, problems, put, put_well, safe, scratch,
    write,
};

#[test]
fn everything_that_is_replaced() {
    let scratch = scratch();
    let target = scratch.path();
    fs::create_dir_all(target.join("a/b/is-directory")).unwrap();
    write(target.join("a/b/file"), b"old", 1);
    write(target.join("a/b/stays"), b"old", 1);
    write(target.join("a/b/is-directory/below"), b"old below", 1);
    write(target.join("is-file"), b"old file", 1);
    symlink("nowhere", target.join("a/link")).unwrap();
    let file_before = fs::metadata(target.join("a/b/file")).unwrap();
    let tree = [
        directory(
            "a",
            vec![
                directory("b", vec![file("file", b"new", 2), file("is-directory", b"new", 2)]),
                file("link", b"new", 2),
            ],
        ),
        directory("is-file", vec![file("below", b"new", 2)]),
    ];
    let report = put_well(target, &tree, safe());
    assert_eq!((report.moved_aside, report.replaced), (4, 4));
    assert_eq!(report.moved_to, [target.join("before")]);
    for path in ["a/b/file", "a/b/is-directory", "a/link", "is-file/below"] {
        assert_eq!(fs::read(target.join(path)).unwrap(), b"new", "{path}");
    }
    assert_eq!(fs::read(target.join("a/b/stays")).unwrap(), b"old");

    let before = target.join("before");
    let expected =
        ["a", "a/b", "a/b/file", "a/b/is-directory", "a/b/is-directory/below", "a/link", "is-file"];
    assert_eq!(names(&before), expected);
    assert_eq!(fs::read(before.join("a/b/is-directory/below")).unwrap(), b"old below");
    assert_eq!(fs::read(before.join("is-file")).unwrap(), b"old file");
    assert_eq!(fs::read_link(before.join("a/link")).unwrap().to_str(), Some("nowhere"));
    let file_after = fs::metadata(before.join("a/b/file")).unwrap();
    assert_eq!(file_after.ino(), file_before.ino(), "the file itself, not a copy");
    assert_eq!((file_after.mtime(), file_after.nlink()), (1, 1));
    for path in ["", "a", "a/b"] {
        let mode = fs::metadata(before.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "for nobody else to look into: {path}");
    }
}

#[test]
fn it_is_made_when_it_is_needed() {
    let scratch = scratch();
    let tree = [file("file", b"new", 2)];
    let report = put_well(scratch.path(), &tree, safe());
    assert_eq!(report.moved_to.len(), 0);
    put_well(scratch.path(), &tree, safe());
    assert_eq!(names(scratch.path()), ["file"]);
}

/// Two restores with the same name for it keep both.
#[test]
fn the_same_path_twice() {
    let scratch = scratch();
    for content in ["one", "two22", "three", "four"] {
        put_well(scratch.path(), &[file("file", content.as_bytes(), 1)], safe());
    }
    let expected = ["before", "before/file", "before/file~2", "before/file~3", "file"];
    assert_eq!(names(scratch.path()), expected);
    assert_eq!(fs::read(scratch.path().join("before/file")).unwrap(), b"one");
    assert_eq!(fs::read(scratch.path().join("before/file~3")).unwrap(), b"three");

    let long = "x".repeat(255);
    for content in ["1", "22", "333"] {
        put_well(scratch.path(), &[file(&long, content.as_bytes(), 1)], safe());
    }
    let other = format!("{}~2", &long[..250]);
    assert_eq!(fs::read(scratch.path().join("before").join(&long)).unwrap(), b"1");
    assert_eq!(fs::read(scratch.path().join("before").join(other)).unwrap(), b"22");
}

/// Whoever made it beforehand could read what is moved there, or have it go elsewhere.
#[test]
fn a_directory_that_others_prepared() {
    let outside = scratch();
    let cases: [&dyn Fn(&std::path::Path); 3] = [
        &|path| symlink(outside.path(), path).unwrap(),
        &|path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        },
        &|path| fs::write(path, "a file").unwrap(),
    ];
    for prepare in cases {
        let scratch = scratch();
        let target = scratch.path();
        prepare(&target.join("before"));
        write(target.join("file"), b"old", 1);
        let report = put(target, &[file("file", b"newer", 2)], safe());
        assert_eq!(problems(&report).len(), 1);
        assert_eq!((report.files, report.moved_aside), (0, 0));
        assert_eq!(fs::read(target.join("file")).unwrap(), b"old", "it stays");
        assert_eq!(names(target), ["before", "file"], "no temporary file either");
    }
    assert_eq!(names(outside.path()), [""; 0]);
}

#[test]
fn without_a_safe_place() {
    let scratch = scratch();
    let target = scratch.path();
    write(target.join("file"), b"old", 1);
    write(target.join("other"), b"old", 1);
    fs::create_dir(target.join("empty")).unwrap();
    fs::create_dir_all(target.join("full/below")).unwrap();
    let tree = [
        file("file", b"newer", 2),
        directory("other", vec![]),
        file("empty", b"new", 2),
        file("full", b"new", 2),
    ];
    let report = put(target, &tree, options());
    let full = target.join("full");
    let expected = format!("cannot put {}: Directory not empty (os error 39)", full.display());
    assert_eq!(problems(&report), [expected]);
    assert_eq!((report.replaced, report.moved_aside), (3, 0));
    assert_eq!(names(target), ["empty", "file", "full", "full/below", "other"]);
    assert_eq!(fs::read(target.join("file")).unwrap(), b"newer");
}

#[test]
fn a_name_that_is_none() {
    let scratch = scratch();
    for name in ["", "..", "a/b", "/etc"] {
        let options = PutOptions { safety: Some(name.into()), ..options() };
        assert!(Put::open(scratch.path(), options).is_err(), "{name}");
    }
}

/// The backup may hold one of an earlier restore; it must not get in the way of this one's.
#[test]
fn an_entry_of_the_same_name() {
    let scratch = scratch();
    let mut put = Put::open(scratch.path(), safe()).unwrap();
    let tree = directory("before", vec![file("file", b"x", 1)]);
    assert_eq!(fill_as(&mut put, "before".as_ref(), &tree), Outcome::Failed);
    let report = put.finish();
    assert_eq!((report.problem_count, report.unreachable), (1, 1));
    let tree = [directory("before-it", vec![])];
    assert_well(&crate::tree::put(scratch.path(), &tree, safe()));
}
