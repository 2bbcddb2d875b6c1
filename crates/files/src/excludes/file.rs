//! Files with patterns.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// What some editors begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// `patterns`, and those in `files` after them.
pub(super) fn with_files(patterns: &[String], files: &[PathBuf]) -> Result<Vec<OsString>> {
    let mut all: Vec<_> = patterns.iter().map(OsString::from).collect();
    for path in files {
        let failed = |source| Error::PatternFile { path: path.clone(), source };
        let text = fs::read(path).map_err(failed)?;
        all.extend(parse(&text, path, |name| env::var_os(name))?);
    }
    Ok(all)
}

fn parse(
    text: &[u8],
    path: &Path,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Vec<OsString>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut patterns = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let pattern = expand(line, &variable).map_err(|name| Error::Variable {
            path: path.to_owned(),
            line: index + 1,
            name,
        })?;
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// Puts in what the variables are. An error is the name of one that is not set.
fn expand(
    line: &[u8],
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<OsString, OsString> {
    let mut expanded = Vec::new();
    let mut rest = line;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        expanded.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, after) = variable_name(rest);
        if name.is_empty() || name == b"$" {
            // One alone stands for itself.
            expanded.push(b'$');
        } else {
            let name = OsStr::from_bytes(name);
            let value = variable(name).ok_or_else(|| name.to_owned())?;
            expanded.extend_from_slice(value.as_bytes());
        }
        rest = after;
    }
    expanded.extend_from_slice(rest);
    Ok(OsString::from_vec(expanded))
}

/// The name after a `$`, and what comes after it. An empty one is none.
fn variable_name(text: &[u8]) -> (&[u8], &[u8]) {
    if let Some(braced) = text.strip_prefix(b"{")
        && let Some(end) = braced.iter().position(|byte| *byte == b'}')
    {
        return (&braced[..end], &braced[end + 1..]);
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = match text.first() {
        Some(b'$') => 1,
        _ => text.iter().take_while(|byte| is_part(byte)).count(),
    };
    text.split_at(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &OsStr) -> Option<OsString> {
        match name.as_bytes() {
            b"HOME" => Some("/home/me".into()),
            b"EMPTY" => Some("".into()),
            _ => None,
        }
    }

    fn patterns(text: &[u8]) -> Result<Vec<OsString>> {
        parse(text, Path::new("/etc/excludes"), variable)
    }

    #[test]
    fn lines_are_trimmed_and_comments_and_empty_ones_do_not_count() {
        let text = b"\xef\xbb\xbf*.tmp\r\n\n  # not this\n\t/var/cache/** \n!keep # this\n\xff";
        let expected = ["*.tmp", "/var/cache/**", "!keep # this"].map(OsString::from);
        let mut expected = expected.to_vec();
        expected.push(OsString::from_vec(b"\xff".to_vec()));
        assert_eq!(patterns(text).unwrap(), expected);
    }

    #[test]
    fn variables_are_put_in() {
        for (line, expected) in [
            ("$HOME/x", "/home/me/x"),
            ("a${HOME}b", "a/home/meb"),
            ("x$EMPTY.y", "x.y"),
            ("a$$HOME", "a$HOME"),
            ("${$}a", "$a"),
            ("a$.txt", "a$.txt"),
            ("a$", "a$"),
            ("${HOME", "${HOME"),
        ] {
            assert_eq!(patterns(line.as_bytes()).unwrap(), [expected], "{line}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error() {
        let error = patterns(b"a\n\n$HOME/$OTHER/x").unwrap_err();
        assert_eq!(error.to_string(), "/etc/excludes, line 3: the variable OTHER is not set");
    }
}
