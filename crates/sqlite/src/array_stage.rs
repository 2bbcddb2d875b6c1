//! Puts a page array together from LTX files, without the database that it describes: a base, then
//! the deltas that follow it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_ltx::{Checksum, Decoder, PageSize, Txid};

use crate::page_array::{PageRecord, RECORD, finish, offset};
use crate::record_run::RecordRun;
use crate::replay::Replay;
use crate::stage::Applied;
use crate::{Error, HashKey, Result};

/// A page array being put together. The file is none until [`finish`](Self::finish).
#[derive(Debug)]
pub struct PageArrayStage {
    path: PathBuf,
    file: File,
    key: HashKey,
    replay: Replay,
}

impl PageArrayStage {
    /// Creates the file, replacing one that is there.
    pub fn create(path: &Path, key: HashKey) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("create", path))?;
        Ok(Self { path: path.to_owned(), file, key, replay: Replay::default() })
    }

    /// Applies one file: a base first, else a file that continues the last one. Every checksum that
    /// the file states is verified; after one that failed, nothing more can be applied.
    ///
    /// `progress` is told the bytes of each page.
    pub fn apply<R: Read>(
        &mut self,
        mut decoder: Decoder<R>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Applied> {
        let header = decoder.header().clone();
        self.replay.begin(&header)?;
        let mut page = Vec::with_capacity(header.page_size.bytes());
        let (mut run, mut pages) = (RecordRun::default(), 0);
        while let Some((pgno, checksum)) =
            decoder.next_page(&mut page).map_err(|source| self.ltx(source))?
        {
            let (file, path) = (&self.file, &self.path);
            self.replay.page(pgno, checksum, || recorded(file, path, pgno))?;
            let record = PageRecord::of(pgno, &page, self.key.hash(&page), checksum);
            run.push(pgno, &record.encode(), |first, records| self.write(first, records))?;
            progress(page.len() as u64);
            pages += 1;
        }
        run.end(|first, records| self.write(first, records))?;
        let trailer = decoder.finish().map_err(|source| self.ltx(source))?;
        for pgno in self.replay.cut_off(&header) {
            self.replay.cut(recorded(&self.file, &self.path, pgno)?);
        }
        // What a shrink leaves must not come back as the records of a later growth. The record of
        // the lock page is never written, so it reads as zero.
        let length = offset(header.commit.saturating_add(1));
        self.file.set_len(length).map_err(Error::file("resize", &self.path))?;
        self.replay.end(&header, trailer.checksum_after)?;
        Ok(Applied { pages, txid: header.range.max() })
    }

    /// The checksum of the database that the array describes so far.
    pub fn checksum(&self) -> Checksum {
        self.replay.checksum()
    }

    /// The last transaction applied.
    pub fn txid(&self) -> Option<Txid> {
        self.replay.txid()
    }

    /// Bytes in a page; `None` before the first file.
    pub fn page_size(&self) -> Option<PageSize> {
        self.replay.page_size()
    }

    /// Makes the file whole and durable.
    ///
    /// [`Error::Discontinuous`] if no file was applied, or the last one failed.
    pub fn finish(self) -> Result<()> {
        let Some(page_size) = self.replay.page_size().filter(|_| !self.replay.is_torn()) else {
            return Err(Error::Discontinuous { detail: "expected a base, found no file".into() });
        };
        finish(&self.file, &self.path, page_size, &self.key)
    }

    fn write(&self, first: u32, records: &[u8]) -> Result<()> {
        self.file.write_all_at(records, offset(first)).map_err(Error::file("write", &self.path))
    }

    fn ltx(&self, source: lifeboat_ltx::Error) -> Error {
        Error::Ltx { operation: "apply", path: self.path.clone(), source }
    }
}

/// The checksum in the record of a page. One without is damage that somebody else made just now.
fn recorded(file: &File, path: &Path, pgno: u32) -> Result<Checksum> {
    let mut record = [0; RECORD];
    file.read_exact_at(&mut record, offset(pgno)).map_err(Error::file("read", path))?;
    Checksum::from_stored(PageRecord::decode(&record).checksum).ok_or_else(|| Error::PageArray {
        path: path.to_owned(),
        detail: format!("the record of page {pgno} has no checksum"),
    })
}
