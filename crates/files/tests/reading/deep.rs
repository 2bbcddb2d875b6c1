//! Trees deeper than a path can be long, and than descriptors can be open.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_files::{OPEN_DIRECTORIES, WalkItem, WalkOptions};
use rustix::fs::{CWD, Mode, OFlags};

use crate::common::{Scratch, walk};

const LEVELS: usize = 2_000;
const NAME: &str = "directory";

/// A tree of so many levels, with a file before and after the directory in each. It removes itself with
/// `rm`, which can.
struct DeepTree(Scratch);

impl DeepTree {
    fn new(levels: usize) -> Self {
        let scratch = Scratch::new();
        let mut here = open(CWD, scratch.root());
        for _ in 0..levels {
            for name in ["a", "z"] {
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
                drop(rustix::fs::openat(&here, name, flags, Mode::RUSR).unwrap());
            }
            rustix::fs::mkdirat(&here, NAME, Mode::RWXU).unwrap();
            here = open(here, Path::new(NAME));
        }
        Self(scratch)
    }
}

impl Drop for DeepTree {
    fn drop(&mut self) {
        let removed = Command::new("rm").arg("-rf").arg(self.0.root()).status();
        assert!(removed.unwrap().success());
    }
}

fn open(directory: impl std::os::fd::AsFd, name: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).unwrap()
}

/// How many descriptors of this process are open below a path.
fn open_below(root: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(root)).count()
}

#[test]
fn deep_trees_are_walked_with_few_descriptors() {
    let tree = DeepTree::new(LEVELS);
    let (mut depth, mut before, mut after, mut deepest, mut most) = (0, 0, 0, 0, 0);
    for item in walk(tree.0.root(), WalkOptions::default()) {
        match item {
            WalkItem::Enter(_) => depth += 1,
            WalkItem::Leave => depth -= 1,
            WalkItem::File(file) => {
                let is_before = file.entry.path.file_name() == Some(OsStr::new("a"));
                *(if is_before { &mut before } else { &mut after }) += 1;
                // The files can be opened as well on the way down as on the way up.
                assert!(depth % 500 != 0 || file.open().unwrap().is_some());
            }
            other => panic!("{other:?}"),
        }
        // Those near the end of a path that is too long have no name there, but are few.
        if depth > deepest {
            deepest = depth;
            if depth % 250 == 0 {
                most = most.max(open_below(tree.0.root()));
            }
        }
    }
    assert_eq!((before, after, depth), (LEVELS, LEVELS, 0));
    assert!(deepest > LEVELS);
    assert!((2..=OPEN_DIRECTORIES + 4).contains(&most), "{most} descriptors");
}

#[test]
fn a_directory_that_was_moved_away_below_closed_ones_is_a_problem() {
    let tree = DeepTree::new(OPEN_DIRECTORIES + 20);
    let root = tree.0.root().to_owned();
    let moved = (0..10).fold(root.clone(), |path, _| path.join(NAME));
    let (mut problems, mut depth, mut files) = (Vec::new(), 0_usize, 0);
    let mut is_moved = false;
    for item in walk(&root, WalkOptions::default()) {
        match item {
            WalkItem::Enter(_) => depth += 1,
            WalkItem::Leave => depth -= 1,
            WalkItem::File(_) => files += 1,
            WalkItem::Problem(problem) => problems.push((problem.path, problem.operation)),
            other => panic!("{other:?}"),
        }
        if depth > OPEN_DIRECTORIES + 20 && !is_moved {
            fs::rename(&moved, root.join("moved")).unwrap();
            is_moved = true;
        }
    }
    // Of each directory from where it was to the top the rest cannot be found. None is passed over in
    // silence.
    let above = std::iter::successors(moved.parent().map(Path::to_owned), |path: &PathBuf| {
        path.parent().filter(|path| path.starts_with(&root)).map(Path::to_owned)
    });
    let expected: Vec<_> = above.map(|path| (path, "go back to")).collect();
    assert_eq!(problems, expected);
    assert_eq!(files, 2 * (OPEN_DIRECTORIES + 20) - expected.len());
    assert_eq!(depth, 0);
}
