//! Permissions in a local repository.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::access::{Exposure, exposure};
use super::finding::Diagnosis;

/// As many files and directories are looked at.
const MOST: usize = 2_000;
/// As many are named.
const NAMED: usize = 3;

/// Looks at the permissions of the first files and directories of a repository, the upper ones
/// first. Their content is sealed, but their names and sizes are not.
pub(super) fn examine(root: &Path) -> Diagnosis {
    const EXAMINED: &str = "permissions";
    let mut offenders = Vec::new();
    let looked_at = walk(root, &mut |path, mode| {
        if exposure(mode) != Exposure::Private {
            offenders.push((path, mode));
        }
    });
    if offenders.is_empty() {
        let found = format!("private ({looked_at} files and directories looked at)");
        return Diagnosis::ok(EXAMINED, found);
    }
    let named: Vec<_> = offenders
        .iter()
        .take(NAMED)
        .map(|(path, mode)| format!("{} ({mode:04o})", shown(root, path)))
        .collect();
    let more = offenders.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let found = format!("others can get at {}{more}", named.join(", "));
    let remedy = format!("chmod -R go= {}", root.display());
    if offenders.iter().any(|(_, mode)| exposure(*mode) == Exposure::Writable) {
        return Diagnosis::problem(EXAMINED, found, remedy);
    }
    Diagnosis::warning(EXAMINED, found, remedy)
}

fn shown(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
        _ => path.display().to_string(),
    }
}

/// Breadth first, links not followed; returns how many were looked at.
fn walk(root: &Path, look: &mut dyn FnMut(PathBuf, u32)) -> usize {
    let mut waiting = std::collections::VecDeque::from([root.to_owned()]);
    let mut looked_at = 0;
    while let Some(path) = waiting.pop_front() {
        if looked_at == MOST {
            break;
        }
        let Ok(file) = path.symlink_metadata() else { continue };
        if path != root && file.is_symlink() {
            continue;
        }
        looked_at += 1;
        let Ok(file) = path.metadata() else { continue };
        if file.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            below.sort();
            waiting.extend(below);
        }
        look(path, file.mode() & 0o7777);
    }
    looked_at
}
