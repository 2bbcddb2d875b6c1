//! Reading a stored file to its end, to know that it leads where it should.

use std::collections::HashMap;

use lifeboat_ltx::Checksum;
use lifeboat_storage::Key;

use crate::{Error, LineageAddress, LtxFile, ObjectRef, Repository, Result, Secrets, open_ltx};

/// The database checksums that a file states: that of the database it is for, and that of the one it
/// leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) before: Option<Checksum>,
    pub(crate) after: Option<Checksum>,
}

impl Ends {
    /// Refuses a file that says otherwise than others of the same end, where both say.
    pub(crate) fn expect(self, key: &Key, other: Self) -> Result<()> {
        let ends =
            [("continues", self.before, other.before), ("leads to", self.after, other.after)];
        for (what, found, expected) in ends {
            if let (Some(found), Some(expected)) = (found, expected)
                && found != expected
            {
                let detail = format!("it {what} checksum {found}, what it replaces {expected}");
                return Err(Error::corrupt(key, detail));
            }
        }
        Ok(())
    }
}

/// What the beginning of a file says.
pub(crate) fn ends(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &LineageAddress,
    file: &LtxFile,
) -> Result<Ends> {
    let (node, expected) = (repository.node_of(lineage), HashMap::new());
    let (decoder, _) = open_ltx(repository.storage(), file, node, &expected, secrets)?;
    let header = decoder.header();
    Ok(Ends { before: header.checksum_before, after: header.checksum_after })
}

/// Reads all of a file: its objects are held against `expected`, where they stand there, its header
/// against its name, and its content against its checksums.
pub(crate) fn read_to_end(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &LineageAddress,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
) -> Result<Ends> {
    let node = repository.node_of(lineage);
    let (decoder, reader) = open_ltx(repository.storage(), file, node, expected, secrets)?;
    let before = decoder.header().checksum_before;
    let trailer = decoder.finish().map_err(|error| reader.explain(error))?;
    Ok(Ends { before, after: trailer.checksum_after })
}
