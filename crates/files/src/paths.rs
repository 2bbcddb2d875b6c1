//! Which paths are meant.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The paths that a walk begins with: absolute, without `.` and `..`, in byte order of their
/// components, none of them below another.
///
/// `..` is taken away with the name before it, without asking what that is. Symbolic links stay what
/// they are: a path that is one is listed as a link, and one that leads through some is listed where
/// it was named. Only if one leads through a link that is itself below (or is) another of the paths, it
/// is listed where the link leads: there it would be under a name that the link has already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePaths {
    paths: Vec<PathBuf>,
}

impl SourcePaths {
    /// The paths as named by a user; relative ones are relative to the current directory. Whether they
    /// exist shows in the walk.
    ///
    /// [`Error::NoPaths`]; [`Error::Path`] for an empty path, one with a zero byte, and one that leads
    /// nowhere through a link below another of the paths.
    pub fn new(named: &[PathBuf]) -> Result<Self> {
        if named.is_empty() {
            return Err(Error::NoPaths);
        }
        let mut paths = named.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?;
        for index in 0..paths.len() {
            if leads_through_link(&paths[index], &paths) {
                paths[index] = resolve_parent(&paths[index])?;
            }
        }
        // Paths compare by their components: `/a/b` comes before `/a-b`, as in a walk, and what is below
        // a path comes right after it.
        paths.sort();
        paths.dedup_by(|path, before| path.starts_with(before));
        Ok(Self { paths })
    }

    /// The paths.
    #[must_use]
    pub fn as_slice(&self) -> &[PathBuf] {
        &self.paths
    }
}

/// A path from the root, without `.` and `..`.
fn absolute(path: &Path) -> Result<PathBuf> {
    let failed = |source| Error::Path { path: path.to_owned(), source };
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it has a zero byte")));
    }
    Ok(clean(&std::path::absolute(path).map_err(failed)?))
}

/// A path from the root on without `.` and, as far as names go, `..`: what is under a name is not asked.
#[must_use]
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Whether there is a symbolic link on the way from one of `others` to `path`.
fn leads_through_link(path: &Path, others: &[PathBuf]) -> bool {
    let above = path.ancestors().skip(1);
    let outermost = others.iter().filter(|other| path.starts_with(other) && *other != path);
    let Some(outermost) = outermost.min() else { return false };
    above.take_while(|above| above.starts_with(outermost)).any(Path::is_symlink)
}

/// The same place, named without links before its last name.
fn resolve_parent(path: &Path) -> Result<PathBuf> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent =
        parent.canonicalize().map_err(|source| Error::Path { path: path.to_owned(), source })?;
    Ok(parent.join(path.file_name().unwrap_or(OsStr::new(""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_paths() {
        for (path, expected) in [("/a/./b/../c/", "/a/c"), ("/..", "/"), ("a", "/a"), ("/", "/")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected));
        }
    }
}
