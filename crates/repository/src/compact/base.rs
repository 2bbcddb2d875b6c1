//! Whether a lineage is due a new base.

use std::time::Duration;

use crate::time::whole_millis;
use crate::{LtxFile, LtxName, Time, onward};

/// A base does not stay the newest for longer, once something has changed.
const BASE_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A new base is due: it has to be written from the live database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseDue {
    /// The newest base; `None` where files lead from none.
    pub base: Option<LtxName>,
    /// Its sealed bytes.
    pub base_bytes: u64,
    /// The sealed bytes of the files that lead on from it.
    pub delta_bytes: u64,
}

/// Whether what leads on from the newest base is more than the base itself, or the base is older
/// than 30 days and there is a newer point.
pub fn base_due(files: &[LtxFile], now: Time) -> Option<BaseDue> {
    let bases = files.iter().filter(|file| file.name.range().is_base());
    let Some(base) = bases.max_by_key(|file| (file.name.max, file.name.time)) else {
        let due = BaseDue { base: None, base_bytes: 0, delta_bytes: 0 };
        return (!files.is_empty()).then_some(due);
    };
    let deltas = onward(files, base.name.max);
    let delta_bytes = deltas.iter().map(|file| file.size()).sum();
    let base_bytes = base.size();
    let age_ms = now.millis().saturating_sub(base.name.time.millis());
    let outgrown = delta_bytes > base_bytes;
    let outlived = !deltas.is_empty() && age_ms > whole_millis(BASE_AGE);
    let due = BaseDue { base: Some(base.name), base_bytes, delta_bytes };
    (outgrown || outlived).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::base_due;
    use crate::table::{files, seconds};

    #[test]
    fn a_base_is_due_when_it_is_outgrown_or_outlived() {
        const DAY: i64 = 24 * 60 * 60;
        // Files, the day; base and bytes of what leads on.
        type Case = (&'static str, i64, Option<(u64, u64)>);
        let cases: &[Case] = &[
            ("", 0, None),
            ("9:1-1=9", 40, None),
            ("9:1-1=9 0:2-2=9", 1, None),
            ("9:1-1=9 0:2-2=5 0:3-3=5", 1, Some((9, 10))),
            // What a merge holds counts once.
            ("9:1-1=9 0:2-2=5 0:3-3=5 1:2-3=6", 1, None),
            ("9:1-1=9 0:2-2", 29, None),
            ("9:1-1=9 0:2-2", 31, Some((9, 1))),
            // The newest base counts, and what leads on from it.
            ("9:1-1=9 0:2-2=5 0:3-3=5 9:1-3=9", 31, None),
            ("9:1-1=9 0:2-2=5 0:3-3=5 9:1-3=9 0:4-4=10", 1, Some((9, 10))),
            // From no base at all.
            ("0:2-2", 1, Some((0, 0))),
        ];
        for (text, day, expected) in cases {
            let due = base_due(&files(text), seconds(day * DAY + 10));
            assert_eq!(due.map(|due| (due.base_bytes, due.delta_bytes)), *expected, "{text}");
        }
    }
}
