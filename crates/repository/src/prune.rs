//! Removes the bytes that nothing needs any more, in two steps a day apart: what is not needed is
//! announced in a notice; what a notice has named for long enough, and is still not needed, goes.
//!
//! Needed of a lineage are the files of the plan to each transaction that a pin or a manifest
//! names, those of the plan to its newest transaction, and everything after the newest pin. A
//! lineage without a pin, while another of the same database has a newer point, is not needed at
//! all. A lineage whose files do not lead where they should is left as it is: it is damaged, and
//! what is left of it may be of use.
//!
//! No lock is taken. Why each of the others at work is safe:
//!
//! - **A backup** adds to the chain that leads to the newest transaction, which is always kept, and
//!   what it adds is after the newest pin until it has a pin itself. If it has written its pin, but
//!   not its manifest, the pin counts. Databases are listed before manifests, and pins are written
//!   before manifests, so a backup that ends meanwhile is seen by one or the other.
//! - **A backup into a lineage that another has superseded** can only come from a copy of a state
//!   directory that was set back, or from a clock that was: a host forgets a lineage when it begins
//!   the next. If anything was added within a day, the lineage stays. It is listed again right
//!   before anything of it is removed, and stays if something was added. A backup that begins later
//!   misses files and stores the whole database; one that was at work looks again when its pin is
//!   written, before its manifest, and misses the end of the chain, which goes first.
//! - **An upload on its way** shows as a file that is not whole, and a first one as a lineage
//!   without files. Both are announced only when nothing was added to them for the whole grace
//!   period, and go only if that is still so after another one.
//! - **A restore** reads what a manifest names or a plan led to when it began. It has the grace
//!   period to end after its backup was forgotten; later it finds an object gone, and says so.
//! - **A forget** only takes pins and manifests away: with either of them seen, more is kept.
//! - **Another prune** announces the same again, or removes what is gone already.
//! - **A check** excuses what a notice names, and notices stay.
//!
//! The clock that counts is that of the host that prunes. If it is set forward, the period is as
//! much shorter; only restores of backups that were just forgotten would notice.

mod needed;
mod notices;
mod waste;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use lifeboat_ltx::Txid;
use lifeboat_storage::{Entry, Key};

use self::needed::Wanted;
use self::notices::Notices;
use self::waste::{Waste, waste_of};
use crate::deletion::{DeletedObject, Deletion};
use crate::document::key;
use crate::lease::fences;
use crate::tree::by_lineage;
use crate::{
    DatabaseAddress, Error, Finding, LineageAddress, LineageListing, Repository, Result, Secrets,
    Source, Time, points,
};

/// A notice names no more objects than this, so that a reader never refuses it for its size.
const NOTICE_OBJECTS: usize = 50_000;

/// How long an object stays after it was announced, where nothing else is said.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How to prune.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// How long an object stays after it was announced. Less than a day is only safe while nothing
    /// else uses the repository.
    pub grace: Duration,
    /// This moment.
    pub now: Time,
}

/// Why an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No kept backup needs it.
    NotNeeded,
    /// It belongs to a lineage without backups that a newer one has superseded.
    Superseded,
    /// An upload that never came to its end left it.
    Unfinished,
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
    /// What will be announced.
    pub announce: Vec<Doomed>,
    /// What was announced and is not due yet.
    pub waiting: Vec<Doomed>,
    /// What is damaged and therefore left alone.
    pub findings: Vec<Finding>,
}

/// What goes of one lineage.
#[derive(Debug)]
struct Removal {
    lineage: LineageAddress,
    /// All its objects when the plan was made.
    seen: HashSet<Key>,
    objects: Vec<Doomed>,
}

/// What a prune did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Objects that were removed.
    pub removed_objects: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Objects that were announced.
    pub announced_objects: u64,
    /// Their bytes.
    pub announced_bytes: u64,
    /// Lineages that were written to meanwhile: the next prune looks at them again.
    pub busy_lineages: u64,
}

impl PrunePlan {
    /// What will be removed now.
    pub fn remove(&self) -> impl Iterator<Item = &Doomed> {
        self.removals.iter().flat_map(|removal| &removal.objects)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.removals.is_empty() && self.announce.is_empty()
    }
}

/// Decides what is removed and what is announced.
pub fn plan_prune(
    repository: &Repository,
    secrets: &Secrets,
    options: PruneOptions,
) -> Result<PrunePlan> {
    let mut plan = PrunePlan::default();
    let entries = repository.storage().list(Some(&key("databases")?))?;
    let lineages = by_lineage(entries)?;
    let named = named_by_manifests(repository, secrets)?;
    let notices = Notices::read(repository, secrets, options.now, &mut plan)?;
    let mut by_database: BTreeMap<DatabaseAddress, Vec<_>> = BTreeMap::new();
    for (lineage, entries) in lineages {
        by_database.entry(lineage.database().clone()).or_default().push((lineage, entries));
    }
    for (database, lineages) in by_database {
        let fences = fences(repository.storage(), &database)?;
        let listed = |(lineage, entries): (LineageAddress, Vec<Entry>)| {
            let mut listing = LineageListing::of(&lineage, entries.clone(), repository.layout());
            listing.obey(lineage.id(), &fences);
            (lineage, entries, listing)
        };
        let lineages: Vec<_> = lineages.into_iter().map(listed).collect();
        let newest = lineages.iter().filter_map(|(.., listing)| age_of(listing)).max();
        for (lineage, entries, listing) in lineages {
            let wanted = Wanted {
                txids: wanted_of(&lineage, &listing, &named),
                superseded: age_of(&listing).is_some_and(|age| newest > Some(age)),
            };
            match waste_of(&lineage, &listing, &entries, &wanted, repository.form(), options) {
                Ok(waste) => plan.add(lineage, &entries, waste, &notices),
                Err(error) => {
                    plan.findings.push(Finding { key: lineage.key().to_string(), error });
                }
            }
        }
    }
    Ok(plan)
}

/// Carries a plan out: first what is due goes, then the rest is announced in the name of `host`.
pub fn prune(
    repository: &Repository,
    plan: &PrunePlan,
    host: &str,
    options: PruneOptions,
) -> Result<PruneReport> {
    repository.require_writable()?;
    let mut report = PruneReport::default();
    for removal in &plan.removals {
        let entries = repository.storage().list(Some(removal.lineage.key()))?;
        if entries.iter().any(|entry| !removal.seen.contains(&entry.key)) {
            report.busy_lineages += 1;
            continue;
        }
        for object in &removal.objects {
            if repository.storage().remove(&object.key)? {
                report.removed_objects += 1;
                report.removed_bytes += object.size;
            }
        }
    }
    let grace_ms = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
    let not_before = Time::from_millis(options.now.millis().saturating_add(grace_ms));
    for objects in plan.announce.chunks(NOTICE_OBJECTS) {
        let named = objects
            .iter()
            .map(|object| DeletedObject { key: object.key.to_string(), size: object.size });
        let reason = "no backup needs them";
        let notice = Deletion::new(host, options.now, not_before, reason, named.collect());
        repository.write_deletion(&notice)?;
        report.announced_objects += objects.len() as u64;
        report.announced_bytes += objects.iter().map(|object| object.size).sum::<u64>();
    }
    Ok(report)
}

impl PrunePlan {
    fn add(&mut self, lineage: LineageAddress, entries: &[Entry], waste: Waste, notices: &Notices) {
        let count = waste.objects.len();
        let mut due = Vec::new();
        let mut waiting = Vec::new();
        for object in waste.objects {
            match notices.is_due(&object.key) {
                Some(true) => due.push(object),
                Some(false) => waiting.push(object),
                None => self.announce.push(object),
            }
        }
        // A lineage that goes as a whole goes at once and from its end: what is left of it, if that
        // is interrupted, is a chain.
        if waste.whole && due.len() < count {
            waiting.append(&mut due);
        }
        self.waiting.append(&mut waiting);
        if !due.is_empty() {
            let seen = entries.iter().map(|entry| entry.key.clone()).collect();
            self.removals.push(Removal { lineage, seen, objects: due });
        }
    }
}

/// Orders the lineages of a database by their newest points; of equal times, by their first.
fn age_of(listing: &LineageListing) -> Option<(Time, Time)> {
    let points = points(&listing.files);
    Some((points.last()?.time, points.first()?.time))
}

/// The transactions of each lineage that manifests name, by the lineage's key. A manifest that
/// cannot be read has its pins.
fn named_by_manifests(
    repository: &Repository,
    secrets: &Secrets,
) -> Result<HashMap<Key, BTreeSet<Txid>>> {
    let mut named: HashMap<Key, BTreeSet<Txid>> = HashMap::new();
    for name in repository.backups()? {
        let manifest = match repository.manifest(&name, secrets) {
            Ok(signed) => signed.manifest,
            Err(error @ Error::Storage(_)) if !is_gone(&error) => return Err(error),
            Err(_) => continue,
        };
        for source in manifest.sources.iter().filter_map(Source::database) {
            let database = DatabaseAddress::new(&manifest.host, &source.name)?;
            let lineage = database.lineage(source.lineage)?;
            named.entry(lineage.key().clone()).or_default().insert(source.txid);
        }
    }
    Ok(named)
}

/// A manifest that was forgotten since it was listed.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Storage(lifeboat_storage::Error::NotFound { .. }))
}

fn wanted_of(
    lineage: &LineageAddress,
    listing: &LineageListing,
    named: &HashMap<Key, BTreeSet<Txid>>,
) -> BTreeSet<Txid> {
    let pinned = listing.pins.iter().map(|(txid, _)| *txid);
    pinned.chain(named.get(lineage.key()).into_iter().flatten().copied()).collect()
}
