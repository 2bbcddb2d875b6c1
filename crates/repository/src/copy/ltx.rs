//! One LTX file: read, verified, sealed for the target.

use std::collections::HashMap;

use lifeboat_ltx::{Checksum, ChecksumPlace, Decoder, Encoder, Header, PageCrc, Trailer};

use super::CopyEnd;
use crate::fetch::open_ltx_to_reseal;
use crate::ltx_file::Part;
use crate::read_back::Ends;
use crate::upload::LtxResealer;
use crate::{
    Form, LineageAddress, LineageListing, LtxFile, LtxName, LtxReader, LtxStream, LtxWriter,
    ObjectRef, Repository, Result, SealedLtx, locate_damage, open_ltx,
};

/// Levels that nobody uses by himself. A reader takes a file of any level by its transactions.
const OTHER_LEVELS: [u8; 4] = [7, 6, 5, 4];

/// A file on its way.
pub(super) struct LtxCopy<'a> {
    pub(super) lineage: &'a LineageAddress,
    pub(super) file: &'a LtxFile,
    /// Its name in the target.
    pub(super) name: LtxName,
    /// The checksum of the database that it is for there, where that is known.
    pub(super) before: Option<Checksum>,
    /// That of the one it must lead to, where that is known.
    pub(super) after: Option<Checksum>,
}

/// The name that a file gets in the target: its own. Parts of an upload that was killed keep their name, since
/// sealing again gives other bytes: then it is that of another level.
pub(super) fn free_name(
    to: &Repository,
    lineage: &LineageAddress,
    there: &LineageListing,
    name: LtxName,
) -> Result<LtxName> {
    for level in [name.level].into_iter().chain(OTHER_LEVELS) {
        let name = LtxName { level, ..name };
        let key = name.key(to.form(), lineage.key(), Part::Whole)?;
        let is_part =
            |entry: &&lifeboat_storage::Entry| entry.key.as_str().starts_with(key.as_str());
        if !there.partial.iter().any(|entry| is_part(&entry)) {
            return Ok(name);
        }
    }
    // The storage says that it is taken. A prune removes what was never completed.
    Ok(name)
}

impl LtxCopy<'_> {
    /// Stores it. It gets its name when it was read to its end and is sound.
    ///
    /// Between two repositories that seal, it stays compressed as it is: only the keys are others.
    pub(super) fn store(
        &self,
        from: CopyEnd<'_>,
        to: CopyEnd<'_>,
        expected: &HashMap<String, ObjectRef>,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<ObjectRef>> {
        if Form::of_ltx(self.file.first_key()).is_sealed()
            && let Some(again) =
                to.repository.begin_reseal(self.lineage, self.name, self.file.size())?
        {
            return self.reseal(from, again, expected, progress)?.publish();
        }
        self.encode_again(from, to, expected, progress)?.publish()
    }

    /// What it says of itself is as true of the copy: that its header has the lineage, the transactions and the time of
    /// its name is verified when a sealed file is opened.
    fn reseal(
        &self,
        from: CopyEnd<'_>,
        again: LtxResealer,
        expected: &HashMap<String, ObjectRef>,
        progress: &dyn Fn(u64),
    ) -> Result<SealedLtx> {
        let storage = from.repository.storage();
        let node = from.repository.node_of(self.lineage);
        let damaged = |error| locate_damage(storage, self.file, expected, error);
        let (decoder, reader, resealing) =
            open_ltx_to_reseal(storage, self.file, node, expected, from.secrets, again)
                .map_err(damaged)?;
        let (ends, plain_bytes) =
            read_pages(decoder, &reader, progress, |_, _, _| Ok(())).map_err(damaged)?;
        self.expect(ends)?;
        resealing.finish(plain_bytes)
    }

    fn encode_again(
        &self,
        from: CopyEnd<'_>,
        to: CopyEnd<'_>,
        expected: &HashMap<String, ObjectRef>,
        progress: &dyn Fn(u64),
    ) -> Result<SealedLtx> {
        let storage = from.repository.storage();
        let node = from.repository.node_of(self.lineage);
        let damaged = |error| locate_damage(storage, self.file, expected, error);
        let (decoder, reader) =
            open_ltx(storage, self.file, node, expected, from.secrets).map_err(damaged)?;
        let writer = to.repository.begin_ltx(self.lineage, self.name, self.file.size())?;
        let coding = to.repository.form().page_coding();
        let mut encoder = Encoder::with_coding(writer, &self.header(decoder.header()), coding)
            .map_err(LtxWriter::explain)?;
        let (ends, _) = read_pages(decoder, &reader, progress, |number, page, crc| {
            encoder.write_page_with_crc(number, page, crc).map_err(LtxWriter::explain).map(drop)
        })
        .map_err(damaged)?;
        self.expect(ends)?;
        let (writer, _) = encoder.finish().map_err(LtxWriter::explain)?;
        writer.finish()
    }

    fn expect(&self, found: Ends) -> Result<()> {
        let expected = Ends { before: self.before, after: self.after };
        found.expect(self.file.first_key(), expected)
    }

    /// What the copy says of itself. Where Litestream has merged it names no lineage, and what stands in the
    /// reserved bytes is not ours; the time that a listing shows may be another than its header's.
    fn header(&self, of_source: &Header) -> Header {
        let node = self.lineage.id().node();
        let is_ours = of_source.node == node || of_source.checksum_place == ChecksumPlace::Fields;
        let stated = |checksum: Option<Checksum>| checksum.filter(|_| is_ours);
        Header {
            timestamp_ms: self.name.time.millis(),
            node,
            checksum_before: stated(of_source.checksum_before),
            checksum_after: stated(of_source.checksum_after),
            checksum_place: ChecksumPlace::Reserved,
            ..of_source.clone()
        }
    }
}

/// Reads a file to its end: the checksums between which it leads, and its bytes before compression.
fn read_pages(
    mut decoder: Decoder<LtxStream>,
    reader: &LtxReader,
    progress: &dyn Fn(u64),
    mut take: impl FnMut(u32, &[u8], PageCrc) -> Result<()>,
) -> Result<(Ends, u64)> {
    let before = decoder.header().checksum_before;
    let mut page = Vec::new();
    while let Some((number, crc)) =
        decoder.next_page_with_crc(&mut page).map_err(|error| reader.explain(error))?
    {
        take(number, &page, crc)?;
        progress(page.len() as u64);
    }
    let Trailer { checksum_after, size_bytes, .. } =
        decoder.finish().map_err(|error| reader.explain(error))?;
    Ok((Ends { before, after: checksum_after }, size_bytes))
}
