//! Patterns for paths, exactly as restic understands them.
//!
//! A pattern is split at `/`. One that begins with `/` has to fit from the root on; any other one fits at
//! any depth. It fits a path and everything below. `**` stands for any number of names, none included; a
//! name is what `filepath.Match` of Go says of it. A pattern with `!` before it takes back what those
//! before it in the list say.

mod glob;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use self::glob::{Glob, first_character};
use crate::{Error, Result};

/// A list of patterns.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    ignores_case: bool,
}

/// A pattern.
#[derive(Clone, Debug)]
struct Pattern {
    /// As it was given.
    text: OsString,
    /// It takes back what others say.
    is_negated: bool,
    /// It has to fit from the root on.
    is_anchored: bool,
    /// One of its parts is `**`.
    has_any_depth: bool,
    parts: Vec<Part>,
}

/// What a name has to be.
#[derive(Clone, Debug)]
enum Part {
    /// `**`: any number of names.
    AnyDepth,
    Literal(Vec<u8>),
    Glob(Glob),
}

impl Patterns {
    /// A list of patterns; empty ones do not count. [`Error::Pattern`] for one that is malformed.
    pub fn new<P: AsRef<OsStr>>(patterns: impl IntoIterator<Item = P>) -> Result<Self> {
        Self::parse(patterns, false)
    }

    /// The same, for paths and patterns in small letters.
    pub fn ignoring_case<P: AsRef<OsStr>>(patterns: impl IntoIterator<Item = P>) -> Result<Self> {
        Self::parse(patterns, true)
    }

    fn parse<P: AsRef<OsStr>>(
        patterns: impl IntoIterator<Item = P>,
        ignores_case: bool,
    ) -> Result<Self> {
        let mut list = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if !pattern.is_empty() {
                list.push(Pattern::parse(pattern, ignores_case)?);
            }
        }
        Ok(Self { patterns: list, ignores_case })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether an absolute path is meant.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.matching(path, 0).is_some()
    }

    /// Whether something below an absolute path may be meant.
    #[must_use]
    pub fn may_match_below(&self, path: &Path) -> bool {
        let path = self.in_case(path);
        let names: Vec<_> = names(&path).collect();
        self.patterns.iter().fold(false, |may_match, pattern| {
            if pattern.is_negated {
                may_match && !pattern.fits(&names, 0)
            } else {
                may_match || pattern.may_fit_below(&names)
            }
        })
    }

    /// The pattern by which an absolute path is meant, if it is. Patterns that fit nothing beyond the first
    /// `named` names of it do not count: they fit what was named, and so everything below.
    pub(crate) fn matching(&self, path: &Path, named: usize) -> Option<&OsStr> {
        if self.patterns.is_empty() {
            return None;
        }
        let path = self.in_case(path);
        let names: Vec<_> = names(&path).collect();
        self.patterns.iter().fold(None, |matching, pattern| {
            if pattern.is_negated {
                matching.filter(|_| !pattern.fits(&names, 0))
            } else {
                matching.or_else(|| pattern.fits(&names, named).then_some(&*pattern.text))
            }
        })
    }

    fn in_case<'a>(&self, path: &'a Path) -> Cow<'a, [u8]> {
        let path = path.as_os_str().as_bytes();
        if self.ignores_case { lower_case(path).into() } else { path.into() }
    }
}

impl Pattern {
    fn parse(text: &OsStr, ignores_case: bool) -> Result<Self> {
        let lower =
            if ignores_case { lower_case(text.as_bytes()) } else { text.as_bytes().to_vec() };
        let (is_negated, pattern) = match lower.strip_prefix(b"!") {
            Some(pattern) => (true, pattern),
            None => (false, &*lower),
        };
        let is_anchored = pattern.starts_with(b"/");
        let parts: std::result::Result<Vec<_>, _> =
            clean(pattern, is_anchored).into_iter().map(Part::parse).collect();
        let parts = parts.map_err(|_| Error::Pattern { pattern: text.to_owned() })?;
        let has_any_depth = parts.iter().any(|part| matches!(part, Part::AnyDepth));
        Ok(Self { text: text.to_owned(), is_negated, is_anchored, has_any_depth, parts })
    }

    /// Whether it fits some of the names that follow one another, of which the last is not among the first
    /// `named`.
    fn fits(&self, names: &[&[u8]], named: usize) -> bool {
        let mut starts = if self.is_anchored { 0..1 } else { 0..names.len() };
        if self.has_any_depth {
            let room = names.len() + usize::from(!self.is_anchored);
            return starts.any(|start| {
                let named = named.saturating_sub(start);
                fits_at_any_depth(&self.parts, &names[start..], room, named)
            });
        }
        // Most patterns are about the last name, and say no there.
        starts.rev().any(|start| {
            let end = start + self.parts.len();
            let run = names.get(start..end).filter(|_| end > named);
            run.is_some_and(|run| self.parts.iter().zip(run).all(|(part, name)| part.fits(name)))
        })
    }

    /// Whether it may fit something below these names.
    fn may_fit_below(&self, names: &[&[u8]]) -> bool {
        let before_depth = self.parts.iter().position(|part| matches!(part, Part::AnyDepth));
        let length = before_depth.unwrap_or(self.parts.len()).min(names.len());
        let parts = self.parts.iter().zip(&names[..length]);
        !self.is_anchored || parts.take(length).all(|(part, name)| part.fits(name))
    }
}

/// Whether some of the names, from the first on, fit `parts`, the last of them not among the first `named`.
///
/// restic writes `**` out as more and more `*`, as long as all parts together are not more than the path
/// has names, and in this counts each `**` that is still to come as one. Therefore a `**` takes no more than
/// what `room` leaves for one name for each part after it: `/a/**/b/**` fits `/a/x/b/y`, and not `/a/x/b`.
fn fits_at_any_depth(parts: &[Part], names: &[&[u8]], room: usize, named: usize) -> bool {
    // How many of the names the parts so far may take.
    let mut taken = vec![0];
    for (index, part) in parts.iter().enumerate() {
        taken = match (part, taken.first()) {
            (_, None) => return false,
            (Part::AnyDepth, Some(least)) => {
                let after = parts.len() - index - 1;
                let Some(most) = room.checked_sub(after) else { return false };
                (*least..=most.min(names.len())).collect()
            }
            (part, Some(_)) => {
                let fits = |taken: &&usize| names.get(**taken).is_some_and(|name| part.fits(name));
                taken.iter().filter(fits).map(|taken| taken + 1).collect()
            }
        };
    }
    taken.last().is_some_and(|most| *most > named)
}

impl Part {
    fn parse(part: &[u8]) -> std::result::Result<Self, glob::Malformed> {
        Ok(match part {
            b"**" => Self::AnyDepth,
            part if part.iter().any(|byte| b"\\[]*?".contains(byte)) => {
                Self::Glob(Glob::parse(part)?)
            }
            part => Self::Literal(part.to_vec()),
        })
    }

    fn fits(&self, name: &[u8]) -> bool {
        match self {
            Self::AnyDepth => true,
            Self::Literal(literal) => literal == name,
            Self::Glob(glob) => glob.matches(name),
        }
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// The parts of a pattern without `.` and, as far as that goes, `..`: what Go's `filepath.Clean` leaves.
fn clean(pattern: &[u8], is_anchored: bool) -> Vec<&[u8]> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in names(pattern) {
        match (part, parts.last()) {
            (b".", _) => {}
            (b"..", None) if is_anchored => {}
            (b"..", Some(last)) if *last != b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    match (parts.is_empty(), is_anchored) {
        // Everything below the root.
        (true, true) => vec![b"**"],
        // No path has such a name.
        (true, false) => vec![b"."],
        _ => parts,
    }
}

/// A text in small letters, letter by letter; what is no text becomes replacement characters, as in Go.
fn lower_case(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let (mut lower, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((character, length)) = first_character(rest) {
        lower.extend(character.to_lowercase().next());
        rest = &rest[length..];
    }
    lower.into_bytes()
}
