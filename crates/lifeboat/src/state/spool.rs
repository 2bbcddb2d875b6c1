//! Captures that wait for repositories.
//!
//! ```text
//! spool/<min>-<max>-<time>.ltx     u32 length (little-endian), that many bytes of JSON, an LTX file
//! ```
//!
//! The JSON is a [`Captured`]: what the state is after this capture. So a file is a capture as a
//! whole; it is durable once it has its name, and the state directory's other files may lag behind:
//! they are brought up from here.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_ltx::{Decoder, PageCoding, Txid, compact};
use lifeboat_repository::Time;

use super::database::Captured;
use super::file::{create_private_directory, sync_directory_of};
use crate::{Error, Result};

/// The name of a file that is being written.
const NEW: &str = "new";
/// Bytes that are read or written at once.
const BUFFER: usize = 64 * 1024;
/// The most that the JSON of a capture may have: facts about some thousands of tables.
const MAX_CAPTURED: u32 = 64 << 20;

/// The captures of one database that some repository still lacks, or that merges are made of.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    directory: PathBuf,
}

/// A file of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spooled {
    /// Its first transaction.
    pub(crate) min: Txid,
    /// Its last transaction.
    pub(crate) max: Txid,
    /// The time of the last one.
    pub(crate) time: Time,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    path: PathBuf,
}

impl Spool {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What waits, from the oldest to the newest transaction; nothing is changed.
    ///
    /// What was merged, or captured again after an error, and could not be removed is left out.
    pub(crate) fn waiting(&self) -> Result<Vec<Spooled>> {
        Ok(needed(self.files()?))
    }

    /// Removes the files that [`waiting`](Self::waiting) leaves out. For the owner of the spool alone.
    pub(crate) fn sweep(&self) -> Result<()> {
        let waiting = self.waiting()?;
        let mut files = self.files()?;
        files.retain(|file| !waiting.contains(file));
        files.iter().try_for_each(Spooled::remove)
    }

    /// Every file, in no order.
    pub(crate) fn files(&self) -> Result<Vec<Spooled>> {
        let failed = || Error::file("read", &self.directory);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            files.extend(Spooled::at(entry.map_err(failed())?.path())?);
        }
        Ok(files)
    }

    /// Makes one file of captures that follow each other, in their place.
    pub(crate) fn merge(&self, captures: &[&Spooled]) -> Result<Spooled> {
        let merged = self.join(captures)?;
        captures.iter().try_for_each(|one| one.remove())?;
        Ok(merged)
    }

    /// Makes one file of captures that follow each other; they stay where they are.
    pub(crate) fn join(&self, captures: &[&Spooled]) -> Result<Spooled> {
        let (Some(first), Some(last)) = (captures.first(), captures.last()) else {
            return Err(damaged(&self.directory, "nothing to merge"));
        };
        let decoders = captures.iter().map(|one| one.decoder()).collect::<Result<Vec<_>>>()?;
        self.add(first.min, &last.captured()?, |out| {
            compact(decoders, out, PageCoding::Literal)
                .map(drop)
                .map_err(|error| first.ltx_error(error))
        })
    }

    /// Adds a capture, whose LTX file `encode` writes. It is durable when this returns.
    pub(crate) fn add(
        &self,
        min: Txid,
        captured: &Captured,
        encode: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
    ) -> Result<Spooled> {
        let Some(max) = captured.txid else {
            return Err(damaged(&self.directory, "a capture without a number"));
        };
        create_private_directory(&self.directory)?;
        let new = self.directory.join(NEW);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(Error::file("create", &new))?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let facts =
            serde_json::to_vec(captured).map_err(|error| damaged(&new, error.to_string()))?;
        let length = u32::try_from(facts.len()).unwrap_or(u32::MAX).to_le_bytes();
        out.write_all(&length)
            .and_then(|()| out.write_all(&facts))
            .map_err(Error::file("write", &new))?;
        encode(&mut out)?;
        let file =
            out.into_inner().map_err(|error| Error::file("write", &new)(error.into_error()))?;
        file.sync_all().map_err(Error::file("sync", &new))?;
        let bytes = file.metadata().map_err(Error::file("look at", &new))?.len();
        let path = self.directory.join(format!("{min}-{max}-{}.ltx", captured.time.name()));
        std::fs::rename(&new, &path).map_err(Error::file("rename", &new))?;
        sync_directory_of(&path)?;
        Ok(Spooled { min, max, time: captured.time, bytes, path })
    }
}

impl Spooled {
    fn at(path: PathBuf) -> Result<Option<Self>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((min, max, time)) = parse(&name) else { return Ok(None) };
        let bytes = match path.metadata() {
            Ok(file) => file.len(),
            // The owner of the spool has removed it just now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("look at", &path)(error)),
        };
        Ok(Some(Self { min, max, time, bytes, path }))
    }

    /// One that is not there; for tests of what only looks at numbers.
    #[cfg(test)]
    pub(crate) fn sample(min: Txid, max: Txid, bytes: u64) -> Self {
        let time = Time::from_millis(i64::try_from(max.get()).unwrap_or(i64::MAX));
        Self { min, max, time, bytes, path: PathBuf::from("sample") }
    }

    /// What the state is after it.
    pub(crate) fn captured(&self) -> Result<Captured> {
        let mut file = self.open()?;
        let length = self.length(&mut file)?;
        let mut facts = vec![0; length as usize];
        file.read_exact(&mut facts).map_err(Error::file("read", &self.path))?;
        serde_json::from_slice(&facts).map_err(|error| damaged(&self.path, error.to_string()))
    }

    /// The LTX file.
    pub(crate) fn ltx(&self) -> Result<BufReader<File>> {
        let mut file = self.open()?;
        let length = self.length(&mut file)?;
        file.seek(SeekFrom::Current(i64::from(length))).map_err(Error::file("read", &self.path))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }

    /// The LTX file, its header read.
    pub(crate) fn decoder(&self) -> Result<Decoder<BufReader<File>>> {
        Decoder::new(self.ltx()?).map_err(|error| self.ltx_error(error))
    }

    /// The pages that it has, ascending.
    pub(crate) fn pages(&self) -> Result<Vec<u32>> {
        let mut decoder = self.decoder()?;
        let (mut page, mut pages) = (Vec::new(), Vec::new());
        while let Some((pgno, _)) =
            decoder.next_page(&mut page).map_err(|error| self.ltx_error(error))?
        {
            pages.push(pgno);
        }
        decoder.finish().map_err(|error| self.ltx_error(error))?;
        Ok(pages)
    }

    /// Removes it. One that a crash brings back is removed again.
    pub(crate) fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with the LTX file in it.
    pub(crate) fn ltx_error(&self, error: lifeboat_ltx::Error) -> Error {
        let (operation, path) = ("read", self.path.clone());
        lifeboat_sqlite::Error::Ltx { operation, path, source: error }.into()
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(Error::file("open", &self.path))
    }

    fn length(&self, file: &mut File) -> Result<u32> {
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(Error::file("read", &self.path))?;
        let length = u32::from_le_bytes(length);
        if length > MAX_CAPTURED || u64::from(length) + 4 > self.bytes {
            return Err(damaged(&self.path, format!("it states {length} bytes of facts")));
        }
        Ok(length)
    }
}

/// In order, without those whose transactions a later one has, too.
fn needed(mut files: Vec<Spooled>) -> Vec<Spooled> {
    files.sort_by_key(|file| (file.max, std::cmp::Reverse(file.min), file.time));
    let mut least = None;
    let mut needed: Vec<Spooled> = Vec::new();
    for file in files.into_iter().rev() {
        if least.is_none_or(|least| file.min < least) {
            least = Some(file.min);
            needed.push(file);
        }
    }
    needed.reverse();
    needed
}

fn parse(name: &str) -> Option<(Txid, Txid, Time)> {
    let mut fields = name.strip_suffix(".ltx")?.splitn(3, '-');
    let (min, max) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((min, max, Time::from_name(fields.next()?).ok()?))
}

fn damaged(path: &Path, detail: impl Into<String>) -> Error {
    Error::State { path: path.to_owned(), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use lifeboat_ltx::Txid;
    use lifeboat_repository::Time;

    use super::{Spooled, needed};

    #[test]
    fn of_files_with_the_same_transactions_the_later_and_wider_one_counts() {
        type Files = &'static [(u64, u64, i64)];
        let cases: &[(Files, Files)] = &[
            (&[], &[]),
            (&[(3, 3, 3), (1, 1, 1), (2, 2, 2)], &[(1, 1, 1), (2, 2, 2), (3, 3, 3)]),
            // Merged.
            (&[(1, 1, 1), (2, 2, 2), (3, 3, 3), (2, 3, 3)], &[(1, 1, 1), (2, 3, 3)]),
            (&[(1, 4, 4), (2, 2, 2), (5, 5, 5)], &[(1, 4, 4), (5, 5, 5)]),
            // Captured again, after the first could not be made durable.
            (&[(1, 1, 1), (2, 2, 2), (2, 2, 7)], &[(1, 1, 1), (2, 2, 7)]),
        ];
        for (files, expected) in cases {
            let txid = |number| Txid::new(number).unwrap();
            let files = files.iter().map(|&(min, max, time)| Spooled {
                min: txid(min),
                max: txid(max),
                time: Time::from_millis(time),
                bytes: 1,
                path: "x".into(),
            });
            let found = needed(files.collect());
            let found = found.iter().map(|one| (one.min.get(), one.max.get(), one.time.millis()));
            assert_eq!(found.collect::<Vec<_>>(), *expected);
        }
    }
}
