//! One page as an LZ4 block.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use crate::{Error, PageSize, Result};

/// Flags of a frame whose page is an LZ4 block with its length before it.
pub(crate) const FLAG_BLOCK: u16 = 0x0001;

/// Page number, flags, length of the block.
pub(crate) const BLOCK_FRAME_HEAD: usize = 10;

/// What stands before a page in a block of a single run of literals: a token and the run's length.
pub(crate) fn literal_prefix(page_size: PageSize) -> Vec<u8> {
    // The token itself counts 15. Bytes of 255 go on; the first other one ends the length.
    let rest = page_size.bytes() - 15;
    let mut prefix = vec![0xf0];
    prefix.resize(1 + rest / 255, u8::MAX);
    prefix.extend(u8::try_from(rest % 255));
    prefix
}

/// The longest block of a page that any sensible encoder writes: LZ4's own bound. Longer ones are refused.
pub(crate) const fn max_block_bytes(page_size: PageSize) -> usize {
    page_size.bytes() + page_size.bytes() / 255 + 16
}

/// Compresses pages one by one.
pub(crate) struct BlockCompressor {
    table: CompressTable,
    output: Vec<u8>,
}

impl BlockCompressor {
    pub(crate) fn new(page_size: PageSize) -> Self {
        let output = vec![0; get_maximum_output_size(page_size.bytes())];
        Self { table: CompressTable::default(), output }
    }

    /// The block of a page.
    pub(crate) fn compress(&mut self, page: &[u8]) -> std::io::Result<&[u8]> {
        let length = compress_into_with_table(page, &mut self.output, &mut self.table)
            .map_err(std::io::Error::other)?;
        Ok(&self.output[..length])
    }
}

/// The LZ4 blocks of pages that follow each other, made before an encoder writes them: compressing
/// takes longer than all else, and this way other threads can do it.
#[derive(Debug)]
pub struct PageBlocks {
    bytes: Vec<u8>,
    /// Where each block ends.
    ends: Vec<usize>,
}

impl PageBlocks {
    /// Compresses pages; `pages` holds one after the other.
    pub fn compress(page_size: PageSize, pages: &[u8]) -> Result<Self> {
        let mut compressor = BlockCompressor::new(page_size);
        let count = pages.len() / page_size.bytes();
        let mut blocks =
            Self { bytes: Vec::with_capacity(pages.len()), ends: Vec::with_capacity(count) };
        for page in pages.chunks_exact(page_size.bytes()) {
            let block = compressor
                .compress(page)
                .map_err(|source| Error::Write { offset: blocks.bytes.len() as u64, source })?;
            blocks.bytes.extend_from_slice(block);
            blocks.ends.push(blocks.bytes.len());
        }
        Ok(blocks)
    }

    /// The block of the page at this place, from 0; `None` behind the last.
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.bytes.get(start..*self.ends.get(at)?)
    }
}

/// Decompresses a block that must hold exactly one page; otherwise says what it holds.
pub(crate) fn decompress(block: &[u8], page: &mut [u8]) -> std::result::Result<(), String> {
    match decompress_into(block, page) {
        Ok(length) if length == page.len() => Ok(()),
        Ok(length) => Err(format!("one of {length} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_blocks_are_lz4() {
        for exponent in 9..=16 {
            let page_size = PageSize::new(1 << exponent).expect("valid");
            let page: Vec<u8> = (0..=u8::MAX).cycle().take(page_size.bytes()).collect();
            let block = [literal_prefix(page_size), page.clone()].concat();
            assert!(block.len() <= max_block_bytes(page_size));
            let mut decoded = vec![0; page.len()];
            assert_eq!(decompress(&block, &mut decoded), Ok(()));
            assert_eq!(decoded, page);
        }
    }

    #[test]
    fn blocks_of_another_length_are_errors() {
        let page_size = PageSize::new(512).expect("valid");
        let block = [literal_prefix(page_size), vec![7; 512]].concat();
        assert!(decompress(&block, &mut [0; 511]).is_err());
        assert!(decompress(&block, &mut [0; 513]).is_err());
        assert!(decompress(&block[..block.len() - 1], &mut [0; 512]).is_err());
        assert!(decompress(&[], &mut [0; 512]).is_err());
    }
}
