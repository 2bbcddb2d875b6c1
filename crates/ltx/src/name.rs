//! Litestream's file names.

use crate::txid::parse_hex16;
use crate::{Txid, TxidRange};

/// `<min>-<max>.ltx`, as Litestream names a file inside a level's folder.
pub fn format_name(range: TxidRange) -> String {
    format!("{range}.ltx")
}

/// The range that a file name states; `None` for any other name, which Litestream ignores as well.
pub fn parse_name(name: &str) -> Option<TxidRange> {
    let (min, max) = name.strip_suffix(".ltx")?.split_once('-')?;
    TxidRange::new(Txid::new(parse_hex16(min)?)?, Txid::new(parse_hex16(max)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        let name = "0000000000000001-00000000000000ff.ltx";
        let range = parse_name(name).expect("well-formed");
        assert_eq!((range.min().get(), range.max().get()), (1, 255));
        assert_eq!(format_name(range), name);
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            ".ltx",
            "0000000000000001-00000000000000ff.ltx.tmp",
            "0000000000000001-00000000000000FF.ltx",
            "0000000000000002-0000000000000001.ltx",
            "0000000000000000-0000000000000001.ltx",
            "1-2.ltx",
            "0000000000000001.ltx",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
