//! The times that objects were given.
//!
//! A listing of S3 tells when an object was uploaded, not the time that stands in its metadata. Litestream's files
//! have no other time than that one: where such a name is listed, it is asked for, one `HEAD` for each, several
//! at once, as Litestream does. What was learned is kept, because objects do not change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::SystemTime;

use super::S3;
use super::listing::Listed;
use crate::Key;
use crate::remote::Attempt;

/// The end of a name that has its time from its writer.
const DATED: &str = ".ltx";
/// As many requests are made at once.
const AT_ONCE: usize = 8;
/// As many times are kept, of about 200 bytes each.
const KEPT: usize = 50_000;

/// Times that were asked for, by key and entity tag.
#[derive(Debug, Default)]
pub(super) struct Dates {
    known: Mutex<HashMap<(Key, String), SystemTime>>,
}

impl Dates {
    fn known(&self) -> MutexGuard<'_, HashMap<(Key, String), SystemTime>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key, tag: &str) -> Option<SystemTime> {
        self.known().get(&(key.clone(), tag.to_owned())).copied()
    }

    fn learn(&self, key: &Key, tag: &str, time: SystemTime) {
        let mut known = self.known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert((key.clone(), tag.to_owned()), time);
    }
}

impl S3 {
    /// Gives those objects of a listing their time that have one of their own.
    pub(super) fn date(&self, listed: &mut Listed) -> Attempt<()> {
        let entries = &mut listed.page.entries;
        let dated = |at: &usize| entries[*at].key.as_str().ends_with(DATED);
        let unknown: Vec<usize> = (0..entries.len())
            .filter(dated)
            .filter(|at| self.dates.get(&entries[*at].key, &listed.tags[*at]).is_none())
            .collect();
        let next = AtomicUsize::new(0);
        let ask = || {
            while let Some(at) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) {
                let key = &entries[*at].key;
                // One that was removed meanwhile keeps the time of the listing.
                if let Some(head) = self.head(key)? {
                    self.dates.learn(key, &listed.tags[*at], self.modified(&head)?);
                }
            }
            Ok(())
        };
        let asked: Vec<Attempt<()>> = thread::scope(|scope| {
            let others: Vec<_> =
                (0..AT_ONCE.min(unknown.len())).map(|_| scope.spawn(ask)).collect();
            others
                .into_iter()
                .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        asked.into_iter().collect::<Attempt<()>>()?;
        for (entry, tag) in entries.iter_mut().zip(&listed.tags) {
            if entry.key.as_str().ends_with(DATED) {
                entry.modified = self.dates.get(&entry.key, tag).unwrap_or(entry.modified);
            }
        }
        Ok(())
    }
}
