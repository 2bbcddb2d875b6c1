//! Files that are to be backed up: are they there, can they be read, and are there databases among them that are
//! copied as they lie there.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use lifeboat_files::{FoundFile, WalkItem};

use super::finding::{Area, Diagnosis, Examination};
use crate::config::FilesConfig;
use crate::files::{Attributes, paths, walk};
use crate::{Context, Error, Progress, Request, Result, size};

/// So many paths are named.
const MOST_NAMED: usize = 3;
/// Pages of these databases are not smaller than that, but for special builds.
const PAGE: u64 = 4096;
/// The first bytes of a database of redb.
const REDB: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// A database of LMDB has a page header of 16 bytes, and then this number as the machine writes it.
const LMDB: u32 = 0xbeef_c0de;

/// What a walk through a source has shown.
#[derive(Default)]
struct Seen {
    files: u64,
    bytes: u64,
    unreadable: Vec<String>,
    /// Databases that nobody brings to a halt before they are copied.
    foreign: Vec<(PathBuf, &'static str)>,
}

/// Examines the configured sources of files that are meant.
pub(super) fn examine(
    context: &Context,
    request: &Request,
    progress: &dyn Progress,
) -> Vec<Examination> {
    let configured = context.config().files.iter();
    let meant =
        configured.filter(|(name, _)| request.sources.is_empty() || request.sources.contains(name));
    meant.map(|(name, config)| examine_source(context, name, config, progress)).collect()
}

fn examine_source(
    context: &Context,
    name: &str,
    config: &FilesConfig,
    progress: &dyn Progress,
) -> Examination {
    let directory = context.environment().working_directory();
    let all: Vec<PathBuf> = paths(config).iter().map(|path| directory.join(path)).collect();
    let mut examination = Examination::new(Area::Files, name);
    let (there, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|path| path.symlink_metadata().is_ok());
    examination.add(missing.iter().map(|path| judge_missing(path)));
    if there.is_empty() {
        return examination;
    }
    let config = FilesConfig { paths: there, ..config.clone() };
    progress.begin("look at files", None);
    let seen = look(context, &config);
    progress.end();
    match seen {
        Ok(seen) => examination.add(judge(name, &config, &seen)),
        Err(error) => examination.add([Diagnosis::failed("files", error)]),
    }
    examination
}

fn judge_missing(path: &Path) -> Diagnosis {
    const EXAMINED: &str = "path";
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Diagnosis::problem(
            EXAMINED,
            format!("{} does not exist", path.display()),
            "mount what it is on, or correct `paths`",
        ),
        Err(error) => Diagnosis::failed(EXAMINED, Error::file("look at", path)(error)),
        Ok(_) => Diagnosis::ok(EXAMINED, path.display().to_string()),
    }
}

fn look(context: &Context, config: &FilesConfig) -> Result<Seen> {
    let mut seen = Seen::default();
    for item in walk(context, config, Attributes::Leave, None)? {
        match item {
            WalkItem::File(file) => seen.look_at(&file),
            WalkItem::Problem(problem) => seen.unreadable.push(crate::error::chain(&problem)),
            _ => {}
        }
    }
    Ok(seen)
}

impl Seen {
    fn look_at(&mut self, file: &FoundFile) {
        self.files += 1;
        self.bytes += file.entry.metadata.size;
        let mut content = match file.open() {
            Ok(Some(content)) => content,
            Ok(None) => return,
            Err(problem) => return self.unreadable.push(crate::error::chain(&problem)),
        };
        let size = file.entry.metadata.size;
        let mut header = [0; 32];
        if size >= PAGE && size.is_multiple_of(PAGE) && content.read_exact(&mut header).is_ok() {
            let kind = kind_of(&header);
            self.foreign.extend(kind.map(|kind| (file.entry.path.clone(), kind)));
        }
    }
}

/// Which database begins so.
fn kind_of(header: &[u8; 32]) -> Option<&'static str> {
    let magic: [u8; 4] = header[16..20].try_into().ok()?;
    if header.starts_with(REDB) {
        Some("redb")
    } else if u32::from_le_bytes(magic) == LMDB || u32::from_be_bytes(magic) == LMDB {
        Some("LMDB")
    } else {
        None
    }
}

fn judge(name: &str, config: &FilesConfig, seen: &Seen) -> Vec<Diagnosis> {
    let found = format!("{}, {}", size::count(seen.files, "file"), size::bytes(seen.bytes));
    let mut findings = vec![Diagnosis::ok("files", found)];
    if !seen.unreadable.is_empty() {
        findings.push(Diagnosis::warning(
            "readable",
            format!("not all of it: {}", named(&seen.unreadable)),
            "run backups as a user who may read them, or leave them out with `exclude`",
        ));
    }
    if !seen.foreign.is_empty() {
        let foreign: Vec<String> = seen
            .foreign
            .iter()
            .map(|(path, kind)| format!("{} ({kind})", path.display()))
            .collect();
        let found =
            format!("copied as they lie there, while they may be in use: {}", named(&foreign));
        findings.push(if config.hooks.before.is_none() {
            Diagnosis::warning(
                "databases",
                found,
                format!(
                    "stop or freeze what writes to them in a `before` hook of [files.{name}], and let them \
                     go on in `after`"
                ),
            )
        } else {
            Diagnosis::ok("databases", format!("{found}; its hooks see to it"))
        });
    }
    findings
}

/// The first of them, and how many there are besides.
fn named(all: &[String]) -> String {
    let mut text = all.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > MOST_NAMED {
        text += &format!(" and {} more", all.len() - MOST_NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_databases_by_their_first_bytes() {
        let header = |at: usize, bytes: &[u8]| {
            let mut header = [0; 32];
            header[at..at + bytes.len()].copy_from_slice(bytes);
            header
        };
        for (at, bytes, kind) in [
            (0, REDB, Some("redb")),
            (0, &b"redb"[..], None),
            (16, &LMDB.to_le_bytes(), Some("LMDB")),
            (16, &LMDB.to_be_bytes(), Some("LMDB")),
            (12, &LMDB.to_le_bytes(), None),
            (0, b"SQLite format 3\0", None),
            (0, &[], None),
        ] {
            assert_eq!(kind_of(&header(at, bytes)), kind, "{at} {bytes:?}");
        }
    }

    #[test]
    fn some_are_named() {
        let all = |count: u32| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(named(&all(1)), "0");
        assert_eq!(named(&all(3)), "0, 1, 2");
        assert_eq!(named(&all(5)), "0, 1, 2 and 2 more");
    }
}
