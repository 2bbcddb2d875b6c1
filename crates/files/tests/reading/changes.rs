//! Trees that change while they are walked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lifeboat_files::{Walk, WalkItem, WalkOptions};
use rustix::fs::{CWD, RenameFlags};

use crate::common::{Scratch, lines, walk};

/// Does something right after a path was looked at for the first time, before it is opened.
fn when_looked_at(name: &Path, action: impl Fn() + Send + Sync + 'static) -> WalkOptions {
    let (name, done) = (name.to_owned(), AtomicBool::new(false));
    let skip = move |entry: &lifeboat_files::Entry| {
        if entry.path == name && !done.swap(true, Ordering::SeqCst) {
            action();
        }
        false
    };
    WalkOptions { skip: Some(Arc::new(skip)), ..WalkOptions::default() }
}

/// Does something when an item for a path comes.
fn when_told<'a>(
    walk: Walk,
    path: &'a Path,
    action: impl Fn() + 'a,
) -> impl Iterator<Item = WalkItem> + 'a {
    walk.inspect(move |item| match item {
        WalkItem::Enter(entry) if entry.path == path => action(),
        WalkItem::File(file) if file.entry.path == path => action(),
        _ => {}
    })
}

/// A tree with a file and a directory, and another one beside it.
fn tree() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("tree/a", "");
    scratch.write("tree/victim/file", "");
    scratch.write("tree/z", "");
    scratch.write("outside/secret", "");
    scratch
}

fn swap(scratch: &Scratch) -> impl Fn() + Send + Sync + use<> {
    let (victim, away) = (scratch.path("tree/victim"), scratch.path("away"));
    let outside = scratch.path("outside");
    move || {
        fs::rename(&victim, &away).unwrap();
        symlink(&outside, &victim).unwrap();
    }
}

#[test]
fn a_directory_that_became_a_link_before_it_was_looked_at_is_a_link() {
    let scratch = tree();
    let (root, first) = (scratch.path("tree"), scratch.path("tree/a"));
    let items = when_told(walk(&root, WalkOptions::default()), &first, swap(&scratch));
    assert_eq!(lines(items, scratch.root()), ["tree/", "tree/a", "tree/victim@", "tree/z"]);
}

#[test]
fn a_directory_that_became_a_link_before_it_was_opened_is_a_link() {
    let scratch = tree();
    let options = when_looked_at(&scratch.path("tree/victim"), swap(&scratch));
    let items = walk(&scratch.path("tree"), options);
    assert_eq!(lines(items, scratch.root()), ["tree/", "tree/a", "tree/victim@", "tree/z"]);
}

#[test]
fn a_directory_that_became_a_link_after_it_was_opened_is_walked_as_it_was() {
    let scratch = tree();
    scratch.write("tree/victim/sub/deep", "");
    let (root, victim) = (scratch.path("tree"), scratch.path("tree/victim"));
    let items = when_told(walk(&root, WalkOptions::default()), &victim, swap(&scratch));
    let expected = [
        "tree/",
        "tree/a",
        "tree/victim/",
        "tree/victim/file",
        "tree/victim/sub/",
        "tree/victim/sub/deep",
        "tree/z",
    ];
    assert_eq!(lines(items, scratch.root()), expected);
}

#[test]
fn another_directory_in_its_place_has_its_own_metadata() {
    let scratch = tree();
    let (victim, away) = (scratch.path("tree/victim"), scratch.path("away"));
    let outside = scratch.path("outside");
    let inode = rustix::fs::stat(&outside).unwrap().st_ino;
    let options = when_looked_at(&victim.clone(), {
        let victim = victim.clone();
        move || {
            fs::rename(&victim, &away).unwrap();
            fs::rename(&outside, &victim).unwrap();
        }
    });
    let found = walk(&scratch.path("tree"), options).find_map(|item| match item {
        WalkItem::Enter(entry) if entry.path == victim => Some(entry.metadata.inode),
        _ => None,
    });
    assert_eq!(found, Some(inode));
}

#[test]
fn a_directory_that_flips_all_the_time_is_never_followed() {
    let scratch = tree();
    symlink("../outside", scratch.path("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flipping = thread::spawn({
        let (one, other, stop) = (scratch.path("link"), scratch.path("tree/victim"), stop.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let (mut walks, mut links, mut directories) = (0, 0, 0);
    while walks < 2_000 || links == 0 || directories == 0 {
        walks += 1;
        let lines = lines(walk(&scratch.path("tree"), WalkOptions::default()), scratch.root());
        assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
        assert_eq!((&*lines[1], &*lines[lines.len() - 1]), ("tree/a", "tree/z"));
        links += usize::from(lines.iter().any(|line| line == "tree/victim@"));
        directories += usize::from(lines.iter().any(|line| line == "tree/victim/file"));
    }
    stop.store(true, Ordering::SeqCst);
    flipping.join().unwrap();
}

#[test]
fn what_vanishes_is_told_and_no_problem() {
    let scratch = tree();
    let (root, first) = (scratch.path("tree"), scratch.path("tree/a"));
    let items = when_told(walk(&root, WalkOptions::default()), &first, || {
        fs::remove_dir_all(scratch.path("tree/victim")).unwrap();
        fs::remove_file(scratch.path("tree/z")).unwrap();
    });
    assert_eq!(lines(items, scratch.root()), ["tree/", "tree/a", "?tree/victim", "?tree/z"]);
}

#[test]
fn what_vanishes_after_it_was_looked_at_has_vanished_too() {
    for (name, expected) in [
        ("victim", ["tree/", "tree/a", "?tree/victim", "tree/z"].as_slice()),
        ("z", &["tree/", "tree/a", "tree/victim/", "tree/victim/file", "?tree/z"]),
    ] {
        let scratch = tree();
        let path = scratch.path("tree").join(name);
        let gone = path.clone();
        let options = when_looked_at(&path, move || {
            fs::remove_file(&gone).or_else(|_| fs::remove_dir_all(&gone)).unwrap();
        });
        assert_eq!(lines(walk(&scratch.path("tree"), options), scratch.root()), expected);
    }
}

#[test]
fn a_named_path_that_vanishes_is_a_problem() {
    let scratch = tree();
    let path = scratch.path("tree/z");
    let gone = path.clone();
    let options = when_looked_at(&path, move || fs::remove_file(&gone).unwrap());
    let expected = ["tree/", "!tree/z look at: No such file or directory (os error 2)"];
    assert_eq!(lines(walk(&path, options), scratch.root()), expected);
}

#[test]
fn a_directory_that_is_emptied_and_removed_while_it_is_walked_ends() {
    let scratch = tree();
    let (root, victim) = (scratch.path("tree"), scratch.path("tree/victim"));
    let items = when_told(walk(&root, WalkOptions::default()), &victim, || {
        fs::remove_dir_all(&victim).unwrap();
    });
    let expected = ["tree/", "tree/a", "tree/victim/", "?tree/victim/file", "tree/z"];
    assert_eq!(lines(items, scratch.root()), expected);
}
