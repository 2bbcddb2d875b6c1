//! What is left out by other things than patterns, compared with restic.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_files::{
    DEFAULT_EXCLUDES, Error, ExcludeOptions, Excludes, Exclusion, SYSTEM_EXCLUDES, SourcePaths,
    Walk, WalkItem, WalkOptions,
};

use crate::common::{Scratch, entries_but_left_out, lines, walk};
use crate::oracle::{have, stored};

const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55";

fn excluding(options: &ExcludeOptions) -> WalkOptions {
    WalkOptions { excludes: Excludes::new(options).unwrap(), ..WalkOptions::default() }
}

fn by_patterns(patterns: &[&str]) -> WalkOptions {
    let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    excluding(&ExcludeOptions { patterns, ..ExcludeOptions::default() })
}

#[test]
fn marked_directories_keep_their_marks() {
    let scratch = Scratch::new();
    let write = |name: &str, content: &str| scratch.write(name, content);
    write("cache/CACHEDIR.TAG", &format!("{CACHE_TAG}\n# by somebody"));
    write("cache/sub/file", "");
    write("cache/file", "");
    write("no-cache/CACHEDIR.TAG", "Signature: something else, but long enough to be read");
    write("no-cache/file", "");
    write("short/CACHEDIR.TAG", "Sig");
    write("short/file", "");
    write("marked/.nobackup", "anything");
    write("marked/sub/file", "");
    write("headed/.skip", "yes, skip");
    write("headed/file", "");
    write("unheaded/.skip", "no");
    write("unheaded/file", "");
    write("directory/.nobackup/file", "");
    write("directory/file", "");
    write("twice/.nobackup", "");
    write("twice/CACHEDIR.TAG", CACHE_TAG);
    write("twice/file", "");
    write("large/ten", "0123456789");
    write("large/eleven", "0123456789x");
    let options = ExcludeOptions {
        caches: true,
        if_present: vec![".nobackup".to_owned(), ".skip:yes".to_owned()],
        larger_than: Some(44),
        ..ExcludeOptions::default()
    };
    let found: BTreeSet<_> =
        entries_but_left_out(walk(scratch.root(), excluding(&options))).collect();
    let kept = |name: &str| found.contains(&scratch.path(name));
    assert!(!kept("cache/file") && !kept("cache/sub") && !kept("marked/sub"));
    assert!(kept("no-cache/file") && kept("short/file") && kept("unheaded/file"));
    assert!(kept("marked/.nobackup") && kept("headed/.skip") && !kept("headed/file"));
    if have("restic", "version") {
        let arguments = [
            "--exclude-caches",
            "--exclude-if-present=.nobackup",
            "--exclude-if-present=.skip:yes",
            "--exclude-larger-than=44",
        ];
        let theirs = stored(scratch.root(), &arguments);
        let found: BTreeSet<PathBuf> =
            found.into_iter().filter(|path| path.starts_with(scratch.root())).collect();
        assert_eq!(found, theirs);
    }
}

#[test]
fn a_mark_with_a_header_is_a_file() {
    let scratch = Scratch::new();
    scratch.write("tag", CACHE_TAG);
    scratch.write("linked/file", "");
    symlink("../tag", scratch.path("linked/CACHEDIR.TAG")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        scratch.make("waiting").join("CACHEDIR.TAG"),
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    let options = ExcludeOptions { caches: true, ..ExcludeOptions::default() };
    let expected = [
        "linked/",
        "linked/CACHEDIR.TAG@",
        "linked/file",
        "tag",
        "waiting/",
        "waiting/CACHEDIR.TAG@",
    ];
    assert_eq!(lines(walk(scratch.root(), excluding(&options)), scratch.root()), expected);
}

#[test]
fn larger_is_strictly_larger_and_about_files_only() {
    let scratch = Scratch::new();
    scratch.write("ten", "0123456789");
    scratch.write("eleven", "0123456789x");
    symlink("a target of more than ten bytes", scratch.path("link")).unwrap();
    scratch.make("directory");
    let options = ExcludeOptions { larger_than: Some(10), ..ExcludeOptions::default() };
    let found = lines(walk(scratch.root(), excluding(&options)), scratch.root());
    assert_eq!(found, ["directory/", "-eleven Size", "link@", "ten"]);
}

#[test]
fn named_paths_are_never_left_out() {
    let scratch = Scratch::new();
    scratch.write("old~/a/file", "12");
    scratch.write("old~/a/file~", "");
    scratch.write("old~/b~/c", "");
    scratch.write("large~", "1234567890");
    scratch.write(".nobackup", "");
    let options = ExcludeOptions {
        patterns: vec!["*~".to_owned(), "/tmp".to_owned(), scratch.root().display().to_string()],
        if_present: vec![".nobackup".to_owned()],
        larger_than: Some(5),
        ..ExcludeOptions::default()
    };
    let paths = ["old~", "large~"].map(|name| scratch.path(name));
    let walk = Walk::new(&SourcePaths::new(&paths).unwrap(), excluding(&options));
    let expected = [
        "large~",
        "old~/",
        "old~/a/",
        "old~/a/file",
        "-old~/a/file~ Pattern(\"*~\")",
        "-old~/b~ Pattern(\"*~\")",
    ];
    assert_eq!(lines(walk, scratch.root()), expected);
}

#[test]
fn what_takes_back_counts_above_the_named_path_too() {
    let scratch = Scratch::new();
    scratch.write("named/a.o", "");
    let taking_back = format!("!{}", scratch.root().display());
    let found = walk(&scratch.path("named"), by_patterns(&["*.o", &taking_back]));
    assert_eq!(lines(found, scratch.root()), ["named/", "named/a.o"]);
}

#[test]
fn the_default_excludes_are_about_what_nobody_misses() {
    let scratch = Scratch::new();
    for name in
        ["a~", ".a.swp", ".#a", "lost+found/x", "film.part", "a.tmp", "#a#", "b.swp", "part"]
    {
        scratch.write(name, "");
    }
    let found: Vec<_> = lines(walk(scratch.root(), by_patterns(&DEFAULT_EXCLUDES)), scratch.root());
    let kept: Vec<_> = found.iter().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(kept, ["#a#", "a.tmp", "b.swp", "part"]);
    assert_eq!(found.len(), 9);
}

#[test]
fn of_a_whole_system_some_directories_stay_and_are_empty() {
    let patterns = SYSTEM_EXCLUDES.map(|pattern| pattern.trim_end_matches("/*"));
    let mut options = by_patterns(&SYSTEM_EXCLUDES);
    options.skip =
        Some(Arc::new(move |entry| !patterns.iter().any(|p| entry.path == Path::new(p))));
    let mut entered = BTreeSet::new();
    for item in walk(Path::new("/"), options) {
        match item {
            WalkItem::Enter(entry) => drop(entered.insert(entry.path)),
            WalkItem::LeftOut { why: Exclusion::Pattern(_) | Exclusion::Skipped, .. }
            | WalkItem::Leave => {}
            other => panic!("{other:?}"),
        }
    }
    for path in ["/proc", "/sys", "/dev", "/tmp"] {
        assert!(entered.contains(Path::new(path)), "{path}");
    }
    assert!(entered.iter().all(|path| patterns.iter().any(|pattern| path == Path::new(pattern))));
}

#[test]
fn mount_points_stay_and_are_empty() {
    // /dev is a file system of its own nearly everywhere, and so are some directories in it.
    let options = WalkOptions { one_file_system: true, ..WalkOptions::default() };
    let (mut elsewhere, mut entered) = (0, BTreeSet::new());
    let device = rustix::fs::stat("/dev").unwrap().st_dev;
    for item in walk(Path::new("/dev"), options) {
        match item {
            WalkItem::LeftOut { path, why: Exclusion::OtherFileSystem } => {
                assert_ne!(rustix::fs::stat(&path).unwrap().st_dev, device);
                elsewhere += usize::from(entered.contains(&path));
            }
            WalkItem::Enter(entry) => {
                assert!(!elsewhere_above(&entry.path, device), "{}", entry.path.display());
                entered.insert(entry.path);
            }
            _ => {}
        }
    }
    assert!(elsewhere > 0, "a directory in /dev is mounted");
}

/// Whether the directory above a path is on another file system.
fn elsewhere_above(path: &Path, device: u64) -> bool {
    path != Path::new("/dev") && rustix::fs::stat(path.parent().unwrap()).unwrap().st_dev != device
}

#[test]
fn the_caller_leaves_out_what_it_likes_even_what_was_named() {
    let scratch = Scratch::new();
    let database = scratch.write("app/data.db", "");
    scratch.write("app/data.db-wal", "");
    scratch.write("app/config", "");
    let inode = rustix::fs::stat(&database).unwrap().st_ino;
    let options = || WalkOptions {
        skip: Some(Arc::new(move |entry| entry.metadata.inode == inode)),
        ..WalkOptions::default()
    };
    let found = lines(walk(&scratch.path("app"), options()), scratch.root());
    assert_eq!(found, ["app/", "app/config", "-app/data.db Skipped", "app/data.db-wal"]);
    let found = lines(walk(&database, options()), scratch.root());
    assert_eq!(found, ["app/", "-app/data.db Skipped"]);
}

#[test]
fn patterns_are_read_from_files() {
    let scratch = Scratch::new();
    let file = scratch.write("patterns", "# what is made from others\n  *.o  \n\n!keep.o\n");
    let insensitive = scratch.write("insensitive", "*.TMP");
    let mut options = ExcludeOptions {
        patterns: vec!["*.log".to_owned()],
        files: vec![file],
        files_ignoring_case: vec![insensitive],
        ..ExcludeOptions::default()
    };
    for name in ["tree/a.o", "tree/keep.o", "tree/a.log", "tree/a.tmp", "tree/a.c"] {
        scratch.write(name, "");
    }
    let tree = scratch.path("tree");
    let found: Vec<_> = entries_but_left_out(walk(&tree, excluding(&options)))
        .filter(|path| path.starts_with(&tree) && *path != tree)
        .collect();
    assert_eq!(found, [tree.join("a.c"), tree.join("keep.o")]);

    options.files.push(scratch.path("missing"));
    let error = Excludes::new(&options).unwrap_err();
    assert!(matches!(error, Error::PatternFile { path, .. } if path == scratch.path("missing")));
    fs::write(&options.files[0], "ok\na/[").unwrap();
    options.files.pop();
    let error = Excludes::new(&options).unwrap_err().to_string();
    assert_eq!(error, "the pattern a/[ is malformed");
}

#[test]
fn marks_that_are_no_names_are_refused() {
    for marker in ["", ":header", "a/b", "..", "a\0"] {
        let options =
            ExcludeOptions { if_present: vec![marker.to_owned()], ..ExcludeOptions::default() };
        assert!(matches!(Excludes::new(&options), Err(Error::Marker { .. })), "{marker:?}");
    }
}
