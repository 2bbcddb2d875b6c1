//! One page as an LZ4 frame, as Litestream 0.5.0 to 0.5.16 wrote it. Nothing says how long it is: its end is found by
//! walking its blocks.

use std::io::{Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::PageSize;
use crate::block::max_block_bytes;

/// Flags of a frame whose page is an LZ4 frame.
pub(crate) const FLAG_LEGACY: u16 = 0;

/// Page number and flags.
pub(crate) const LEGACY_FRAME_HEAD: usize = 6;

/// Magic, two descriptor bytes and their check.
const LZ4_HEAD: usize = 7;
const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Bits of the first descriptor byte: version 01 in the top two, then as follows.
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const DICTIONARY: u8 = 0x01;

/// The second descriptor byte for blocks of at most 64 KiB, which is all that a page needs.
const BLOCKS_OF_64_KIB: u8 = 0x40;

/// The longest LZ4 frame accepted for a page: head, one block of LZ4's bound with its length, end
/// mark, checksum.
pub(crate) const fn max_legacy_bytes(page_size: PageSize) -> usize {
    LZ4_HEAD + 4 + max_block_bytes(page_size) + 8
}

/// Appends the LZ4 frame of a page to `output`.
pub(crate) fn compress(page: &[u8], output: &mut Vec<u8>) -> std::io::Result<()> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, output);
    encoder.write_all(page)?;
    encoder.finish()?;
    Ok(())
}

/// How far a walk through an LZ4 frame got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// The frame is longer than the bytes given; at least so many are needed to go on.
    Needs(usize),
    /// The frame ends after so many bytes.
    Ends(usize),
}

/// Looks for the end of the LZ4 frame that starts `bytes`; `Err` says what is there instead.
pub(crate) fn walk(bytes: &[u8]) -> Result<Walk, String> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<LZ4_HEAD>() else {
        return Ok(Walk::Needs(LZ4_HEAD));
    };
    let (flags, blocks) = (head[4], head[5]);
    if head[..4] != MAGIC {
        return Err(format!("magic {}", head[..4].escape_ascii()));
    }
    if flags >> 6 != 1 || flags & (CONTENT_SIZE | DICTIONARY | BLOCK_CHECKSUM) != 0 {
        return Err(format!("descriptor flags {flags:#04x}"));
    }
    if blocks != BLOCKS_OF_64_KIB {
        return Err(format!("block size code {blocks:#04x}"));
    }
    loop {
        let so_far = bytes.len() - rest.len();
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Ok(Walk::Needs(so_far + 4));
        };
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            let checksum = if flags & CONTENT_CHECKSUM == 0 { 0 } else { 4 };
            return Ok(Walk::Ends(so_far + 4 + checksum));
        }
        // The top bit says "stored"; what remains can be 2^31 - 1, which no caller will supply.
        let length = (length & 0x7fff_ffff) as usize;
        match after.get(length..) {
            Some(next) => rest = next,
            None => return Ok(Walk::Needs(so_far + 4 + length)),
        }
    }
}

/// Decompresses a whole LZ4 frame that must hold exactly one page; otherwise says what is wrong.
pub(crate) fn decompress(frame: &[u8], page: &mut [u8]) -> Result<(), String> {
    let mut decoder = FrameDecoder::new(frame);
    decoder.read_exact(page).map_err(|error| error.to_string())?;
    // Also reads, and so verifies, the content checksum.
    match decoder.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err("a longer one".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_the_end_at_any_cut() {
        let mut frame = Vec::new();
        compress(&[7; 4096], &mut frame).expect("into memory");
        assert_eq!(frame[..6], [0x04, 0x22, 0x4d, 0x18, 0x64, 0x40]);
        for cut in 0..frame.len() {
            match walk(&frame[..cut]).expect("sound") {
                Walk::Needs(length) => assert!(length > cut && length <= frame.len()),
                Walk::Ends(length) => assert!(length == frame.len() && cut + 4 >= length),
            }
        }
        let with_more = [frame.clone(), vec![1; 9]].concat();
        assert_eq!(walk(&with_more), Ok(Walk::Ends(frame.len())));

        let mut page = [0; 4096];
        assert_eq!(decompress(&frame, &mut page), Ok(()));
        assert_eq!(page, [7; 4096]);
        assert!(decompress(&frame, &mut [0; 512]).is_err());
        assert!(decompress(&frame, &mut [0; 8192]).is_err());
    }

    #[test]
    fn frames_fit_their_bound() {
        for exponent in 9..=16 {
            let page_size = PageSize::new(1 << exponent).expect("valid");
            let mut state = 1_u32;
            let page: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .take(page_size.bytes())
            .collect();
            let mut frame = Vec::new();
            compress(&page, &mut frame).expect("into memory");
            assert!(frame.len() <= max_legacy_bytes(page_size));
        }
    }
}
