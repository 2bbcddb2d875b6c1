//! Removes the bytes that nothing needs any more, in two steps a day apart: what is not needed is
//! announced in a notice; what a notice has named for long enough, and is still not needed, goes.
//!
//! Needed of a lineage are the files of the plan to each promised transaction (`promised.rs`): those
//! that a pin or a manifest names, those that the ladder keeps by their age, and the newest one,
//! unless another lineage of the database has a newer point. Of the bases only those that are worth
//! their place (`bases.rs`). A lineage of which nothing is promised goes as a whole. One whose files
//! do not lead where they should is left as it is: it is damaged, and what is left of it may be of
//! use.
//!
//! A file goes only after what takes its place was read to its end (`replacement.rs`): a merge or a
//! base that is damaged must not be the only way to a point. Notices name what was read, so that it
//! is read once.
//!
//! No lock is taken. Why each of the others at work is safe:
//!
//! - **A backup** adds to the chain that leads to the newest transaction, which is always kept, and
//!   pins the newest one. Beside a replication, newer ones may follow before the pin is there; by then
//!   the ladder keeps it, or it was announced at the worst, and the pin makes it needed again within
//!   the grace period. If it has written its pin, but not its manifest, the pin counts. Databases are
//!   listed before manifests, and pins are written before manifests, so a backup that ends meanwhile
//!   is seen by one or the other.
//! - **Whoever pins an older transaction** (who brings a forgotten backup back) looks again after the
//!   pin is there, and before the manifest. Each lineage is listed again right before something of it
//!   is removed, and again after so many objects: what is needed then stays, whatever was planned.
//!   Of what leads to a transaction the file that ends there goes first, and so is missed.
//! - **A replication** adds files at the end all the time. They are needed, and no reason to wait:
//!   what was planned to go and is still not needed in the new listing goes.
//! - **A backup into a lineage that another has superseded** can only come from a copy of a state
//!   directory that was set back, or from a clock that was: a host forgets a lineage when it begins
//!   the next. If anything was added within a day, its newest transaction is kept. A lineage that
//!   goes as a whole stays if something was added since the plan. A backup that begins later
//!   misses files and stores the whole database; one that was at work looks again when its pin is
//!   written, before its manifest, and misses the end of the chain, which goes first.
//! - **An upload on its way** shows as a file that is not whole, and a first one as a lineage
//!   without files. Both are announced only when nothing was added to them for the whole grace
//!   period, and go only if that is still so after another one.
//! - **A compaction** writes files that are not there yet. What it merges may be gone: then it plans
//!   anew. What it made counts here once it was read.
//! - **A restore** reads what a manifest names or a plan led to when it began. It has the grace
//!   period to end after its backup was forgotten, or its files were merged; later it finds an object
//!   gone, and plans anew. **A follower** does the same.
//! - **A forget** only takes pins and manifests away: with either of them seen, more is kept. What was
//!   announced and is needed again is not announced any more (`withdraw.rs`), so that it has the whole
//!   period when it is forgotten once more.
//! - **Another prune** announces the same again, or removes what is gone already. Of two that condense
//!   notices each writes a new one before it removes the old ones.
//! - **A check** excuses what a notice names. A notice stays for a week after the last of its objects
//!   is gone; what manifests name of it stays named in another (`condense.rs`).
//!
//! The clock that counts is that of the host that prunes. If it is set forward, the period is as
//! much shorter, and points get old: they are announced, and needed again when the clock is right.

mod condense;
mod expired;
mod notices;
mod removal;
mod replacement;
mod waste;
mod withdraw;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use lifeboat_storage::Key;

use self::condense::condense;
use self::expired::expired;
use self::notices::Notices;
use self::removal::Removal;
use self::replacement::{Replacement, replacements, verify};
use self::waste::{Waste, waste_of};
use self::withdraw::withdraw;
use crate::deletion::{DeletedObject, Deletion};
use crate::remove::{Removed, remove};
use crate::survey::{Surveyed, survey};
use crate::wanted::Named;
use crate::{DatabaseAddress, Finding, Ladder, Repository, Result, Secrets, Time};

/// A notice names no more objects than this, so that a reader never refuses it for its size.
const NOTICE_OBJECTS: usize = 50_000;

/// How long an object stays after it was announced, where nothing else is said.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How to prune.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// How long an object stays after it was announced. Less than a day is only safe while nothing
    /// else uses the repository.
    pub grace: Duration,
    /// This moment.
    pub now: Time,
    /// One database; `None`: all, and what was forgotten for good.
    pub scope: Option<DatabaseAddress>,
    /// Objects of files that this process has read to their ends: a compaction's.
    pub verified: BTreeSet<Key>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { grace: GRACE, now: Time::now(), scope: None, verified: BTreeSet::new() }
    }
}

/// Why an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It leads to no point that is kept, or others lead there.
    NotNeeded,
    /// It belongs to a lineage of which nothing is kept, and that a newer one has superseded.
    Superseded,
    /// An upload that never came to its end left it.
    Unfinished,
    /// It could bring back a backup that was forgotten, and the time for that is over.
    Forgotten,
}

/// An object that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Which.
    pub key: Key,
    /// Its bytes.
    pub size: u64,
    /// Why.
    pub why: Why,
}

/// What a prune would do. Nothing has been changed yet.
#[derive(Debug, Default)]
pub struct PrunePlan {
    /// What was announced long enough ago, by lineage, in the order in which it goes.
    removals: Vec<Removal>,
    /// What goes without having been announced.
    expired: Vec<Doomed>,
    /// What will be announced.
    pub announce: Vec<Doomed>,
    /// What was announced and is not due yet.
    pub waiting: Vec<Doomed>,
    /// What is damaged and therefore left alone.
    pub findings: Vec<Finding>,
    /// What must be read before.
    replacements: Vec<Replacement>,
    /// What takes the place of something that is announced, and was read.
    verified: BTreeSet<Key>,
    /// What was announced and is needed again.
    needed_again: HashSet<Key>,
    /// Notices that are of no more use.
    spent: Vec<Key>,
    /// What is known to have been read.
    read: BTreeSet<Key>,
}

/// What a prune did.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// Objects that were removed.
    pub removed_objects: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Objects that the store keeps from being removed for now: a later prune removes them.
    pub protected_objects: u64,
    /// Objects that were announced.
    pub announced_objects: u64,
    /// Their bytes.
    pub announced_bytes: u64,
    /// Lineages that were to go and that were written to meanwhile: the next prune looks at them
    /// again.
    pub busy_lineages: u64,
    /// Sealed bytes that were read because they take the place of others.
    pub verified_bytes: u64,
    /// Notices that became one.
    pub condensed_notices: u64,
    /// What is damaged: what it should take the place of stays.
    pub findings: Vec<Finding>,
}

impl PrunePlan {
    /// What will be removed now.
    pub fn remove(&self) -> impl Iterator<Item = &Doomed> {
        self.removals.iter().flat_map(|removal| &removal.objects).chain(&self.expired)
    }

    /// The sealed bytes that must be read first: of files that take the place of others, and that
    /// nobody has read yet.
    pub fn read_bytes(&self) -> u64 {
        self.replacements.iter().map(Replacement::size).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.removals.is_empty()
            && self.announce.is_empty()
            && self.expired.is_empty()
            && self.needed_again.is_empty()
    }
}

/// Decides what is removed and what is announced. `ladder_of` says which points of a database stay
/// by their age.
pub fn plan_prune(
    repository: &Repository,
    secrets: &Secrets,
    ladder_of: &dyn Fn(&DatabaseAddress) -> Ladder,
    options: &PruneOptions,
) -> Result<PrunePlan> {
    let mut plan = PrunePlan::default();
    let scope = options.scope.as_ref();
    let databases = survey(repository, scope)?;
    let named = Named::read(repository, secrets, scope, |_, _| {})?;
    let forgotten = Named::read_forgotten(repository, secrets, options)?;
    let entries = databases.values().flatten().flat_map(|surveyed| &surveyed.entries);
    let there: HashSet<&str> = entries.map(|entry| entry.key.as_str()).collect();
    let mut notices = Notices::read(repository, secrets, &there, options, &mut plan)?;
    notices.verified.extend(options.verified.iter().cloned());
    plan.spent = std::mem::take(&mut notices.spent);
    for (database, lineages) in databases {
        let ladder = ladder_of(&database);
        for surveyed in lineages {
            plan.look_at(repository, surveyed, (&named, &forgotten), &ladder, &notices, options);
        }
    }
    plan.read = notices.verified;
    if scope.is_none() {
        plan.expired = expired(repository, options)?;
    }
    Ok(plan)
}

/// Carries a plan out: what takes the place of others is read; what is due goes; the rest is
/// announced in the name of `host`. What was announced and is needed again is not announced any more.
pub fn prune(
    repository: &Repository,
    secrets: &Secrets,
    plan: &PrunePlan,
    host: &str,
    options: &PruneOptions,
) -> Result<PruneReport> {
    repository.require_writable()?;
    let protected_objects = withdraw(repository, secrets, &plan.needed_again, host, options.now)?;
    let mut report = PruneReport { protected_objects, ..PruneReport::default() };
    let (sound, stay) = verify(repository, secrets, &plan.replacements, &mut report)?;
    // Before anything is listed again: whoever brings a backup back looks whether its copy stands.
    for object in &plan.expired {
        report.remove(repository, object)?;
    }
    for removal in &plan.removals {
        removal.carry_out(repository, &stay, options, &mut report)?;
    }
    let announced: Vec<&Doomed> =
        plan.announce.iter().filter(|object| !stay.contains(&object.key)).collect();
    let replaced_by: Vec<String> = plan.verified.union(&sound).map(ToString::to_string).collect();
    for objects in announced.chunks(NOTICE_OBJECTS) {
        let named = objects
            .iter()
            .map(|object| DeletedObject { key: object.key.to_string(), size: object.size });
        let (not_before, reason) = (options.now.after(options.grace), "nothing needs them");
        let notice = Deletion::new(host, options.now, not_before, reason, named.collect());
        repository.write_deletion(&notice.replaced_by(replaced_by.clone()))?;
        report.announced_objects += objects.len() as u64;
        report.announced_bytes += objects.iter().map(|object| object.size).sum::<u64>();
    }
    condense(repository, secrets, plan, host, options.now, &mut report)?;
    Ok(report)
}

impl PrunePlan {
    fn look_at(
        &mut self,
        repository: &Repository,
        surveyed: Surveyed,
        (named, forgotten): (&Named, &Named),
        ladder: &Ladder,
        notices: &Notices,
        options: &PruneOptions,
    ) {
        let lineage = &surveyed.lineage;
        let wanted = named.wanted(lineage, &surveyed.listing);
        let waste = match waste_of(&surveyed, &wanted, ladder, repository.form(), options) {
            Ok(waste) => waste,
            Err(error) => {
                self.findings.push(Finding { key: lineage.key().to_string(), error });
                return;
            }
        };
        let waits = |key: &Key| notices.is_due(key) == Some(false);
        let (verified, known) = (&notices.verified, &mut self.verified);
        self.replacements.extend(replacements(lineage, &waste, &waits, verified, known));
        let Waste { objects, whole, .. } = waste;
        let doomed: HashSet<&Key> = objects.iter().map(|object| &object.key).collect();
        let entries = surveyed.entries.iter().map(|entry| &entry.key);
        let announced = entries.filter(|key| notices.is_due(key).is_some());
        self.needed_again.extend(announced.filter(|key| !doomed.contains(key)).cloned());
        // Nothing goes that a forgotten backup needs, as long as it can be brought back.
        let held = forgotten.held(lineage, &surveyed.listing, &wanted);
        let free: Option<HashSet<Key>> = (held != wanted).then(|| {
            let waste = waste_of(&surveyed, &held, ladder, repository.form(), options);
            let objects = waste.map(|waste| waste.objects).unwrap_or_default();
            objects.into_iter().map(|object| object.key).collect()
        });
        let is_free = |key: &Key| free.as_ref().is_none_or(|free| free.contains(key));
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        let count = objects.len();
        for object in objects {
            match notices.is_due(&object.key) {
                Some(true) if is_free(&object.key) => due.push(object),
                Some(_) => waiting.push(object),
                None => self.announce.push(object),
            }
        }
        // A lineage that goes as a whole goes at once and from its end: what is left of it, if that
        // is interrupted, is a chain.
        if whole && due.len() < count {
            waiting.append(&mut due);
        }
        self.waiting.append(&mut waiting);
        if !due.is_empty() {
            self.removals.push(Removal {
                surveyed,
                wanted: held,
                ladder: ladder.clone(),
                whole,
                objects: due,
            });
        }
    }
}

impl PruneReport {
    fn remove(&mut self, repository: &Repository, object: &Doomed) -> Result<()> {
        match remove(repository, &object.key)? {
            Removed::Yes => {
                self.removed_objects += 1;
                self.removed_bytes += object.size;
            }
            Removed::WasGone => {}
            Removed::Protected => self.protected_objects += 1,
        }
        Ok(())
    }
}
