//! Times as restic writes them: RFC 3339 with up to nine digits after the second.

use jiff::Timestamp;
use lifeboat_files::FileTime;

/// The first second of the year 0, and the last that a [`Timestamp`] holds.
const SECONDS: (i64, i64) = (-62_167_219_200, 253_402_207_199);

/// In UTC, so that a tree does not change with the season. A time outside the years 0 to 9999 becomes the
/// nearest one within them: the format has no other.
pub(crate) fn to_text(time: FileTime) -> String {
    let (first, last) = SECONDS;
    let nanoseconds = i32::try_from(time.nanoseconds).unwrap_or(0);
    let timestamp = Timestamp::new(time.seconds.clamp(first, last), nanoseconds);
    timestamp.unwrap_or_default().to_string()
}

/// The time that `text` says; `None` if it says none.
pub(crate) fn from_text(text: &str) -> Option<FileTime> {
    let timestamp: Timestamp = text.parse().ok()?;
    // Before 1970 jiff counts the parts of a second backwards.
    let (seconds, nanoseconds) = (timestamp.as_second(), timestamp.subsec_nanosecond());
    let borrowed = nanoseconds < 0;
    let nanoseconds = if borrowed { nanoseconds + 1_000_000_000 } else { nanoseconds };
    let seconds = seconds - i64::from(borrowed);
    Some(FileTime { seconds, nanoseconds: u32::try_from(nanoseconds).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanoseconds: u32) -> FileTime {
        FileTime { seconds, nanoseconds }
    }

    #[test]
    fn has_text_and_back() {
        for (time, text) in [
            (at(0, 0), "1970-01-01T00:00:00Z"),
            (at(1_763_753_400, 120_000_000), "2025-11-21T19:30:00.12Z"),
            (at(1_763_753_400, 1), "2025-11-21T19:30:00.000000001Z"),
            (at(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
            (at(-62_135_596_800, 0), "0001-01-01T00:00:00Z"),
            (at(253_402_207_199, 5), "9999-12-30T21:59:59.000000005Z"),
        ] {
            assert_eq!(to_text(time), text);
            assert_eq!(from_text(text), Some(time));
        }
    }

    #[test]
    fn knows_offsets() {
        assert_eq!(from_text("1970-01-01T02:00:00.5+02:00"), Some(at(0, 500_000_000)));
        assert_eq!(from_text("1970-01-01T00:00:00-00:30"), Some(at(1800, 0)));
        assert_eq!(from_text("1970-01-01"), None);
        assert_eq!(from_text(""), None);
    }

    #[test]
    fn keeps_within_the_years_of_the_format() {
        assert_eq!(to_text(at(i64::MIN, 0)), "0000-01-01T00:00:00Z");
        assert_eq!(to_text(at(i64::MAX, 999_999_999)), "9999-12-30T21:59:59.999999999Z");
    }
}
