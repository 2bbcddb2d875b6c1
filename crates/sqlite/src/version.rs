//! The version of the SQLite library that last wrote a database.

use std::fmt;

/// `X*1000000 + Y*1000 + Z`, as it stands at offset 96 of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqliteVersion(pub u32);

impl SqliteVersion {
    /// Whether this library has the WAL-reset race: where one connection checkpoints while another
    /// writes, a checkpoint may take frames for copied that are not, and committed pages are lost
    /// (<https://www.sqlite.org/wal.html#walresetbug>). In 3.7.0 to 3.51.2, mended in 3.51.3 and,
    /// for older lines, in 3.50.7 and 3.44.6.
    pub fn may_lose_wal_pages(self) -> bool {
        let mended =
            (3_050_007..3_051_000).contains(&self.0) || (3_044_006..3_045_000).contains(&self.0);
        (3_007_000..3_051_003).contains(&self.0) && !mended
    }
}

impl fmt::Display for SqliteVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0 / 1_000_000, self.0 / 1000 % 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteVersion;

    #[test]
    fn affected_versions() {
        let cases = [
            (0, false),
            (3_006_023, false),
            (3_007_000, true),
            (3_040_001, true),
            (3_044_005, true),
            (3_044_006, false),
            (3_045_000, true),
            (3_050_006, true),
            (3_050_007, false),
            (3_051_000, true),
            (3_051_002, true),
            (3_051_003, false),
            (3_054_001, false),
        ];
        for (version, affected) in cases {
            assert_eq!(SqliteVersion(version).may_lose_wal_pages(), affected, "{version}");
        }
        assert_eq!(SqliteVersion(3_044_006).to_string(), "3.44.6");
    }
}
