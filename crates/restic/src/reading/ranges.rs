//! Which bytes of which packs are read at once.

use std::ops::Range;

use crate::{BlobExtent, BlobId, BlobLocation, PackId};

/// As much is read at once, so that memory is bounded. A longer blob is read by itself.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// So many bytes between two blobs are read for nothing rather than asking twice.
const HOLE_BYTES: u64 = 256 * 1024;

/// Bytes of a pack that are read at once, and the blobs in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackRange {
    pub(crate) pack: PackId,
    pub(crate) range: Range<u64>,
    /// In the order of their places.
    pub(crate) blobs: Vec<(BlobId, BlobExtent)>,
    /// When the first of its blobs is needed.
    turn: usize,
}

impl PackRange {
    /// The bytes of a blob within those of the range.
    pub(crate) fn slice<'bytes>(
        &self,
        bytes: &'bytes mut [u8],
        extent: &BlobExtent,
    ) -> Option<&'bytes mut [u8]> {
        let start = usize::try_from(extent.range().start.checked_sub(self.range.start)?).ok()?;
        bytes.get_mut(start..)?.get_mut(..extent.length as usize)
    }
}

/// The ranges for blobs that are needed in this order, those needed first at the beginning.
pub(crate) fn ranges(wanted: &[(BlobId, BlobLocation)]) -> Vec<PackRange> {
    let mut by_place: Vec<_> = wanted.iter().enumerate().collect();
    by_place.sort_by_key(|(_, (_, location))| (location.pack, location.extent.offset));
    let mut ranges: Vec<PackRange> = Vec::new();
    for (turn, (id, BlobLocation { pack, extent })) in by_place {
        match ranges.last_mut().filter(|range| range.pack == *pack && fits(&range.range, extent)) {
            Some(range) => {
                range.range.end = range.range.end.max(extent.range().end);
                range.turn = range.turn.min(turn);
                range.blobs.push((*id, *extent));
            }
            None => ranges.push(PackRange {
                pack: *pack,
                range: extent.range(),
                blobs: vec![(*id, *extent)],
                turn,
            }),
        }
    }
    ranges.sort_by_key(|range| range.turn);
    ranges
}

fn fits(range: &Range<u64>, extent: &BlobExtent) -> bool {
    let Range { start, end } = extent.range();
    start.saturating_sub(range.end) <= HOLE_BYTES && end - range.start <= MOST_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(id: u8, pack: u8, offset: u32, length: u32) -> (BlobId, BlobLocation) {
        let extent = BlobExtent { offset, length, uncompressed_length: 0 };
        (BlobId::from([id; 32]), BlobLocation { pack: PackId::from([pack; 32]), extent })
    }

    fn summary(wanted: &[(BlobId, BlobLocation)]) -> Vec<(u8, u64, u64, Vec<u8>)> {
        let ranges = ranges(wanted).into_iter();
        let summary = ranges.map(|PackRange { pack, range, blobs, .. }| {
            let blobs = blobs.iter().map(|(id, _)| id.as_bytes()[0]).collect();
            (pack.as_bytes()[0], range.start, range.end, blobs)
        });
        summary.collect()
    }

    #[test]
    fn joins_neighbours_and_what_is_nearly_so() {
        const KIB: u32 = 1024;
        const MIB: u32 = 1024 * KIB;
        assert_eq!(summary(&[]), []);
        assert_eq!(
            summary(&[at(1, 9, 100, 50), at(2, 8, 0, 50), at(3, 9, 0, 100), at(4, 9, 200, 50)]),
            [(9, 0, 250, vec![3, 1, 4]), (8, 0, 50, vec![2])]
        );
        assert_eq!(
            summary(&[at(1, 9, 0, 50), at(2, 9, 50 + 256 * KIB, 50)]),
            [(9, 0, u64::from(100 + 256 * KIB), vec![1, 2])]
        );
        assert_eq!(
            summary(&[at(1, 9, 51 + 256 * KIB, 50), at(2, 9, 0, 50)]).len(),
            2,
            "a hole that is too long"
        );
        assert_eq!(
            summary(&[at(1, 9, 0, 5 * MIB), at(2, 9, 5 * MIB, 4 * MIB), at(3, 9, 9 * MIB, MIB)]),
            [
                (9, 0, u64::from(5 * MIB), vec![1]),
                (9, u64::from(5 * MIB), u64::from(10 * MIB), vec![2, 3])
            ]
        );
        assert_eq!(summary(&[at(1, 9, 0, 20 * MIB)]), [(9, 0, u64::from(20 * MIB), vec![1])]);
    }

    #[test]
    fn an_index_that_lies_makes_no_wrong_range() {
        assert_eq!(
            summary(&[at(1, 9, 0, 100), at(2, 9, 10, 20), at(3, 9, 99, 1), at(4, 9, u32::MAX, 32)]),
            [(9, 0, 100, vec![1, 2, 3]), (9, u32::MAX.into(), u64::from(u32::MAX) + 32, vec![4])]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_blob_lies_in_one_range(
            wanted in proptest::collection::vec((any::<u8>(), 0u8..3, 0u32..20_000_000, 32u32..3_000_000), 0..30)
        ) {
            let wanted: Vec<_> =
                wanted.into_iter().map(|(id, pack, offset, length)| at(id, pack, offset, length)).collect();
            let ranges = ranges(&wanted);
            let total: usize = ranges.iter().map(|range| range.blobs.len()).sum();
            prop_assert_eq!(total, wanted.len());
            for range in &ranges {
                prop_assert!(range.blobs.len() == 1 || range.range.end - range.range.start <= MOST_BYTES);
                for (_, extent) in &range.blobs {
                    prop_assert!(range.range.start <= extent.range().start);
                    prop_assert!(extent.range().end <= range.range.end);
                }
            }
        }
    }
}
