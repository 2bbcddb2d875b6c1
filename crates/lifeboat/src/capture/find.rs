//! Finds out what changed since the last capture, by reading as little as that can be proved with.

use lifeboat_ltx::Checksum;
use lifeboat_repository::Time;
use lifeboat_sqlite::{
    Changes, Image, PageArray, Pin, Since, scan, scan_pages, since, write_no_changes,
};

use super::Capture;
use super::take::workers;
use crate::state::{DatabaseState, Facts, Seen};
use crate::{ChangedBy, Note, Result};

/// After so long everything is read again, whatever the WAL says: edits that were made past SQLite
/// may not show there.
pub(crate) const SCAN_EVERY_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// What changed since the last capture, and how that was found out.
pub(super) struct Found<'pin> {
    /// The image; `None` where nothing had to be read.
    pub(super) image: Option<Image<'pin>>,
    pub(super) changes: Changes,
    pub(super) facts: Facts,
    pub(super) by: ChangedBy,
    /// When everything was last read.
    pub(super) scanned: Time,
}

impl Capture<'_> {
    pub(super) fn find<'pin>(
        &self,
        pin: &'pin Pin,
        state: &DatabaseState,
        array: &PageArray,
    ) -> Result<Found<'pin>> {
        let former = state.captured.seen.as_ref();
        let trusted = match trusted(former, self.options.rescan, Time::now()) {
            Ok(seen) => seen,
            Err(reason) => return self.find_by_scan(pin.image()?, pin, state, array, reason),
        };
        let scanned = trusted.scanned;
        match since(pin, &trusted.moment)? {
            Since::Nothing => {
                self.note_changed_by(ChangedBy::Unchanged, None);
                let changes = Changes::nothing(pin.page_count(), before(state));
                let (image, facts) = match &trusted.facts {
                    Some(facts) => (None, facts.clone()),
                    None => {
                        let image = pin.image()?;
                        let facts = Facts::of(pin, &image, array, &changes.pages)?;
                        (Some(image), facts)
                    }
                };
                if image.is_some() {
                    write_no_changes(&self.files.changes(), changes.page_count)?;
                }
                Ok(Found { image, changes, facts, by: ChangedBy::Unchanged, scanned })
            }
            Since::Pages { image, pages } => {
                self.note_changed_by(ChangedBy::Wal, None);
                let bytes = u64::from(pages.len()) * u64::from(image.page_size().get());
                self.begin("scanning", bytes);
                let (path, advance) = (self.files.changes(), |bytes| self.progress.advance(bytes));
                let changes =
                    scan_pages(&image, array, before(state), &pages, &path, workers(), &advance);
                self.progress.end();
                let changes = changes?;
                let facts = facts(pin, &image, array, &changes, Some(trusted))?;
                Ok(Found { image: Some(image), changes, facts, by: ChangedBy::Wal, scanned })
            }
            Since::Anything { image, doubt } => {
                self.find_by_scan(image, pin, state, array, &doubt.to_string())
            }
        }
    }

    fn find_by_scan<'pin>(
        &self,
        image: Image<'pin>,
        pin: &Pin,
        state: &DatabaseState,
        array: &PageArray,
        reason: &str,
    ) -> Result<Found<'pin>> {
        self.note_changed_by(ChangedBy::Scan, Some(reason.to_owned()));
        let scanned = Time::now();
        let changes = self.scan(&image, state, array)?;
        let facts = facts(pin, &image, array, &changes, state.captured.seen.as_ref())?;
        Ok(Found { image: Some(image), changes, facts, by: ChangedBy::Scan, scanned })
    }

    /// Reads everything.
    pub(super) fn scan(
        &self,
        image: &Image<'_>,
        state: &DatabaseState,
        array: &PageArray,
    ) -> Result<Changes> {
        self.begin("scanning", image.size());
        let advance = |bytes| self.progress.advance(bytes);
        let changes = scan(image, array, before(state), &self.files.changes(), workers(), &advance);
        self.progress.end();
        Ok(changes?)
    }

    fn note_changed_by(&self, by: ChangedBy, reason: Option<String>) {
        self.progress.note(&Note::ChangedBy { source: self.target.name.clone(), by, reason });
    }
}

/// What was seen, where it may stand for reading everything; else why not.
pub(crate) fn trusted(seen: Option<&Seen>, rescan: bool, now: Time) -> Result<&Seen, &'static str> {
    let seen = seen.ok_or("nothing is known of its former state")?;
    let age = now.millis().saturating_sub(seen.scanned.millis());
    if rescan {
        return Err("asked for");
    }
    if !(0..SCAN_EVERY_MS).contains(&age) {
        return Err("the last time was a week ago");
    }
    Ok(seen)
}

/// The checksum of the database that the page array describes.
pub(crate) fn before(state: &DatabaseState) -> Checksum {
    state.captured.checksum.unwrap_or(Checksum::EMPTY)
}

/// The facts of the image; those of the same pages before are still true.
fn facts(
    pin: &Pin,
    image: &Image<'_>,
    array: &PageArray,
    changes: &Changes,
    former: Option<&Seen>,
) -> Result<Facts> {
    match former {
        Some(Seen { facts: Some(facts), .. }) if changes.none() => Ok(facts.clone()),
        _ => Facts::of(pin, image, array, &changes.pages),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lifeboat_repository::Time;
    use lifeboat_sqlite::{FileStamp, JournalMode, Moment};

    use super::{SCAN_EVERY_MS, trusted};
    use crate::state::{Facts, Seen};

    fn seen(scanned: i64) -> Seen {
        let file = FileStamp { device: 1, inode: 1, size: 1, modified_ns: 1, changed_ns: 1 };
        let moment = Moment {
            journal_mode: JournalMode::Wal,
            page_count: 1,
            change_counter: 1,
            wal: None,
            file,
            settled: true,
        };
        let facts = Facts {
            page_size: 4096,
            page_count: 1,
            journal_mode: "wal".into(),
            schema_sha256: None,
            tables: BTreeMap::new(),
        };
        Seen { moment, scanned: Time::from_millis(scanned), facts: Some(facts) }
    }

    #[test]
    fn everything_is_read_once_a_week_and_when_asked_for() {
        for (age, rescan, expected) in [
            (0, false, true),
            (SCAN_EVERY_MS - 1, false, true),
            (SCAN_EVERY_MS, false, false),
            // The clock was put back: who knows how long ago it was.
            (-1, false, false),
            (0, true, false),
        ] {
            let (now, seen) = (1_800_000_000_000, seen(1_800_000_000_000 - age));
            let found = trusted(Some(&seen), rescan, Time::from_millis(now)).is_ok();
            assert_eq!(found, expected, "{age} {rescan}");
        }
        assert!(trusted(None, false, Time::from_millis(0)).is_err());
    }
}
