//! Brings forgotten backups back, as long as what they need is there.
//!
//! A backup that is gone comes back as the manifest that it was, byte for byte. One that goes on
//! without a source gets the source back in its next revision, which only its own host may sign.
//!
//! In order: pins, a look at what is there, the manifest. Whatever step is the last one done, the
//! repository is sound; what a killed run leaves are pins without a manifest, which the next run
//! uses, or else a `forget` removes.
//!
//! **Beside a prune** that has begun to remove: it removes the copies of manifests that are over
//! before it lists what is there, and leaves alone what the others need. So a copy that stands after
//! the pins were written means that the prune sees the pins. **Beside a forget** of the same backup,
//! pins may go that were just written. The manifest protects its points as well as they do. **Files** come
//! back as long as their snapshots are there: these are looked at under a shared lock, beside which nothing
//! is removed.

use std::collections::{BTreeMap, HashMap};

use lifeboat_ltx::Txid;
use lifeboat_restic::{ResticRepository, SnapshotId, TreeId};
use lifeboat_storage::Key;

use crate::{
    BackupId, BackupName, DatabaseAddress, Error, Forgotten, HostKey, LineageAddress,
    LineageListing, Manifest, Repository, Result, Secrets, Source,
};

/// A forgotten backup.
#[derive(Debug)]
pub struct Undeletion {
    /// The last of its copies.
    pub copy: Forgotten,
    /// How it comes back, or why it does not.
    pub back: Result<Returning>,
}

/// How a forgotten backup comes back. Nothing has been changed yet.
#[derive(Debug)]
pub struct Returning {
    /// What it will be.
    pub manifest: Manifest,
    /// The names of the sources that come back.
    pub sources: Vec<String>,
    /// Names of sources that only the backup's own host can bring back.
    pub left_out: Vec<String>,
    /// The copies it is made of.
    copies: Vec<Forgotten>,
    points: Vec<(LineageAddress, Txid)>,
    /// Where it keeps files.
    snapshots: Vec<(SnapshotId, TreeId)>,
    /// The copy that becomes the backup again.
    whole: Option<Forgotten>,
    /// Whether `manifest` is another revision than that.
    revised: bool,
}

/// Finds the backups and sources that were forgotten, the last forgotten first, and how they come
/// back. `own_host` is the one whose key signs.
pub fn plan_undelete(
    repository: &Repository,
    secrets: &Secrets,
    own_host: &str,
) -> Result<Vec<Undeletion>> {
    // Copies are written before manifests go, and so are listed after them.
    let present = repository.backups()?;
    let files = repository.files(secrets)?;
    let mut listings = Listings { repository, known: HashMap::new() };
    let mut undeletions = Vec::new();
    for copies in by_backup(repository.forgotten()?, &present) {
        let Some(copy) = copies.iter().max_by_key(|copy| copy.time).cloned() else { continue };
        let there = present.iter().find(|name| name.id == copy.name.id);
        let back = returning(repository, secrets, own_host, there, copies).and_then(|back| {
            if let Some(back) = &back {
                listings.lead_to(&back.points)?;
                back.require_snapshots(files.as_ref())?;
            }
            Ok(back)
        });
        match back {
            Ok(None) => {}
            Ok(Some(back)) => undeletions.push(Undeletion { copy, back: Ok(back) }),
            Err(error) if error.is_gone() => {}
            Err(error @ Error::Storage(_)) => return Err(error),
            Err(error) => undeletions.push(Undeletion { copy, back: Err(error) }),
        }
    }
    undeletions.sort_by(|one, other| other.copy.cmp(&one.copy));
    Ok(undeletions)
}

/// Brings a backup back; a next revision is signed with `host_key`.
///
/// Where it has files, `files` is given, and the caller holds a shared lock: no prune removes meanwhile what is
/// looked at here.
///
/// [`Error::Pruned`] if a prune has begun to remove what it needs.
pub fn undelete(
    repository: &Repository,
    files: Option<&ResticRepository>,
    back: &Returning,
    host_key: &HostKey,
) -> Result<()> {
    repository.require_writable()?;
    let id = back.manifest.id;
    for (lineage, txid) in &back.points {
        repository.write_pin(lineage, *txid, id)?;
    }
    for copy in &back.copies {
        if repository.storage().stat(&copy.key()?)?.is_none() {
            return Err(Error::Pruned { backup: id });
        }
    }
    Listings { repository, known: HashMap::new() }.lead_to(&back.points)?;
    back.require_snapshots(files)?;
    if let Some(whole) = &back.whole {
        whole.put_back(repository)?;
    }
    if back.revised {
        repository.write_manifest(&back.manifest, host_key)?;
    }
    Ok(())
}

impl Returning {
    /// Whether it keeps files, so that it needs a shared lock to come back.
    pub fn has_files(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// [`Error::Pruned`] if one of its snapshots is gone.
    fn require_snapshots(&self, files: Option<&ResticRepository>) -> Result<()> {
        let pruned = || Error::Pruned { backup: self.manifest.id };
        for (snapshot, tree) in &self.snapshots {
            let files = files.ok_or_else(pruned)?;
            match files.snapshot(snapshot) {
                Ok(found) if found.tree == *tree => {}
                Ok(found) => {
                    let problem = format!("its tree is {}, the backup has {tree}", found.tree);
                    let object = format!("snapshots/{snapshot}");
                    return Err(lifeboat_restic::Error::Corrupt { object, problem }.into());
                }
                Err(lifeboat_restic::Error::Storage(lifeboat_storage::Error::NotFound {
                    ..
                })) => {
                    return Err(pruned());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The copies of each backup that may have something to bring back, the highest revision first.
/// Where a forget was interrupted and done again there are several of one revision.
fn by_backup(copies: Vec<Forgotten>, present: &[BackupName]) -> Vec<Vec<Forgotten>> {
    let revisions: HashMap<BackupId, u32> =
        present.iter().map(|name| (name.id, name.revision)).collect();
    let mut backups: BTreeMap<BackupId, BTreeMap<u32, Forgotten>> = BTreeMap::new();
    for copy in copies {
        let BackupName { id, revision, .. } = copy.name;
        // What is there is no more forgotten.
        if revisions.get(&id).is_none_or(|present| revision < *present) {
            // The last forgotten comes first.
            backups.entry(id).or_default().entry(revision).or_insert(copy);
        }
    }
    backups.into_values().map(|copies| copies.into_values().rev().collect()).collect()
}

/// How a backup comes back of which these copies are kept; `None` if nothing is missing of it.
fn returning(
    repository: &Repository,
    secrets: &Secrets,
    own_host: &str,
    present: Option<&BackupName>,
    copies: Vec<Forgotten>,
) -> Result<Option<Returning>> {
    let mut kept = Vec::new();
    for copy in &copies {
        kept.push(repository.forgotten_manifest(copy, secrets)?.manifest);
    }
    let present = present.map(|name| repository.manifest(name, secrets)).transpose()?;
    let present = present.map(|signed| signed.manifest);
    let whole = present.is_none().then(|| copies[0].clone());
    let mut manifest = present.unwrap_or_else(|| kept[0].clone());
    if kept.iter().chain([&manifest]).any(|one| one.sources.contains(&Source::Unknown)) {
        let feature = "the kind of one of its sources".to_owned();
        return Err(Error::UnknownFeature { location: repository.location(), feature });
    }
    let mut sources = names(whole.iter().flat_map(|_| &manifest.sources));
    let missing = missing(&manifest, &kept);
    let (mut left_out, mut revised) = (Vec::new(), false);
    if manifest.host == own_host {
        sources.extend(names(missing.iter().copied()));
        revised = !missing.is_empty();
        manifest.revision += u32::from(revised);
        manifest.forgotten.retain(|name| !sources.contains(name));
        manifest.sources.extend(missing.into_iter().cloned());
    } else {
        left_out = names(missing.into_iter());
    }
    if sources.is_empty() && left_out.is_empty() {
        return Ok(None);
    }
    let points = points_of(&manifest)?;
    let stored = manifest.sources.iter().filter_map(Source::stored);
    let snapshots = stored.map(|stored| (stored.snapshot, stored.tree)).collect();
    Ok(Some(Returning { manifest, sources, left_out, copies, points, snapshots, whole, revised }))
}

/// What copies hold and a manifest does not; of each source the last that was forgotten.
fn missing<'a>(manifest: &Manifest, kept: &'a [Manifest]) -> Vec<&'a Source> {
    let mut missing: Vec<&Source> = Vec::new();
    for source in kept.iter().flat_map(|manifest| &manifest.sources) {
        let known = manifest.sources.iter().chain(missing.iter().copied());
        if !known.into_iter().any(|known| known.name() == source.name()) {
            missing.push(source);
        }
    }
    missing
}

fn names<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<String> {
    sources.filter_map(Source::name).cloned().collect()
}

fn points_of(manifest: &Manifest) -> Result<Vec<(LineageAddress, Txid)>> {
    let databases = manifest.sources.iter().filter_map(Source::database);
    databases
        .map(|database| {
            let address = DatabaseAddress::new(&manifest.host, &database.name)?;
            Ok((address.lineage(database.lineage)?, database.txid))
        })
        .collect()
}

/// What lineages hold, each listed once.
struct Listings<'a> {
    repository: &'a Repository,
    known: HashMap<Key, LineageListing>,
}

impl Listings<'_> {
    /// Makes sure that files lead to each point.
    fn lead_to(&mut self, points: &[(LineageAddress, Txid)]) -> Result<()> {
        for (lineage, txid) in points {
            if !self.known.contains_key(lineage.key()) {
                let listing = self.repository.listing(lineage)?;
                self.known.insert(lineage.key().clone(), listing);
            }
            self.known[lineage.key()].plan(lineage, *txid)?;
        }
        Ok(())
    }
}
