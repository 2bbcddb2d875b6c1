//! What the tests of walking share.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_files::{Entry, SourcePaths, Walk, WalkItem, WalkOptions};

/// A directory for a test, under the path that a walk reports it.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// A file with the directories that it needs.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

pub(crate) fn source(paths: &[&Path]) -> SourcePaths {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    SourcePaths::new(&paths).unwrap()
}

pub(crate) fn walk(path: &Path, options: WalkOptions) -> Walk {
    Walk::new(&source(&[path]), options)
}

/// A line for each item at or below `root`, the paths relative to it.
pub(crate) fn lines(walk: impl Iterator<Item = WalkItem>, root: &Path) -> Vec<String> {
    let mut depth = 0_usize;
    let mut lines = Vec::new();
    for item in walk {
        if matches!(item, WalkItem::Leave) {
            depth -= 1;
        }
        let name = |path: &Path| Some(path.strip_prefix(root).ok()?.to_str().unwrap().to_owned());
        let line = match &item {
            WalkItem::Enter(entry) => name(&entry.path).map(|name| format!("{name}/")),
            WalkItem::Leave => None,
            WalkItem::File(file) => name(&file.entry.path),
            WalkItem::Entry(entry) => name(&entry.path).map(|name| format!("{name}@")),
            WalkItem::LeftOut { path, why } => name(path).map(|name| format!("-{name} {why:?}")),
            WalkItem::Vanished(path) => name(path).map(|name| format!("?{name}")),
            WalkItem::Problem(problem) => name(&problem.path)
                .map(|name| format!("!{name} {}: {}", problem.operation, problem.source)),
        };
        lines.extend(line.filter(|line| line != "/"));
        if matches!(item, WalkItem::Enter(_)) {
            depth += 1;
        }
    }
    assert_eq!(depth, 0, "as many directories are left as are entered");
    lines
}

/// What a walk lists; anything but entries fails the test.
pub(crate) fn entries(walk: impl Iterator<Item = WalkItem>) -> Vec<Entry> {
    walk.filter_map(|item| match item {
        WalkItem::Enter(entry) | WalkItem::Entry(entry) => Some(entry),
        WalkItem::File(file) => Some(file.entry),
        WalkItem::Leave => None,
        other => panic!("{other:?}"),
    })
    .collect()
}

/// The paths of what a walk lists, which may leave out some; anything else fails the test.
pub(crate) fn entries_but_left_out(
    walk: impl Iterator<Item = WalkItem>,
) -> impl Iterator<Item = PathBuf> {
    entries(walk.filter(|item| !matches!(item, WalkItem::LeftOut { .. })))
        .into_iter()
        .map(|entry| entry.path)
}
