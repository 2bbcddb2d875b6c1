//! Drops backups, or sources of them. The bytes stay until [`crate::prune()`] removes what nothing
//! needs any more.
//!
//! A backup is its manifest, and a manifest must never name a point that is not pinned. So:
//!
//! - A whole backup goes with its manifests in ascending order of their revisions, so that no
//!   former one comes back to life, and then its pins.
//! - A source is taken out by writing the next revision without it; then its pin goes, then the
//!   former revisions.
//!
//! In both cases the revision that counted is copied first, for [`crate::undelete()`].
//!
//! What the store locks stays until a later run, and what must not go before it stays with it: a backup whose manifest is
//! locked keeps its other revisions and its pins. All else goes.
//!
//! Whatever step is the last one done, the repository is sound: what is left over are pins without
//! a manifest and former revisions that no longer count. The next [`plan_forget`] finds them,
//! whatever it was asked for.
//!
//! **Beside a backup that is being written:** pins come before their manifest, so one without a
//! manifest may belong to a backup on its way. It is left alone until the storage shows it as a
//! day old. Pins are listed before manifests, so a backup that comes to its end in between is seen
//! whole. **Beside an [`undelete`](crate::undelete())** of the same backup its pins may go after they
//! were written again. Its manifest protects it meanwhile; the next [`plan_forget`] puts them back.
//! **Beside another `forget`:** steps that were done already do no harm; of two that write
//! the same revision the second fails. Only the host that made a backup writes revisions of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use lifeboat_storage::{Entry, Key};

use crate::create::create;
use crate::document::key;
use crate::remove::{Removed, remove};
use crate::tree::{parse_pin, split};
use crate::{BackupId, BackupName, Forgotten, HostKey, Manifest, Repository, Result, Source, Time};

/// Younger pins may belong to a backup that has no manifest yet.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A copy that was made no longer ago, of a manifest that did not go, is not made again.
const COPY_COUNTS: Duration = Duration::from_secs(12 * 60 * 60);

/// A backup of the repository in its highest revision.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its name.
    pub name: &'a BackupName,
    /// What it says; `None` if it cannot be read.
    pub manifest: Option<&'a Manifest>,
}

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A backup.
    Backup(BackupId),
    /// Sources of a backup, by name.
    Sources(BackupId, Vec<String>),
}

/// One step of forgetting, each durable before the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgetStep {
    /// Copy a manifest, so that it can be brought back.
    Keep(Forgotten),
    /// Write the next revision of a backup.
    Write(Box<Manifest>),
    /// Remove a manifest.
    RemoveManifest(BackupName),
    /// Remove a pin.
    RemovePin(Key),
    /// Write a pin that a backup lacks.
    WritePin(Key),
}

/// What forgetting did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgetReport {
    /// Objects that the store keeps from being removed for now: a later run removes them.
    pub protected_objects: u64,
    /// The backups that stay because one of their manifests is such an object, and those of which only a former
    /// revision stays.
    pub protected: BTreeSet<BackupId>,
}

/// The steps that fulfil the wishes, and those that bring a `forget` to its end that was killed.
///
/// `known` are backups that were listed before. Wishes for other backups mean nothing.
pub fn plan_forget(
    repository: &Repository,
    known: &[Known<'_>],
    wishes: &[Wish],
    now: Time,
) -> Result<Vec<ForgetStep>> {
    let entries = repository.storage().list(Some(&key("databases")?))?;
    let mut pins = Pins::of(entries);
    let mut revisions: BTreeMap<BackupId, Vec<BackupName>> = BTreeMap::new();
    for name in repository.revisions()? {
        revisions.entry(name.id).or_default().push(name);
    }
    revisions.values_mut().for_each(|names| names.sort_by_key(|name| name.revision));
    let copies = if wishes.is_empty() { Vec::new() } else { repository.forgotten()? };
    let mut steps = Vec::new();
    for Known { name, manifest } in known {
        let Some(names) = revisions.get(&name.id) else { continue };
        let keep = || names.last().map(|name| ForgetStep::Keep(copy_of(name, &copies, now)));
        match (outcome(name.id, *manifest, wishes), manifest) {
            (Outcome::Gone, _) => {
                steps.extend(keep());
                steps.extend(names.iter().cloned().map(ForgetStep::RemoveManifest));
                steps.extend(pins.take(name.id, &[]).map(ForgetStep::RemovePin));
            }
            (Outcome::Revised(next), _) => {
                let wanted = next.pins()?;
                steps.extend(keep());
                steps.push(ForgetStep::Write(next));
                steps.extend(pins.take(name.id, &wanted).map(ForgetStep::RemovePin));
                steps.extend(names.iter().cloned().map(ForgetStep::RemoveManifest));
            }
            // A kind of source that is not known may have pins that are not known.
            (Outcome::Stays, Some(manifest)) if !manifest.sources.contains(&Source::Unknown) => {
                let wanted = manifest.pins()?;
                steps.extend(pins.missing(name.id, &wanted).map(ForgetStep::WritePin));
                steps.extend(pins.take(name.id, &wanted).map(ForgetStep::RemovePin));
                let former = names.iter().filter(|former| former.revision < name.revision);
                steps.extend(former.cloned().map(ForgetStep::RemoveManifest));
            }
            (Outcome::Stays, _) => {}
        }
    }
    let ids: HashSet<BackupId> = revisions.keys().copied().collect();
    steps.extend(pins.abandoned(&ids, now).map(ForgetStep::RemovePin));
    Ok(steps)
}

/// Carries the steps out, in their order; revisions are signed with `host_key`.
pub fn forget(
    repository: &Repository,
    steps: &[ForgetStep],
    host_key: &HostKey,
) -> Result<ForgetReport> {
    repository.require_writable()?;
    let mut report = ForgetReport::default();
    for step in steps {
        match step {
            ForgetStep::Keep(forgotten) => forgotten.keep(repository)?,
            ForgetStep::Write(manifest) => repository.write_manifest(manifest, host_key)?,
            ForgetStep::RemoveManifest(name) if !report.protected.contains(&name.id) => {
                if remove(repository, &name.key()?)? == Removed::Protected {
                    report.protected_objects += 1;
                    report.protected.insert(name.id);
                }
            }
            ForgetStep::RemovePin(key)
                if !backup_of(key).is_some_and(|id| report.protected.contains(&id)) =>
            {
                let removed = remove(repository, key)?;
                report.protected_objects += u64::from(removed == Removed::Protected);
            }
            // They wait for the manifest before them.
            ForgetStep::RemoveManifest(_) | ForgetStep::RemovePin(_) => {}
            ForgetStep::WritePin(key) => create(repository.storage(), key, &[])?,
        }
    }
    Ok(report)
}

/// The copy that is made of a manifest which is to go: a recent one is used again, so that those of one that is locked,
/// and may be locked themselves, do not become more with every run.
fn copy_of(name: &BackupName, copies: &[Forgotten], now: Time) -> Forgotten {
    let recent =
        |copy: &&Forgotten| copy.name == *name && copy.time <= now && copy.until(COPY_COUNTS) > now;
    let made = copies.iter().find(recent).cloned();
    made.unwrap_or_else(|| Forgotten { time: now, name: name.clone() })
}

/// The backup of a pin.
fn backup_of(pin: &Key) -> Option<BackupId> {
    let (.., path) = split(pin)?;
    Some(parse_pin(path.strip_prefix("pins/")?)?.1)
}

/// What becomes of a backup.
enum Outcome {
    Gone,
    Revised(Box<Manifest>),
    Stays,
}

fn outcome(id: BackupId, manifest: Option<&Manifest>, wishes: &[Wish]) -> Outcome {
    let mut taken = Vec::new();
    for wish in wishes {
        match wish {
            Wish::Backup(wanted) if *wanted == id => return Outcome::Gone,
            Wish::Sources(wanted, sources) if *wanted == id => taken.extend_from_slice(sources),
            _ => {}
        }
    }
    let Some(manifest) = manifest else { return Outcome::Stays };
    match manifest.without(&taken) {
        None => Outcome::Stays,
        Some(next) if next.sources.is_empty() => Outcome::Gone,
        Some(next) => Outcome::Revised(Box::new(next)),
    }
}

/// All pins, by their backup.
struct Pins(HashMap<BackupId, Vec<Entry>>);

impl Pins {
    fn of(entries: Vec<Entry>) -> Self {
        let mut pins: HashMap<BackupId, Vec<Entry>> = HashMap::new();
        for entry in entries {
            if let Some(backup) = backup_of(&entry.key) {
                pins.entry(backup).or_default().push(entry);
            }
        }
        Self(pins)
    }

    /// The pins of a backup but the wanted ones.
    fn take(&mut self, backup: BackupId, wanted: &[Key]) -> impl Iterator<Item = Key> {
        let pins = self.0.remove(&backup).unwrap_or_default().into_iter().map(|entry| entry.key);
        pins.filter(|key| !wanted.contains(key))
    }

    /// The wanted pins that a backup lacks.
    fn missing<'a>(&self, backup: BackupId, wanted: &'a [Key]) -> impl Iterator<Item = Key> + 'a {
        let pins = self.0.get(&backup).into_iter().flatten();
        let there: HashSet<Key> = pins.map(|entry| entry.key.clone()).collect();
        wanted.iter().filter(move |key| !there.contains(key)).cloned()
    }

    /// Old pins of backups that are not there, in the order of their keys.
    fn abandoned(self, ids: &HashSet<BackupId>, now: Time) -> impl Iterator<Item = Key> {
        let now = SystemTime::from(now.timestamp());
        let is_old = move |entry: &Entry| {
            now.duration_since(entry.modified).is_ok_and(|age| age >= ABANDONED_AFTER)
        };
        let pins = self.0.into_iter().filter(|(backup, _)| !ids.contains(backup));
        let mut keys: Vec<Key> =
            pins.flat_map(|(_, pins)| pins).filter(is_old).map(|entry| entry.key).collect();
        keys.sort();
        keys.into_iter()
    }
}
