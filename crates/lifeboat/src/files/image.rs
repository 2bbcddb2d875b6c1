//! Sources that are one file, put back: what a command printed, and a device.

mod device;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lifeboat_files::{Decision, Entry, Kind, Overwrite, Owners, Put, PutOptions};
use lifeboat_repository::{BackupName, Source};
use lifeboat_restic::Node;
use sha2::{Digest, Sha256};

use self::device::{Device, Onto, decide};
use super::StoredFiles;
use super::meant::StoredSource;
use super::restore::safety_name;
use crate::destination::directory_of;
use crate::{Detour, Error, OpenRepository, Progress, Result};

/// Where what a command printed, or a device, is to be put.
#[derive(Debug, Clone, Default)]
pub struct ImageRestoreRequest {
    /// A file, a directory for a file, or a block device.
    pub target: Option<PathBuf>,
    /// Replace what is there. A file is moved aside; what is on a device is lost.
    pub force: bool,
    /// Take no lock of the repository.
    pub no_lock: bool,
}

/// What a restore of a single file will do. Nothing has been changed yet.
#[derive(Debug)]
pub struct ImageRestorePlan {
    /// The backup.
    pub backup: BackupName,
    /// Newer backups that were passed over.
    pub detour: Detour,
    /// The name of the source.
    pub name: String,
    /// Where to.
    pub target: PathBuf,
    /// Whether that is a device.
    pub onto_device: bool,
    /// Whether something is there.
    pub replaces: bool,
    /// Bytes to write.
    pub size_bytes: u64,
    /// What their SHA-256 must be, in hex.
    pub sha256: String,
    stored: StoredFiles,
    node: Node,
}

/// What a restore of a single file did.
#[derive(Debug)]
pub struct ImageRestoreReport {
    /// The backup.
    pub backup: BackupName,
    /// Newer backups that were passed over.
    pub detour: Detour,
    /// The name of the source.
    pub name: String,
    /// Where it is.
    pub target: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// Their SHA-256 in hex, as computed while they were written.
    pub sha256: String,
    /// The directory to which the file that was there has been moved.
    pub moved_to: Option<PathBuf>,
    /// How long it took.
    pub duration_ms: u64,
}

/// A source that is one file.
pub(super) struct Single<'a> {
    name: &'a str,
    file_name: &'a str,
    size_bytes: u64,
    pub(super) sha256: &'a str,
}

impl<'a> Single<'a> {
    pub(super) fn of(source: &'a Source) -> Option<Self> {
        match source {
            Source::Command(one) => Some(Self {
                name: &one.name,
                file_name: &one.file_name,
                size_bytes: one.size_bytes,
                sha256: &one.sha256,
            }),
            Source::Device(one) => Some(Self {
                name: &one.name,
                file_name: &one.file_name,
                size_bytes: one.size_bytes,
                sha256: &one.sha256,
            }),
            _ => None,
        }
    }

    /// Its node in the tree of the source.
    pub(super) fn node(&self, stored: &StoredFiles, source: &Source) -> Result<Node> {
        let missing = || Error::Usage { problem: "the source is no file".to_owned(), hint: None };
        let tree = &source.stored().ok_or_else(missing)?.tree;
        let node = stored.node_at(tree, Path::new(self.file_name))?;
        node.filter(|node| node.kind == Kind::File).ok_or_else(|| {
            let problem = format!("no file {:?} is in it", self.file_name);
            lifeboat_restic::Error::Corrupt { object: format!("tree {tree}"), problem }.into()
        })
    }
}

/// Decides where to and whether it can be done: a device must be large enough, and what is there is replaced
/// only with `force`.
pub fn plan_image_restore(
    opened: &OpenRepository<'_>,
    meant: StoredSource,
    request: &ImageRestoreRequest,
    progress: &dyn Progress,
) -> Result<ImageRestorePlan> {
    let StoredSource { backup, source, detour, .. } = meant;
    let Some(single) = Single::of(&source) else {
        return Err(Error::Usage {
            problem: "the source is not a single file".to_owned(),
            hint: None,
        });
    };
    let target = request.target.as_ref().ok_or_else(|| {
        Error::usage(
            format!("where {} is to be put is not known", single.name),
            format!(
                "say where to with --target, or write it to a pipe: lifeboat dump {}",
                single.name
            ),
        )
    })?;
    let mut target = opened.context().environment().working_directory().join(target);
    if target.is_dir() {
        target.push(single.file_name);
    }
    let onto = Onto::look(&target)?;
    decide(&onto, request.force, single.size_bytes)
        .map_err(|refused| refused.into_error(&target, single.size_bytes))?;
    let stored = StoredFiles::open(opened, request.no_lock, progress)?;
    let node = single.node(&stored, &source)?;
    if matches!(onto, Onto::Nothing) {
        crate::space::require(&directory_of(&target), 0)?;
    }
    Ok(ImageRestorePlan {
        backup,
        detour,
        name: single.name.to_owned(),
        target,
        onto_device: matches!(onto, Onto::Device { .. }),
        replaces: !matches!(onto, Onto::Nothing),
        size_bytes: single.size_bytes,
        sha256: single.sha256.to_owned(),
        stored,
        node,
    })
}

/// Carries a plan out. A file gets its name when all of it was written and has the hash that it should have; a
/// device has what was written until then.
pub fn restore_image(
    plan: ImageRestorePlan,
    progress: &dyn Progress,
) -> Result<ImageRestoreReport> {
    let began = Instant::now();
    progress.begin(&format!("restoring {}", plan.name), Some(plan.size_bytes));
    let moved_to = if plan.onto_device {
        write_device(&plan, progress).map(|()| None)
    } else {
        write_file(&plan, progress)
    };
    progress.end();
    Ok(ImageRestoreReport {
        moved_to: moved_to?,
        backup: plan.backup,
        detour: plan.detour,
        name: plan.name,
        target: plan.target,
        size_bytes: plan.size_bytes,
        sha256: plan.sha256,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn write_device(plan: &ImageRestorePlan, progress: &dyn Progress) -> Result<()> {
    let mut device = Device::open(&plan.target, plan.size_bytes)?;
    let failed = Error::file("write to", &plan.target);
    copy(&plan.stored, &plan.node, &plan.sha256, &mut device, failed, progress)?;
    device.sync().map_err(Error::file("make durable", &plan.target))
}

fn write_file(plan: &ImageRestorePlan, progress: &dyn Progress) -> Result<Option<PathBuf>> {
    let options = PutOptions {
        overwrite: Overwrite::Always,
        owners: Owners::Mine,
        safety: Some(safety_name()),
        ..PutOptions::default()
    };
    let mut put = Put::open(&directory_of(&plan.target), options).map_err(Error::Put)?;
    put_file(plan, &mut put, progress)?;
    let mut report = put.finish();
    if report.problems.is_empty() {
        return Ok(report.moved_to.pop());
    }
    Err(Error::Put(report.problems.remove(0)))
}

fn put_file(plan: &ImageRestorePlan, put: &mut Put, progress: &dyn Progress) -> Result<()> {
    let (path, metadata) = (plan.target.clone(), plan.node.metadata.clone());
    let entry = Entry { path, kind: Kind::File, metadata };
    let decision = match put.file(plan.target.file_name().unwrap_or_default(), &entry) {
        // It is written anew rather than compared: a second reading would take as long.
        Decision::Compare(file) => file.replace(),
        decision => decision,
    };
    let Decision::Write(mut file) = decision else { return Ok(()) };
    let failed = Error::file("write", &plan.target);
    match copy(&plan.stored, &plan.node, &plan.sha256, &mut file, failed, progress) {
        Ok(()) => {
            // What comes of it is in the report.
            let _outcome = file.commit();
            Ok(())
        }
        Err(error) => {
            file.abandon("restore", std::io::Error::other("it is not whole"));
            Err(error)
        }
    }
}

/// Writes the content of a file, and makes sure that it is what it should be: each piece before it is written,
/// and all of it at the end.
pub(super) fn copy(
    stored: &StoredFiles,
    node: &Node,
    sha256: &str,
    out: &mut dyn Write,
    failed: impl FnOnce(std::io::Error) -> Error,
    progress: &dyn Progress,
) -> Result<()> {
    let mut reader = stored.repository.read_file(&stored.index, node)?;
    let mut buffer = vec![0; 1 << 20];
    let mut hasher = Sha256::new();
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(of_reading(error)),
        };
        hasher.update(&buffer[..read]);
        if let Err(error) = out.write_all(&buffer[..read]) {
            return Err(failed(error));
        }
        progress.advance(read as u64);
    }
    let found = format!("{:x}", hasher.finalize());
    if found != sha256 {
        let problem = format!("its SHA-256 is {found}, the backup says {sha256}");
        let object = format!("the content of {}", node.name.display());
        return Err(lifeboat_restic::Error::Corrupt { object, problem }.into());
    }
    Ok(())
}

/// The error that the reader of a file carries.
pub(super) fn of_reading(error: std::io::Error) -> Error {
    match error.downcast::<lifeboat_restic::Error>() {
        Ok(error) => error.into(),
        Err(error) => Error::Output { source: error },
    }
}
