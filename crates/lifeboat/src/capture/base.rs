//! Writes a whole database again, beside the chain of its captures.
//!
//! A restore begins at the newest base, and the files before it can go once no kept point needs them. The
//! state that the base holds was captured before, and has its number: nothing of the local state moves,
//! and the chain of captures goes on beneath.

use std::path::PathBuf;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{LineageAddress, LtxName, LtxWriter, Repository, Time};
use lifeboat_sqlite::{Encoded, PageArrayWriter, Pin, encode_base};

use super::out::Out;
use super::take::{base_name, hash_key, header, workers};
use crate::state::Ledger;
use crate::{Error, Note, Progress, Result};

/// A base of a state that is captured.
pub(crate) struct NewBase<'a> {
    pub(crate) repository: &'a Repository,
    /// The database.
    pub(crate) source: &'a str,
    pub(crate) lineage: LineageAddress,
    /// The last capture, and its time.
    pub(crate) txid: Txid,
    pub(crate) time: Time,
    pub(crate) checksum: Checksum,
    /// A directory for temporary files.
    pub(crate) scratch: PathBuf,
    pub(crate) ledger: Ledger,
}

impl NewBase<'_> {
    fn name(&self) -> LtxName {
        base_name(self.txid, self.time)
    }

    fn begin(&self, bytes: u64) -> Result<LtxWriter> {
        Ok(self.repository.begin_ltx(&self.lineage, self.name(), bytes)?)
    }

    /// Reads the pinned database, which must be in the state of that capture.
    pub(crate) fn read(&self, pin: &Pin, progress: &dyn Progress) -> Result<Encoded<Out>> {
        let image = pin.image()?;
        let mut header = header(&image, self.lineage.id(), self.name());
        header.checksum_after = Some(self.checksum);
        // It comes along with a base; the one of the captures is as good.
        let pages = self.scratch.join("base.pages");
        let array = PageArrayWriter::create(&pages, image.page_size(), hash_key(&pages)?)?;
        let begin = || self.begin(image.size());
        let (out, spooled) = Out::of(pin, &self.scratch, image.size(), begin)?;
        if !spooled && pin.blocks_writers() {
            progress.note(&Note::NoRoomToSpool { source: self.source.to_owned() });
        }
        let coding = self.repository.form().page_coding();
        progress.begin(&format!("storing {}", self.source), Some(image.size()));
        let advance = |bytes| progress.advance(bytes);
        let encoded = encode_base(&image, &header, coding, out, array, workers(), &advance);
        progress.end();
        std::fs::remove_file(&pages).map_err(Error::file("remove", &pages))?;
        let encoded = encoded?;
        if encoded.checksum == self.checksum {
            return Ok(encoded);
        }
        let (expected, found) = (self.checksum, encoded.checksum);
        Err(Error::Replication {
            name: self.source.to_owned(),
            problem: format!("its checksum is {found}, its captures lead to {expected}"),
        })
    }

    /// Stores what was read; the bytes that it takes.
    pub(crate) fn store(&self, encoded: Encoded<Out>) -> Result<u64> {
        let sealed = encoded.out.seal(|bytes| self.begin(bytes))?;
        self.ledger.append(sealed.objects())?;
        let objects = sealed.publish()?;
        Ok(objects.iter().map(|object| object.size).sum())
    }
}
