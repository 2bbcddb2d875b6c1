//! Which paths of a tree are meant.

use std::path::{Path, PathBuf};

use lifeboat_files::Patterns;

use crate::{Error, Result};

/// Which paths of a tree are meant: all, or those below some paths, those that fit a pattern, and none that fit
/// another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    paths: Vec<PathBuf>,
    include: Patterns,
    exclude: Patterns,
}

/// What is meant of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// It itself.
    pub(crate) itself: bool,
    /// Perhaps something below it.
    pub(crate) below: bool,
}

impl Chosen {
    const NOTHING: Self = Self { itself: false, below: false };

    pub(crate) fn any(self) -> bool {
        self.itself || self.below
    }
}

impl Filter {
    /// The paths are absolute. Patterns are restic's; what fits an excluding one is out, with all below it.
    pub(crate) fn new(paths: &[PathBuf], include: &[String], exclude: &[String]) -> Result<Self> {
        Ok(Self {
            paths: paths.to_vec(),
            include: Patterns::new(include).map_err(Error::Files)?,
            exclude: Patterns::new(exclude).map_err(Error::Files)?,
        })
    }

    /// Whether everything is meant.
    pub(crate) fn is_all(&self) -> bool {
        self.paths.is_empty() && self.include.is_empty() && self.exclude.is_empty()
    }

    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    pub(crate) fn choose(&self, path: &Path) -> Chosen {
        if self.exclude.matches(path) {
            return Chosen::NOTHING;
        }
        let named = self.paths.is_empty() || self.paths.iter().any(|named| path.starts_with(named));
        let leads = named || self.paths.iter().any(|named| named.starts_with(path));
        let fits = self.include.is_empty() || self.include.matches(path);
        let itself = named && fits;
        Chosen { itself, below: leads && (fits || self.include.may_match_below(path)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Chosen = Chosen::NOTHING;
    const ALL: Chosen = Chosen { itself: true, below: true };
    const BELOW: Chosen = Chosen { itself: false, below: true };

    #[track_caller]
    fn check(paths: &[&str], include: &[&str], exclude: &[&str], cases: &[(&str, Chosen)]) {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let filter = Filter::new(&paths, &owned(include), &owned(exclude)).unwrap();
        for (path, expected) in cases {
            assert_eq!(filter.choose(Path::new(path)), *expected, "{path}");
        }
    }

    #[test]
    fn paths_and_patterns() {
        check(&[], &[], &[], &[("/", ALL), ("/a/b", ALL)]);
        check(
            &["/a/b"],
            &[],
            &[],
            &[("/a", BELOW), ("/a/b", ALL), ("/a/b/c", ALL), ("/a/bc", NOTHING), ("/x", NOTHING)],
        );
        check(
            &[],
            &["/a/*.conf"],
            &[],
            &[("/a", BELOW), ("/a/x.conf", ALL), ("/a/x.txt", NOTHING), ("/b", NOTHING)],
        );
        check(
            &[],
            &["*.conf"],
            &["/a/old"],
            &[("/a", BELOW), ("/a/old", NOTHING), ("/a/old/x.conf", NOTHING), ("/a/x.conf", ALL)],
        );
        check(
            &["/a"],
            &["*.conf"],
            &[],
            &[("/a", BELOW), ("/a/x.conf", ALL), ("/b/x.conf", NOTHING)],
        );
    }
}
