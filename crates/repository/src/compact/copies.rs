//! Copies of LTX files on this machine.

use std::io::{Read, Write};

use lifeboat_ltx::TxidRange;

use crate::LineageAddress;

/// Plain copies of LTX files on this machine, which need not be fetched, and which a machine without
/// secrets can merge.
pub trait LocalCopies {
    /// The plain bytes of the file of exactly these transactions, if there is a copy.
    fn open(&self, lineage: &LineageAddress, range: TxidRange) -> Option<Box<dyn Read + Send>>;

    /// Where to keep the plain bytes of a merge that is being made, for merges of it. They count once
    /// [`LocalCopies::kept`] says so; a merge that fails does not come so far.
    fn keep(&self, _: &LineageAddress, _: TxidRange) -> Option<Box<dyn Write + Send>> {
        None
    }

    /// The merge is stored and was read back, and its plain bytes are all written.
    fn kept(&self, _: &LineageAddress, _: TxidRange) {}
}

/// No copies: every file is fetched.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCopies;

impl LocalCopies for NoCopies {
    fn open(&self, _: &LineageAddress, _: TxidRange) -> Option<Box<dyn Read + Send>> {
        None
    }
}
