//! Files that are to be backed up: are they there, can they be read, and are there databases among them that are
//! copied as they lie there.

use std::fmt;
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
    unreadable: Named,
    /// Databases that nobody brings to a halt before they are copied.
    foreign: Named,
}

/// Some of many, and how many there are.
#[derive(Default)]
struct Named {
    first: Vec<String>,
    count: u64,
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
        if size >= PAGE
            && size.is_multiple_of(PAGE)
            && content.read_exact(&mut header).is_ok()
            && let Some(kind) = kind_of(&header)
        {
            self.foreign.push(format!("{} ({kind})", file.entry.path.display()));
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
    if seen.unreadable.count > 0 {
        findings.push(Diagnosis::warning(
            "readable",
            format!("not all of it: {}", seen.unreadable),
            "run backups as a user who may read them, or leave them out with `exclude`",
        ));
    }
    if seen.foreign.count > 0 {
        let found = format!("copied as they lie there, while they may be in use: {}", seen.foreign);
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

impl Named {
    fn push(&mut self, text: String) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(text);
        }
    }
}

/// The first of them, and how many there are besides.
impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
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
        let named = |count: u32| {
            let mut named = Named::default();
            (0..count).for_each(|number| named.push(number.to_string()));
            named.to_string()
        };
        assert_eq!(named(1), "0");
        assert_eq!(named(3), "0, 1, 2");
        assert_eq!(named(5), "0, 1, 2 and 2 more");
    }
}
