//! Reading the frames of a WAL that belong to a state of it.

use lifeboat_ltx::PageSize;

use crate::WalPosition;
use crate::buffer::Buffer;
use crate::ffi::{Code, RawFile};
use crate::wal::{Chain, FRAME_HEADER, FrameHeader, FrameMark, HEADER, WalHeader};
use crate::wal_index::WalIndexHeader;

/// The WAL is read in pieces of about this size.
const PIECE: usize = 256 * 1024;

/// Why the frames of a state could not be read.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The file could not be read.
    Read(Code),
    /// They are not what the index of the WAL says.
    Unfit(String),
}

impl From<Code> for FrameError {
    fn from(code: Code) -> Self {
        Self::Read(code)
    }
}

/// Where a frame begins in the file.
pub(crate) fn frame_offset(frame: u32, page_size: PageSize) -> u64 {
    let size = FRAME_HEADER as u64 + u64::from(page_size.get());
    HEADER as u64 + u64::from(frame.saturating_sub(1)) * size
}

/// Reads the frames of `state` behind frame `after`, at which the running checksum was
/// `checksum_after`; 0 is before the first. `each` is told number, header and running checksum of
/// every frame. They count only if the walk succeeds: their checksums lead to the state.
pub(crate) fn walk(
    wal: &RawFile<'_>,
    state: &WalIndexHeader,
    page_size: PageSize,
    (after, checksum_after): (u32, [u32; 2]),
    mut each: impl FnMut(u32, &FrameHeader, [u32; 2]),
) -> Result<(), FrameError> {
    let unfit = |detail: &str| FrameError::Unfit(detail.to_owned());
    // The index is not believed before there is room for what it says.
    if wal.size()? < frame_offset(state.last_frame.saturating_add(1), page_size) {
        return Err(unfit("its WAL is shorter than the index of it"));
    }
    let header = read_header(wal)?
        .filter(|header| header.salts == state.salts && header.page_size == state.page_size)
        .ok_or_else(|| unfit("the header of its WAL is not the one in use"))?;
    let mut chain = Chain::new(&header);
    if after > 0 {
        chain = chain.resumed_at(checksum_after);
    }
    let frame_size = FRAME_HEADER + page_size.bytes();
    let per_piece = (PIECE / frame_size).max(1);
    let left = state.last_frame.saturating_sub(after) as usize;
    let mut piece = Buffer::new(per_piece.min(left) * frame_size);
    let (mut next, mut commit) = (after + 1, 0);
    while next <= state.last_frame {
        let count = per_piece.min((state.last_frame - next) as usize + 1);
        let piece = &mut piece[..count * frame_size];
        wal.read_at(piece, frame_offset(next, page_size))?;
        for frame in piece.chunks_exact(frame_size) {
            let header = chain.next(frame).ok_or_else(|| {
                FrameError::Unfit(format!("the checksum of frame {next} of its WAL is wrong"))
            })?;
            each(next, &header, chain.checksum());
            commit = header.commit;
            next += 1;
        }
    }
    if chain.checksum() != state.checksum || commit != state.page_count {
        return Err(unfit("its WAL and the index of it differ"));
    }
    Ok(())
}

/// The header of the WAL; `None` where it is none.
fn read_header(wal: &RawFile<'_>) -> Result<Option<WalHeader>, Code> {
    let mut header = [0; HEADER];
    wal.read_at(&mut header, 0)?;
    Ok(WalHeader::parse(&header))
}

/// Whether the header of the WAL is that of the position's generation, and its last frame there.
pub(crate) fn holds(
    wal: &RawFile<'_>,
    position: &WalPosition,
    page_size: PageSize,
) -> Result<bool, Code> {
    let header = read_header(wal)?;
    Ok(header.is_some_and(|header| header.salts == position.salts)
        && frame_mark(wal, position.frames, page_size)?.is_some_and(|mark| position.ends_at(&mark)))
}

/// What a frame says about itself, whatever generation it is of; `None` beyond the end of the file.
pub(crate) fn frame_mark(
    wal: &RawFile<'_>,
    frame: u32,
    page_size: PageSize,
) -> Result<Option<FrameMark>, Code> {
    let mut header = [0; FRAME_HEADER];
    let whole = wal.read_at(&mut header, frame_offset(frame, page_size))?;
    Ok(whole.then(|| FrameMark::parse(&header)))
}
