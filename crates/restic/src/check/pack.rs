//! Reads one pack to its end: its name, its header, and every blob in it.

use std::io::{self, Read};

use lifeboat_storage::HashingReader;

use super::packs::Expected;
use crate::blob::BlobOpener;
use crate::reading::must_be_short;
use crate::{
    BlobHandle, BlobKind, BlobLocation, Error, Index, Listed, ObjectId as _, PackId, PackedBlob,
    ResticRepository, Result,
};

/// What is wrong with a pack.
#[derive(Debug, Default)]
pub(super) struct PackFindings {
    pub(super) problems: Vec<String>,
    /// The blobs that cannot be had from it.
    pub(super) damaged: Vec<BlobHandle>,
}

/// Reads a pack that is there. Errors of the storage are problems of the pack: it cannot be read.
pub(super) fn verify(
    repository: &ResticRepository,
    index: &Index,
    pack: Listed<PackId>,
    expected: Expected,
) -> PackFindings {
    let mut findings = PackFindings::default();
    let blobs = match repository.pack_header(&pack.id, pack.size) {
        Ok(blobs) if findings.agree(index, &pack.id, &blobs, expected) => blobs,
        // Whoever restores goes by the index.
        Ok(_) => blobs_by_index(index, &pack.id),
        Err(error) => {
            findings.problems.push(problem_of(&error));
            blobs_by_index(index, &pack.id)
        }
    };
    let mut read = 0;
    if let Err(error) = findings.read(repository, &pack.id, &blobs, &mut read) {
        findings.problems.push(problem_of(&error));
        findings.damaged.extend(blobs.iter().skip(read).map(|packed| packed.blob));
    }
    findings
}

fn blobs_by_index(index: &Index, pack: &PackId) -> Vec<PackedBlob> {
    let mut blobs = Vec::new();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        let here = index.distinct_blobs(kind).filter(|(_, location)| location.pack == *pack);
        blobs.extend(here.map(|(id, location)| PackedBlob {
            blob: BlobHandle { kind, id },
            extent: location.extent,
        }));
    }
    blobs.sort_by_key(|packed| packed.extent.offset);
    blobs
}

/// The problem alone, where it is clear which object has it.
fn problem_of(error: &Error) -> String {
    match error {
        Error::Corrupt { problem, .. } => problem.clone(),
        error => error.with_sources(),
    }
}

impl PackFindings {
    /// Whether the header, which lists `blobs`, and the index say the same of a pack.
    fn agree(
        &mut self,
        index: &Index,
        pack: &PackId,
        blobs: &[PackedBlob],
        expected: Expected,
    ) -> bool {
        for PackedBlob { blob, extent } in blobs {
            let here = BlobLocation { pack: *pack, extent: *extent };
            if !index.find_all(blob).any(|location| location == here) {
                self.problems.push(format!("{blob}: in its header and not in the index"));
            }
        }
        if blobs.len() != expected.blobs {
            let (found, listed) = (blobs.len(), expected.blobs);
            self.problems.push(format!("{found} blobs in its header, {listed} in the index"));
        }
        self.problems.is_empty()
    }

    /// Reads a pack from its beginning to its end, and counts the blobs of which it is known how they are.
    fn read(
        &mut self,
        repository: &ResticRepository,
        pack: &PackId,
        blobs: &[PackedBlob],
        read: &mut usize,
    ) -> Result<()> {
        let mut opener = BlobOpener::new(repository.cipher());
        let mut reader = HashingReader::new(repository.storage().read(&pack.key()?, None)?);
        let mut position = 0;
        for packed in blobs {
            let range = packed.extent.range();
            let opened = match range.start.checked_sub(position) {
                None => Err(Error::corrupt(packed.blob, "overlaps the one before it in the index")),
                Some(gap) => {
                    discard(&mut reader, gap)?;
                    position = range.end;
                    read_blob(&mut reader, &mut opener, packed)?
                }
            };
            *read += 1;
            if let Err(error) = opened {
                self.problems.push(format!("{}: {}", packed.blob, problem_of(&error)));
                self.damaged.push(packed.blob);
            }
        }
        discard(&mut reader, u64::MAX)?;
        if reader.finish().1.sha256 != *pack.as_bytes() {
            self.problems.push("its SHA-256 is not its name".to_owned());
        }
        Ok(())
    }
}

/// Reads the next blob. The outer error is that of the pack, with which all that follows is lost.
fn read_blob(
    reader: &mut impl Read,
    opener: &mut BlobOpener<'_>,
    packed: &PackedBlob,
) -> Result<Result<()>> {
    let PackedBlob { blob, extent } = packed;
    if let Err(error) = must_be_short(blob, extent) {
        discard(reader, extent.length.into())?;
        return Ok(Err(error));
    }
    let mut sealed = Vec::new();
    reader.take(extent.length.into()).read_to_end(&mut sealed).map_err(failed)?;
    if sealed.len() != extent.length as usize {
        return Err(Error::corrupt(blob, format!("ends within {blob}")));
    }
    Ok(opener.open(blob, &mut sealed, extent.uncompressed_length))
}

fn discard(reader: &mut impl Read, bytes: u64) -> Result<()> {
    io::copy(&mut reader.take(bytes), &mut io::sink()).map(|_| ()).map_err(failed)
}

fn failed(error: io::Error) -> Error {
    Error::from_stream("read", error)
}
