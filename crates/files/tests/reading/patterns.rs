//! Patterns, compared with restic's own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lifeboat_files::{Error, ExcludeOptions, Excludes, Patterns, WalkOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::common::{Scratch, entries_but_left_out, walk};
use crate::oracle::{have, malformed, stored};

/// What is in each of the trees that patterns are tried on.
const NAMES: [&str; 16] = [
    "a",
    "a.o",
    "A.O",
    "[a]",
    "a b",
    "é",
    "a*b",
    "ab",
    "b/a",
    "b/a.o",
    "b/b/a",
    "b/c/a",
    "b/c/d/a.o",
    "c/b/c/a",
    "c/keep.o",
    "c/x/y/z/a",
];

/// Patterns that are about something.
const PATTERNS: &[&str] = &[
    "a",
    "b",
    "b/a",
    "b/c",
    "b/**",
    "**/a",
    "**",
    "b/**/a",
    "**/c/**/a",
    "*",
    "*/a",
    "?",
    "??",
    "*.o",
    "*.[oO]",
    "[^a]",
    "[a-c]/a",
    "\\[a]",
    "[[]a]",
    "a\\*b",
    "a*b",
    "é",
    "?.o",
    "[à-ü]",
    "b//c",
    "b/./c",
    "b/../c",
    "c/x/y/z",
    "x/**/**/a",
    "**/**",
    "b/c/d/a.o/e",
    "c/**/y/*",
    "*/*/*",
    "*/*/*/*/*",
    "a/",
    "./a",
    "../a",
    ".",
    "b/*/a",
    "***",
    "a**",
    "b/a**",
];

/// The lists with `!` are tried as wholes.
const LISTS: &[&[&str]] = &[
    &["*", "!a"],
    &["b", "!b/a"],
    &["b/*", "!b/c"],
    &["**", "!b", "!b/**"],
    &["*.o", "!keep.o", "c/keep.o"],
    &["!a", "a"],
    &["a", "!b", "!**"],
    &["c/**", "!c", "!c/x/**/a"],
    &["!!a", "a"],
];

/// A tree for each list of patterns, and each list twice: at this place only, and at any depth.
struct Trial {
    lists: Vec<Vec<String>>,
    scratch: Scratch,
}

impl Trial {
    fn new(lists: impl IntoIterator<Item = Vec<String>>) -> Self {
        let scratch = Scratch::new();
        let lists = lists.into_iter().collect::<Vec<_>>();
        for index in 0..lists.len() {
            for place in ["anchored", "floating"] {
                for name in NAMES {
                    scratch.write(&format!("{place}-{index}/{name}"), "");
                }
            }
        }
        Self { lists, scratch }
    }

    /// All patterns, each made to fit in its own tree only.
    fn patterns(&self) -> Vec<String> {
        let root = self.scratch.root().display();
        let mut all = Vec::new();
        for (index, list) in self.lists.iter().enumerate() {
            for pattern in list {
                let (mark, pattern) =
                    pattern.strip_prefix('!').map_or(("", &**pattern), |pattern| ("!", pattern));
                all.push(format!("{mark}{root}/anchored-{index}/{pattern}"));
                all.push(format!("{mark}floating-{index}/{pattern}"));
            }
        }
        all
    }

    fn assert_like_restic(&self) {
        let patterns = self.patterns();
        let arguments: Vec<_> =
            patterns.iter().map(|pattern| format!("--exclude={pattern}")).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert_same(
            self.scratch.root(),
            &arguments,
            &ExcludeOptions { patterns: patterns.clone(), ..ExcludeOptions::default() },
        );
    }
}

/// Both leave the same.
fn assert_same(root: &Path, arguments: &[&str], options: &ExcludeOptions) {
    let excludes = Excludes::new(options).unwrap();
    let options = WalkOptions { excludes, ..WalkOptions::default() };
    let ours: BTreeSet<_> = entries_but_left_out(walk(root, options)).collect();
    let ours: BTreeSet<PathBuf> = ours.into_iter().filter(|path| path.starts_with(root)).collect();
    let theirs = stored(root, arguments);
    assert!(theirs.len() > 1, "restic stores something");
    let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|pattern| (*pattern).to_owned()).collect()
}

#[test]
fn patterns_fit_what_they_fit_in_restic() {
    if have("restic", "version") {
        let lists = PATTERNS.iter().map(|pattern| owned(&[pattern]));
        Trial::new(lists.chain(LISTS.iter().map(|list| owned(list)))).assert_like_restic();
    }
}

#[test]
fn random_patterns_fit_what_they_fit_in_restic() {
    if !have("restic", "version") {
        return;
    }
    let part = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "c", "x", "a.o", "keep.o", "[a]", "é"]),
        2 => Just("**"),
        3 => prop::sample::select(vec!["*", "?", "*.o", "[a-c]", "[^a]", "*b", "?*", "a*", "[!-z]*"]),
    ];
    let pattern = (any::<prop::sample::Index>(), prop::collection::vec(part, 1..5));
    let pattern = pattern.prop_map(|(mark, parts)| {
        let mark = if mark.index(4) == 0 { "!" } else { "" };
        format!("{mark}{}", parts.join("/"))
    });
    let lists = prop::collection::vec(pattern, 1..4);
    let mut runner = TestRunner::deterministic();
    let lists = (0..48).map(|_| lists.new_tree(&mut runner).unwrap().current());
    Trial::new(lists).assert_like_restic();
}

#[test]
fn patterns_without_a_place_fit_what_they_fit_in_restic() {
    if !have("restic", "version") {
        return;
    }
    let scratch = Scratch::new();
    for name in NAMES {
        scratch.write(name, "");
        scratch.write(&format!("deep/er/{name}"), "");
    }
    let exact = ["*.o", "!keep.o", "b/c", "/b/a", "deep/**/x"];
    let ignoring_case = ["A", "É"];
    let mut arguments: Vec<_> =
        exact.iter().map(|pattern| format!("--exclude={pattern}")).collect();
    arguments.extend(ignoring_case.iter().map(|pattern| format!("--iexclude={pattern}")));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    assert_same(
        scratch.root(),
        &arguments,
        &ExcludeOptions {
            patterns: owned(&exact),
            patterns_ignoring_case: owned(&ignoring_case),
            ..ExcludeOptions::default()
        },
    );
}

#[test]
fn malformed_patterns_are_those_that_restic_does_not_take() {
    let patterns = owned(&[
        "a/[", "[]a]", "[-]", "[x-]", "ok", "[a/b]", "a\\", "a\\/b", "!b/[", "[^a", "[a-]", "a]",
        "**[", "[\\]]", "b/[]/c",
    ]);
    let ours: BTreeSet<_> = patterns
        .iter()
        .filter(|pattern| {
            matches!(Patterns::new([pattern]), Err(Error::Pattern { pattern: named }) if named == ***pattern)
        })
        .cloned()
        .collect();
    assert_eq!(ours.len(), 12);
    if have("restic", "version") {
        let scratch = Scratch::new();
        assert_eq!(ours, malformed(scratch.root(), &patterns));
    }
}

#[test]
fn what_may_be_meant_below_is_gone_into() {
    // By restic's filter tests for children: pattern, path, whether something below may be meant.
    for (pattern, path, expected) in [
        ("a", "/x", true),
        ("/a/b", "/a", true),
        ("/a/b", "/b", false),
        ("/a/b", "/a/b/c", true),
        ("/a/*/c", "/a/b", true),
        ("/a/*/c", "/a/b/d", false),
        ("/a/**/c", "/a", true),
        ("/a/**/c", "/a/x/y/z", true),
        ("/a/**/c", "/b", false),
        ("/**", "/x", true),
        ("/", "/x", true),
    ] {
        let patterns = Patterns::new([pattern]).unwrap();
        assert_eq!(patterns.may_match_below(Path::new(path)), expected, "{pattern} {path}");
    }
    let patterns = Patterns::new(["/a", "!/a/b"]).unwrap();
    assert!(patterns.may_match_below(Path::new("/a")));
    assert!(!patterns.may_match_below(Path::new("/a/b")));
    assert!(patterns.matches(Path::new("/a/c")));
    assert!(!patterns.matches(Path::new("/a/b/c")));
    assert!(!Patterns::default().matches(Path::new("/a")));
    assert!(!Patterns::default().may_match_below(Path::new("/a")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is meant is found by going down: below each directory above it something may be meant.
    #[test]
    fn nothing_that_is_meant_is_missed_on_the_way(
        pattern in "/?([ab*?]|\\*\\*)(/([ab*?]|\\*\\*)){0,3}", path in "(/[ab]){1,5}",
    ) {
        let patterns = Patterns::new([&pattern]).unwrap();
        let path = Path::new(&path);
        if patterns.matches(path) {
            for above in path.ancestors().skip(1) {
                prop_assert!(patterns.may_match_below(above), "{} {}", pattern, above.display());
            }
        }
    }

    /// Any text is a pattern or is refused; one that fits a path fits what is below, and says so.
    #[test]
    fn any_pattern_that_fits_a_path_fits_what_is_below(
        pattern in prop::collection::vec(prop::sample::select(&b"!ab*?[]^-\\/.\xc3\xa9\xff"[..]), 0..12),
        path in "(/[ab.é]{1,3}){1,4}",
    ) {
        let pattern = OsStr::from_bytes(&pattern);
        for list in [Patterns::new([pattern]), Patterns::ignoring_case([pattern])] {
            match list {
                Ok(list) if list.matches(Path::new(&path)) => {
                    prop_assert!(list.may_match_below(Path::new(&path)));
                    prop_assert!(list.matches(&Path::new(&path).join("below")));
                }
                Ok(_) | Err(Error::Pattern { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}
