//! Parts of a backup, and what becomes of what is there.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat::{Error, FilesRestoreRequest, Overwrite};

use crate::look::{assert_same, look};
use crate::machine::{Files, usual};
use crate::random::set_time;

fn some_files() -> Files {
    let files = Files::new();
    for name in ["a.conf", "b.txt", "sub/c.conf", "sub/deep/d.conf", "sub/deep/e.txt"] {
        files.write(name, format!("content of {name}"));
    }
    fs::create_dir(files.root().join("empty")).unwrap();
    files.back_up();
    files
}

/// The names of files below a directory.
fn names(directory: &Path) -> Vec<String> {
    let look = look(directory);
    let paths = look.keys().filter(|path| directory.join(path).is_file());
    paths.map(|path| path.display().to_string()).collect()
}

fn to(files: &Files, name: &str) -> FilesRestoreRequest {
    FilesRestoreRequest { target: Some(files.base().join(name)), ..usual() }
}

#[test]
fn patterns_and_paths_choose() {
    let files = some_files();
    let root = files.restored_root("out");
    /// Paths, what is meant and what is not; what comes of it.
    type Case = (&'static [&'static str], [&'static [&'static str]; 2], &'static [&'static str]);
    let cases: [Case; 6] = [
        (&[], [&["*.conf"], &[]], &["a.conf", "sub/c.conf", "sub/deep/d.conf"]),
        (&[], [&[], &["*.conf"]], &["b.txt", "sub/deep/e.txt"]),
        (&[], [&["deep"], &["e.txt"]], &["sub/deep/d.conf"]),
        (&["sub/deep"], [&[], &[]], &["sub/deep/d.conf", "sub/deep/e.txt"]),
        (&["b.txt", "sub/c.conf"], [&[], &[]], &["b.txt", "sub/c.conf"]),
        (&["sub"], [&["*.txt"], &[]], &["sub/deep/e.txt"]),
    ];
    for (paths, [include, exclude], expected) in cases {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let request = FilesRestoreRequest {
            paths: paths.iter().map(|path| files.root().join(path)).collect(),
            include: owned(include),
            exclude: owned(exclude),
            ..to(&files, "out")
        };
        let report = files.restore(&request);
        assert_eq!(report.problem_count, 0);
        assert_eq!(report.put.files, expected.len() as u64, "{report:?}");
        assert_eq!(names(&root), expected, "{paths:?} {include:?} {exclude:?}");
        let is_whole = exclude.len() == 1 && include.is_empty();
        assert_eq!(root.join("empty").exists(), is_whole, "no directory is made for nothing");
        fs::remove_dir_all(files.base().join("out")).unwrap();
    }
}

#[test]
fn a_path_names_its_source() {
    let files = some_files();
    let path = files.root().join("sub/c.conf");
    let report = files.try_restore(path.to_str(), &to(&files, "out")).unwrap();
    assert_eq!((report.put.files, report.problem_count), (1, 0));
    assert_eq!(names(&files.restored_root("out")), ["sub/c.conf"]);

    let missing = files.root().join("sub/none");
    let error = files.try_restore(missing.to_str(), &to(&files, "never")).unwrap_err();
    assert!(matches!(error, Error::NoPath { .. }), "{error}");
    assert!(!files.base().join("never").exists());
}

#[test]
fn what_is_there_stays_or_goes_by_the_rule() {
    let files = some_files();
    files.restore_to("out");
    let root = files.restored_root("out");
    let (older, newer) = (root.join("a.conf"), root.join("b.txt"));
    // Of the size and time that the backup has, but of another content.
    let same_time = root.join("sub/c.conf");
    let change = || {
        fs::write(&older, "older").unwrap();
        set_time(&older, 1_000_000);
        fs::write(&newer, "newer").unwrap();
        set_time(&newer, 5_000_000_000);
        let time = same_time.metadata().unwrap().modified().unwrap();
        fs::write(&same_time, "CONTENT of sub/c.conf").unwrap();
        let times = fs::FileTimes::new().set_modified(time);
        fs::File::options().write(true).open(&same_time).unwrap().set_times(times).unwrap();
    };
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let (a, b, c) = ("content of a.conf", "content of b.txt", "content of sub/c.conf");
    let c2 = "CONTENT of sub/c.conf";
    let cases = [
        (Overwrite::Never, ["older", "newer", c2], 0),
        (Overwrite::IfNewer, [a, "newer", c2], 1),
        (Overwrite::IfChanged, [a, b, c2], 2),
        (Overwrite::Always, [a, b, c], 3),
    ];
    for (overwrite, expected, replaced) in cases {
        change();
        let report = files.restore(&FilesRestoreRequest { overwrite, ..to(&files, "out") });
        let found = [&older, &newer, &same_time].map(read);
        assert_eq!(found, expected, "{overwrite:?}");
        assert_eq!(
            (report.put.replaced, report.put.moved_aside, report.problem_count),
            (replaced, replaced, 0)
        );
        assert_eq!(report.put.moved_to.len(), usize::from(replaced > 0));
        if let [safe] = report.put.moved_to.as_slice() {
            let kept = crate::machine::below(safe, &files.root()).join("a.conf");
            assert_eq!(read(&kept), "older");
        }
    }
}

#[test]
fn only_with_delete_goes_what_is_not_in_the_backup() {
    let files = some_files();
    files.restore_to("out");
    let (root, out) = (files.restored_root("out"), files.base().join("out"));
    fs::write(root.join("sub/extra"), "extra").unwrap();
    fs::create_dir_all(root.join("more/and")).unwrap();
    fs::write(root.join("more/and/more"), "more").unwrap();
    // Not below what was backed up.
    fs::write(out.join("beside"), "beside").unwrap();
    fs::write(root.parent().unwrap().join("beside"), "beside").unwrap();
    assert_eq!(files.restore(&to(&files, "out")).put.removed, 0);
    assert!(root.join("sub/extra").exists());

    let request = FilesRestoreRequest { delete: true, ..to(&files, "out") };
    let report = files.restore(&request);
    assert_eq!((report.put.removed, report.problem_count), (2, 0), "{report:?}");
    assert_same(&look(&root), &look(&files.root()), "without extras");
    assert!(out.join("beside").exists() && root.parent().unwrap().join("beside").exists());
    let safe = crate::machine::below(&report.put.moved_to[0], &files.root());
    assert_eq!(fs::read(safe.join("more/and/more")).unwrap(), b"more");
    assert_eq!(fs::read(safe.join("sub/extra")).unwrap(), b"extra");
    // Only what was chosen is complete.
    fs::write(root.join("sub/extra.conf"), "").unwrap();
    fs::write(root.join("sub/extra.txt"), "").unwrap();
    let include = vec!["*.conf".to_owned()];
    let report = files.restore(&FilesRestoreRequest { include, ..request });
    assert!(root.join("sub/extra.txt").exists(), "{report:?}");
}

#[test]
fn a_dry_run_touches_nothing_and_tells_the_same() {
    let files = some_files();
    files.restore_to("out");
    let root = files.restored_root("out");
    fs::write(root.join("a.conf"), "other").unwrap();
    fs::remove_file(root.join("b.txt")).unwrap();
    fs::write(root.join("sub/extra"), "extra").unwrap();
    let before = look(&files.base());
    let request = FilesRestoreRequest { delete: true, dry_run: true, ..to(&files, "out") };
    let dry = files.restore(&request);
    assert_same(&look(&files.base()), &before, "dry run");
    let wet = files.restore(&FilesRestoreRequest { dry_run: false, ..request });
    let counts = |report: &lifeboat::FilesRestoreReport| {
        let put = &report.put;
        let content = [put.files, put.directories, put.others, put.written_bytes];
        let there = [put.unchanged, put.replaced, put.skipped, put.removed, put.moved_aside];
        (content, there)
    };
    assert_eq!(counts(&dry), counts(&wet));
    assert_eq!((wet.put.replaced, wet.put.removed), (1, 1));
    let nowhere = FilesRestoreRequest { dry_run: true, ..to(&files, "nowhere") };
    assert_eq!(files.restore(&nowhere).put.files, 5);
    assert!(!files.base().join("nowhere").exists());
}

#[test]
fn nothing_is_written_through_a_link_that_lies_in_the_target() {
    let files = some_files();
    let outside = files.base().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("c.conf"), "mine").unwrap();
    let root = files.restored_root("out");
    fs::create_dir_all(&root).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("sub")).unwrap();
    let before = look(&outside);
    let report = files.restore_to("out");
    assert_eq!((report.put.replaced, report.problem_count), (1, 0));
    assert_same(&look(&outside), &before, "outside");
    assert_same(&look(&root), &look(&files.root()), "the directory took the place of the link");

    // By a rule that lets the link be, what is below cannot be put.
    let other = files.restored_root("other");
    fs::create_dir_all(&other).unwrap();
    std::os::unix::fs::symlink(&outside, other.join("sub")).unwrap();
    let overwrite = Overwrite::Never;
    let report = files.restore(&FilesRestoreRequest { overwrite, ..to(&files, "other") });
    assert!(report.problem_count > 0 && report.is_partial(), "{report:?}");
    assert_eq!(names(&other), ["a.conf", "b.txt"]);
    assert_same(&look(&outside), &before, "outside");
}
