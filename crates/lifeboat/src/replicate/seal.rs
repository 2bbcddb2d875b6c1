//! Makes the file of a repository from captures of the spool.

use std::fs::File;
use std::io::{BufReader, Write};
use std::sync::Arc;

use lifeboat_ltx::{Decoder, Encoder, PageCoding, compact};
use lifeboat_repository::{LineageAddress, LtxName, LtxWriter, ObjectRef, Repository};
use lifeboat_storage::Storage;

use crate::state::{Ledger, Spooled};
use crate::{Error, Result};

/// Brings the file that captures which follow each other make into a repository: sealed into an outbox, noted
/// in the ledger, sent. What an earlier try left in the outbox is sent as it is; anything else there is
/// of no use. The bytes that were sent.
pub(super) fn seal_and_send<'a>(
    repository: &Repository,
    outbox: &Arc<dyn Storage>,
    ledger: &Ledger,
    lineage: &LineageAddress,
    name: LtxName,
    captures: impl Iterator<Item = &'a Spooled>,
) -> Result<u64> {
    let mut outgoing = repository.outgoing(outbox)?;
    if outgoing.last().is_none_or(|last| last.name != Some(name)) {
        for stale in outgoing {
            outbox.remove(&stale.entry.key)?;
        }
        let objects = seal(repository, outbox.clone(), lineage, name, captures)?;
        ledger.append(&objects)?;
        outgoing = repository.outgoing(outbox)?;
    }
    let mut sent_bytes = 0;
    for one in outgoing {
        sent_bytes += one.entry.size;
        repository.send(outbox, &one.entry)?;
        outbox.remove(&one.entry.key)?;
    }
    Ok(sent_bytes)
}

/// Merges captures that follow each other, and seals them into an outbox. Every checksum of theirs is
/// verified on the way.
fn seal<'a>(
    repository: &Repository,
    outbox: Arc<dyn Storage>,
    lineage: &LineageAddress,
    name: LtxName,
    captures: impl Iterator<Item = &'a Spooled>,
) -> Result<Vec<ObjectRef>> {
    let coding = repository.form().page_coding();
    let mut writer = repository.begin_ltx_in(outbox, lineage, name)?;
    let captures: Vec<&Spooled> = captures.collect();
    let written = match captures.as_slice() {
        [one] => recode(one.decoder()?, &mut writer, coding),
        several => {
            let decoders = several.iter().map(|one| one.decoder()).collect::<Result<Vec<_>>>()?;
            compact(decoders, &mut writer, coding).map(drop)
        }
    };
    written.map_err(|error| match error {
        error @ lifeboat_ltx::Error::Write { .. } => Error::from(LtxWriter::explain(error)),
        error => captures[0].ltx_error(error),
    })?;
    Ok(writer.finish()?.publish()?)
}

/// Writes a file again, its pages coded as the repository has them.
fn recode(
    mut decoder: Decoder<BufReader<File>>,
    out: &mut impl Write,
    coding: PageCoding,
) -> lifeboat_ltx::Result<()> {
    let header = decoder.header().clone();
    let mut encoder = Encoder::with_coding(out, &header, coding)?;
    let mut page = Vec::new();
    while let Some((pgno, crc)) = decoder.next_page_with_crc(&mut page)? {
        encoder.write_page_with_crc(pgno, &page, crc)?;
    }
    decoder.finish()?;
    encoder.finish()?;
    Ok(())
}
