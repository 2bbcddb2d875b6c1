//! Sources that are one file: what a program prints, and a device.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_files::{Entry, FileTime, Kind, Metadata, Problem};
use lifeboat_restic::{Source, SourceContent, SourceFile, SourceItem};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::sources::command::{Ended, RunningCommand};
use crate::{Error, Result};

/// What is expected of a program, so that it is read in large pieces; what came of it is what counts.
const MUCH: u64 = 1 << 30;

/// What is read as one file.
pub(crate) enum Origin {
    Command(RunningCommand),
    Device { file: File, size: u64 },
}

/// A source that is one file at the top of its tree.
pub(crate) struct SingleFile {
    entry: Option<Entry>,
    reading: Arc<Mutex<Reading>>,
}

/// What was read so far.
struct Reading {
    origin: Origin,
    hasher: Sha256,
    bytes: u64,
    /// Whether its end was reached.
    ended: bool,
    error: Option<io::Error>,
    command: Option<Ended>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct ReadFile {
    pub(crate) bytes: u64,
    /// In hex.
    pub(crate) sha256: String,
    pub(crate) error_lines: u64,
}

impl Origin {
    /// Opens a block device, or a file that is an image of one.
    pub(crate) fn device(path: &Path) -> Result<Self> {
        let failed = |operation| Error::file(operation, path);
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::CLOEXEC).bits()).unwrap_or_default();
        let mut file =
            File::options().read(true).custom_flags(flags).open(path).map_err(failed("open"))?;
        let kind = file.metadata().map_err(failed("look at"))?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let problem = io::Error::other("it is neither a block device nor a file");
            return Err(failed("read")(problem));
        }
        let size = file.seek(SeekFrom::End(0)).map_err(failed("look at"))?;
        file.rewind().map_err(failed("read"))?;
        Ok(Self::Device { file, size })
    }
}

impl SingleFile {
    pub(crate) fn new(file_name: &str, origin: Origin) -> Self {
        let size = match &origin {
            Origin::Command(_) => MUCH,
            Origin::Device { size, .. } => *size,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = FileTime {
            seconds: i64::try_from(now.as_secs()).unwrap_or_default(),
            nanoseconds: now.subsec_nanos(),
        };
        let metadata = Metadata {
            permissions: 0o600,
            user_id: rustix::process::geteuid().as_raw(),
            group_id: rustix::process::getegid().as_raw(),
            modified: now,
            changed: now,
            size,
            links: 1,
            ..Metadata::default()
        };
        let path = PathBuf::from("/").join(file_name);
        let reading = Reading {
            origin,
            hasher: Sha256::new(),
            bytes: 0,
            ended: false,
            error: None,
            command: None,
        };
        let entry = Some(Entry { path, kind: Kind::File, metadata });
        Self { entry, reading: Arc::new(Mutex::new(reading)) }
    }

    /// What was read, once all of it was.
    pub(crate) fn end(self) -> ReadFile {
        let reading = lock(&self.reading);
        let error_lines = reading.command.map_or(0, |command| command.error_lines);
        let sha256 = format!("{:x}", reading.hasher.clone().finalize());
        ReadFile { bytes: reading.bytes, sha256, error_lines }
    }
}

impl Source for SingleFile {
    fn next(&mut self) -> Option<SourceItem> {
        let entry = self.entry.take()?;
        Some(SourceItem::File(Box::new(Whole { entry, reading: self.reading.clone() })))
    }

    fn finish(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        lock(&self.reading).finish().map_err(Into::into)
    }
}

impl Reading {
    fn finish(&mut self) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if let Origin::Command(command) = &mut self.origin {
            self.command = Some(command.end()?);
        }
        let problem = match self.origin {
            Origin::Device { size, .. } if self.bytes != size => {
                format!("only {} of {size} bytes could be read", self.bytes)
            }
            _ if !self.ended => "it was not read to its end".to_owned(),
            _ => return Ok(()),
        };
        Err(io::Error::other(problem))
    }
}

struct Whole {
    entry: Entry,
    reading: Arc<Mutex<Reading>>,
}

impl SourceFile for Whole {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn open(&self) -> Result<Option<Box<dyn SourceContent>>, Problem> {
        Ok(Some(Box::new(Content(self.reading.clone()))))
    }

    fn into_entry(self: Box<Self>) -> Entry {
        self.entry
    }
}

struct Content(Arc<Mutex<Reading>>);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reading = lock(&self.0);
        let read = match &mut reading.origin {
            Origin::Command(command) => command.read(buffer),
            Origin::Device { file, .. } => file.read(buffer),
        };
        match read {
            Ok(0) => reading.ended |= !buffer.is_empty(),
            Ok(bytes) => {
                reading.hasher.update(&buffer[..bytes]);
                reading.bytes += bytes as u64;
            }
            Err(ref error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(ref error) => {
                let offset = reading.bytes;
                let text = format!("at byte {offset}: {error}");
                reading.error = Some(io::Error::new(error.kind(), text));
            }
        }
        read
    }
}

impl SourceContent for Content {
    /// What a program prints is what it is. Of a device that is written to nobody can tell.
    fn changed(&self) -> io::Result<bool> {
        Ok(false)
    }
}

fn lock(reading: &Mutex<Reading>) -> MutexGuard<'_, Reading> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}
