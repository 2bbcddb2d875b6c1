//! The order of a walk, and what becomes of the paths that it was asked for.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use lifeboat_files::{Error, SourcePaths, Walk, WalkItem, WalkOptions};

use crate::common::{Scratch, entries, lines, source, walk};

#[test]
fn names_come_in_byte_order_and_directories_before_what_is_in_them() {
    let scratch = Scratch::new();
    for name in ["b", "a/x", "a-b", "a/Y/z", "é"] {
        scratch.write(name, "");
    }
    scratch.make("empty");
    symlink("nowhere", scratch.path("link")).unwrap();
    let lines = lines(walk(scratch.root(), WalkOptions::default()), scratch.root());
    assert_eq!(lines, ["a/", "a/Y/", "a/Y/z", "a/x", "a-b", "b", "empty/", "link@", "é"]);
}

#[test]
fn the_directories_above_come_first_and_alone() {
    let scratch = Scratch::new();
    for name in ["a/b/one", "a/b/two", "a/c", "d/three", "d/four", "e"] {
        scratch.write(name, "");
    }
    let paths = ["d/three", "a/b"].map(|name| scratch.path(name));
    let walk = Walk::new(&SourcePaths::new(&paths).unwrap(), WalkOptions::default());
    let listed = lines(walk, scratch.root());
    assert_eq!(listed, ["a/", "a/b/", "a/b/one", "a/b/two", "d/", "d/three"]);

    let walk = Walk::new(&SourcePaths::new(&paths).unwrap(), WalkOptions::default());
    let above = scratch.root().ancestors().filter(|path| *path != Path::new("/")).count();
    let first = entries(walk).into_iter().take(above).map(|entry| entry.path).collect::<Vec<_>>();
    let mut expected: Vec<_> = scratch.root().ancestors().map(Path::to_owned).collect();
    expected.pop();
    expected.reverse();
    assert_eq!(first, expected);
}

#[test]
fn of_the_root_only_what_is_in_it_is_listed() {
    let options = WalkOptions { skip: Some(Arc::new(|_| true)), ..WalkOptions::default() };
    let mut expected: Vec<_> = std::fs::read_dir("/").unwrap().map(|e| e.unwrap().path()).collect();
    expected.sort();
    let found = walk(Path::new("/"), options).map(|item| match item {
        WalkItem::LeftOut { path, .. } => path,
        other => panic!("{other:?}"),
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn a_path_that_does_not_exist_is_a_problem() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    let paths = ["file/below", "missing", "no/such"].map(|name| scratch.path(name));
    let walk = Walk::new(&SourcePaths::new(&paths).unwrap(), WalkOptions::default());
    assert_eq!(
        lines(walk, scratch.root()),
        [
            "!file/below open: Not a directory (os error 20)",
            "!missing look at: No such file or directory (os error 2)",
            "!no/such open: No such file or directory (os error 2)",
        ]
    );
}

#[test]
fn paths_are_cleaned_and_merged() {
    let paths = ["/b/../a/./c", "/a-b", "/a/b/", "/a/b/d", "//a/b", "/a/c/x"].map(Into::into);
    let paths = SourcePaths::new(&paths).unwrap();
    assert_eq!(paths.as_slice(), ["/a/b", "/a/c", "/a-b"].map(Path::new));
    let everything = SourcePaths::new(&["/etc".into(), "/..".into()]).unwrap();
    assert_eq!(everything.as_slice(), [Path::new("/")]);
    let relative = SourcePaths::new(&["some/../thing".into()]).unwrap();
    assert_eq!(relative.as_slice(), [std::env::current_dir().unwrap().join("thing")]);
}

#[test]
fn paths_that_cannot_be_meant_are_refused() {
    assert!(matches!(SourcePaths::new(&[]), Err(Error::NoPaths)));
    for path in ["", "/a\0b"] {
        assert!(matches!(SourcePaths::new(&[path.into()]), Err(Error::Path { .. })), "{path:?}");
    }
}

#[test]
fn a_path_that_is_a_link_is_listed_as_one_and_one_through_a_link_where_it_was_named() {
    let scratch = Scratch::new();
    scratch.write("real/file", "content");
    symlink("real", scratch.path("link")).unwrap();
    let link = scratch.path("link");
    assert_eq!(lines(walk(&link, WalkOptions::default()), scratch.root()), ["link@"]);
    let through = scratch.path("link/file");
    let listed = lines(walk(&through, WalkOptions::default()), scratch.root());
    assert_eq!(listed, ["link/", "link/file"]);
}

#[test]
fn a_path_that_another_one_hides_behind_a_link_is_listed_where_the_link_leads() {
    let scratch = Scratch::new();
    scratch.write("real/file", "content");
    scratch.make("home");
    symlink(scratch.path("real"), scratch.path("home/link")).unwrap();
    let (home, file) = (scratch.path("home"), scratch.path("home/link/file"));
    let walk = Walk::new(&source(&[&home, &file]), WalkOptions::default());
    assert_eq!(lines(walk, scratch.root()), ["home/", "home/link@", "real/", "real/file"]);
}
