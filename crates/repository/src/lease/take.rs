//! Takes epochs.

use std::cmp::Reverse;
use std::time::Duration;

use lifeboat_storage::{CreateNew, Entry, Error as StorageError};

use super::claim::{Verdict, after, judge};
use super::{Claim, Document, Fence, Lease, LeaseOutcome, MAX_EPOCH, fences, key_of, newest, read};
use crate::document::to_json;
use crate::tree::by_lineage;
use crate::{DatabaseAddress, Error, LineageListing, Repository, Result, Time};

/// Where a storage does not refuse a taken name by itself: longer than it takes from looking whether an epoch is
/// there to having written it. A holder who took longer still learns of the other at half the term.
const SETTLING: Duration = Duration::from_secs(5);

/// A lineage that nobody has closed.
struct Open {
    /// What closes it now.
    fence: Fence,
    /// When something was added to it last.
    last_upload: Option<Time>,
}

impl Repository {
    /// The newest epoch of a database; `None` if nobody has taken one.
    pub fn lease(&self, database: &DatabaseAddress) -> Result<Option<Lease>> {
        newest(self.storage(), database)
    }

    /// Whether an epoch is still the newest, and this holder's: asked before an upload when the last
    /// answer is older than [`Lease::confirm_within`]. Who gets `false` stops.
    pub fn confirm_lease(
        &self,
        database: &DatabaseAddress,
        holder: &str,
        epoch: u32,
    ) -> Result<bool> {
        let newest = self.lease(database)?;
        Ok(newest.is_some_and(|lease| lease.epoch == epoch && lease.holder == holder))
    }

    /// Takes the next epoch of a database, if nobody else may be writing.
    ///
    /// The first epoch closes the lineages that are there, but not the claimant's own. One after
    /// another holder's closes that too, so the claimant begins a new one.
    ///
    /// [`Error::Corrupt`] if there is a lease that cannot be read, or that has the last number.
    pub fn take_lease(
        &self,
        database: &DatabaseAddress,
        claim: &Claim<'_>,
        now: Time,
    ) -> Result<LeaseOutcome> {
        self.require_writable()?;
        let standing = self.lease(database)?;
        let open = self.open_lineages(database)?;
        let is_own = |open: &&Open| claim.own == Some(open.fence.lineage);
        let others = open.iter().filter(|open| !is_own(open));
        let last_upload = others.clone().filter_map(|open| open.last_upload).max();
        match (judge(standing.as_ref(), last_upload, claim, now), standing) {
            (Verdict::Refuse { last_upload, until }, lease) => {
                Ok(LeaseOutcome::Refused { lease, last_upload, until })
            }
            (Verdict::Held, Some(lease)) => Ok(LeaseOutcome::Held(lease)),
            (_, None) => {
                let closed = others.map(|open| open.fence).collect();
                self.create_epoch(database, claim, now, 1, closed)
            }
            (_, Some(lease)) => {
                let epoch = following(database, lease.epoch)?;
                let closed = open.iter().map(|open| open.fence).collect();
                self.create_epoch(database, claim, now, epoch, closed)
            }
        }
    }

    /// Lineages that nobody has closed, that with the newest upload first.
    fn open_lineages(&self, database: &DatabaseAddress) -> Result<Vec<Open>> {
        // Before the lineages are listed: what is closed meanwhile is closed twice, which is no harm.
        let fences = fences(self.storage(), database)?;
        let mut open = Vec::new();
        for (address, entries) in by_lineage(self.storage().list(Some(database.key()))?)? {
            if fences.iter().any(|fence| fence.lineage == address.id()) {
                continue;
            }
            let stored = entries.iter().map(stored).max();
            let listing = LineageListing::of(&address, entries, self.layout());
            let named = listing.files.iter().map(|file| file.name.time).max();
            open.push(Open {
                fence: Fence { lineage: address.id(), after: listing.last() },
                last_upload: stored.max(named),
            });
        }
        open.sort_by_key(|open| Reverse(open.last_upload));
        Ok(open)
    }

    /// Creates an epoch. What stands under its name afterwards decides, also where a storage has let
    /// two holders write it.
    fn create_epoch(
        &self,
        database: &DatabaseAddress,
        claim: &Claim<'_>,
        now: Time,
        epoch: u32,
        closed: Vec<Fence>,
    ) -> Result<LeaseOutcome> {
        let first = closed.first();
        let document = Document {
            epoch,
            holder: claim.holder.to_owned(),
            hostname: claim.hostname.to_owned(),
            taken: now,
            ttl_s: claim.ttl.as_secs().saturating_add(u64::from(claim.ttl.subsec_nanos() > 0)),
            lineage: first.map(|fence| fence.lineage),
            after_txid: first.and_then(|fence| fence.after),
            others: closed.iter().skip(1).copied().collect(),
        };
        let key = key_of(database, epoch)?;
        match self.storage().put(&key, &to_json(&key, &document)?) {
            Ok(()) | Err(StorageError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if self.storage().create_new() == CreateNew::Checked {
            // Whoever looked before this was there may be about to write; then it stands afterwards.
            std::thread::sleep(SETTLING);
        }
        let stands = read(self.storage(), database, epoch)?;
        let lease = stands.lease(stands.taken);
        Ok(if stands == document {
            LeaseOutcome::Taken { lease, closed }
        } else if lease.holder == claim.holder {
            LeaseOutcome::Held(lease)
        } else {
            let (last_upload, until) = (lease.taken, after(lease.taken, lease.ttl));
            LeaseOutcome::Refused { lease: Some(lease), last_upload, until }
        })
    }
}

/// The epoch after the newest.
fn following(database: &DatabaseAddress, newest: u32) -> Result<u32> {
    if newest < MAX_EPOCH {
        return Ok(newest + 1);
    }
    Err(Error::corrupt(&key_of(database, newest)?, "no epoch can come after it"))
}

fn stored(entry: &Entry) -> Time {
    Time::from_system(entry.modified)
}
