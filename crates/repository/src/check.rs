//! Verifies a repository without changing it.
//!
//! From names and manifests alone it is known whether everything a backup needs is there in its
//! full size. With `read_data` every object is read to its end too: SHA-256 against the manifests,
//! age's authentication, the LTX file's own checksum, header against name, and the chain of
//! database checksums from file to file.

use std::collections::{BTreeMap, HashMap, HashSet};

use lifeboat_ltx::{Checksum, DatabaseChecksum};
use lifeboat_storage::Key;

use crate::{
    BackupName, DatabaseAddress, DatabaseSource, Error, LineageAddress, LineageListing, LtxFile,
    LtxName, Manifest, ObjectRef, Repository, Result, Secrets, open_ltx,
};

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read every object to its end.
    pub read_data: bool,
}

/// Something wrong in a repository.
#[derive(Debug)]
pub struct Finding {
    /// The object, or the lineage.
    pub key: String,
    /// What is wrong.
    pub error: Error,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Backups that can be restored, newest first.
    pub restorable: Vec<BackupName>,
    /// Backups that cannot, newest first.
    pub lost: Vec<BackupName>,
    /// LTX files looked at.
    pub files: u64,
    /// Sealed bytes read.
    pub read_bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Objects of uploads that did not come to their end. They are no damage.
    pub unfinished: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn found(&mut self, key: &Key, error: Error) {
        self.findings.push(Finding { key: key.to_string(), error });
    }
}

/// Checks a repository. `progress` is told the sealed bytes of each file that was read, and of all
/// of them at first.
pub fn check(
    repository: &Repository,
    secrets: &Secrets,
    options: CheckOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let manifests = read_manifests(repository, secrets, &mut report)?;
    let expected = expected_objects(manifests.iter().map(|(_, manifest)| manifest));
    let mut lineages = read_lineages(repository, &mut report)?;
    for (address, listing) in lineages.values() {
        check_sizes(listing, &expected, &mut report);
        check_reachable(address, listing, &mut report);
    }
    if options.read_data {
        let total = lineages.values().flat_map(|(_, listing)| &listing.files).map(LtxFile::size);
        progress(Progress::Total(total.sum()));
        for (address, listing) in lineages.values_mut() {
            read_files(repository, secrets, address, listing, &expected, &mut report, progress);
        }
    }
    for (name, manifest) in manifests {
        let mut whole = true;
        for source in manifest.sources.iter().filter_map(|source| source.database()) {
            if let Err(error) = check_source(&manifest, source, &lineages) {
                whole = false;
                report.found(&name.key()?, error);
            }
        }
        let list = if whole { &mut report.restorable } else { &mut report.lost };
        list.push(name);
    }
    Ok(report)
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Sealed bytes that will be read.
    Total(u64),
    /// Sealed bytes that were read since.
    Read(u64),
}

type Lineages = BTreeMap<Key, (LineageAddress, LineageListing)>;

fn read_manifests(
    repository: &Repository,
    secrets: &Secrets,
    report: &mut CheckReport,
) -> Result<Vec<(BackupName, Manifest)>> {
    let mut manifests = Vec::new();
    for name in repository.backups()? {
        match repository.manifest(&name, secrets) {
            Ok(signed) => manifests.push((name, signed.manifest)),
            Err(error) => {
                report.found(&name.key()?, error);
                report.lost.push(name);
            }
        }
    }
    Ok(manifests)
}

fn expected_objects<'a>(
    manifests: impl Iterator<Item = &'a Manifest>,
) -> HashMap<String, ObjectRef> {
    manifests
        .flat_map(|manifest| &manifest.sources)
        .filter_map(|source| source.database())
        .flat_map(|database| &database.objects)
        .map(|object| (object.key.clone(), object.clone()))
        .collect()
}

fn read_lineages(repository: &Repository, report: &mut CheckReport) -> Result<Lineages> {
    let mut lineages = BTreeMap::new();
    for database in repository.databases()? {
        for lineage in repository.lineages(&database)? {
            let listing = repository.listing(&lineage)?;
            report.files += listing.files.len() as u64;
            report.unfinished.extend(listing.partial.iter().map(|entry| entry.key.to_string()));
            lineages.insert(lineage.key().clone(), (lineage, listing));
        }
    }
    Ok(lineages)
}

/// Sizes as listed against sizes as written down.
fn check_sizes(
    listing: &LineageListing,
    expected: &HashMap<String, ObjectRef>,
    report: &mut CheckReport,
) {
    for entry in listing.files.iter().flat_map(|file| &file.objects) {
        let Some(object) = expected.get(entry.key.as_str()) else { continue };
        if object.size != entry.size {
            let detail = format!("expected {} bytes, found {}", object.size, entry.size);
            report.found(&entry.key, Error::corrupt(&entry.key, detail));
        }
    }
}

/// The newest transaction of a lineage can be reached, else something before it is missing.
fn check_reachable(address: &LineageAddress, listing: &LineageListing, report: &mut CheckReport) {
    if let Some(last) = listing.last()
        && let Err(error) = listing.plan(address, last)
    {
        report.found(address.key(), error);
    }
}

/// Everything that a source of a backup needs.
fn check_source(manifest: &Manifest, source: &DatabaseSource, lineages: &Lineages) -> Result<()> {
    let address =
        DatabaseAddress::new(&manifest.host, &source.name)?.lineage(source.lineage)?;
    let Some((_, listing)) = lineages.get(address.key()) else {
        return Err(Error::corrupt(address.key(), "there is no such lineage"));
    };
    listing.plan(&address, source.txid)?;
    if !listing.pins.contains(&(source.txid, manifest.id)) {
        return Err(Error::corrupt(&address.pin(source.txid, manifest.id)?, "it is missing"));
    }
    if !listing.has_origin {
        return Err(Error::corrupt(&address.origin()?, "it is missing"));
    }
    Ok(())
}

/// Reads all files of a lineage; damaged ones are taken out of the listing, so that what depends
/// on them shows as lost unless there is another way.
fn read_files(
    repository: &Repository,
    secrets: &Secrets,
    address: &LineageAddress,
    listing: &mut LineageListing,
    expected: &HashMap<String, ObjectRef>,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(Progress),
) {
    if listing.has_origin
        && let Err(error) = repository.origin(address, secrets)
    {
        report.found(address.key(), error);
    }
    let mut links: HashMap<LtxName, Link> = HashMap::new();
    let mut damaged = HashSet::new();
    for file in &listing.files {
        match read_file(repository, secrets, address, file, expected) {
            Ok(link) => {
                links.insert(file.name, link);
            }
            Err(error) => {
                report.found(file.first_key(), error);
                damaged.insert(file.name);
            }
        }
        report.read_bytes += file.size();
        progress(Progress::Read(file.size()));
    }
    listing.files.retain(|file| !damaged.contains(&file.name));
    check_chain(listing, &links, report);
}

/// The database checksums at both ends of a file, as far as they are known.
#[derive(Clone, Copy)]
struct Link {
    before: Option<Checksum>,
    after: Option<Checksum>,
}

fn read_file(
    repository: &Repository,
    secrets: &Secrets,
    address: &LineageAddress,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
) -> Result<Link> {
    let node = address.id().node();
    let (mut decoder, reader) = open_ltx(repository.storage(), file, node, expected, secrets)?;
    let header = decoder.header().clone();
    let mut page = Vec::new();
    let mut all_pages = DatabaseChecksum::new();
    while let Some((_, checksum)) =
        decoder.next_page(&mut page).map_err(|error| reader.explain(error))?
    {
        all_pages.toggle(checksum);
    }
    decoder.finish().map_err(|error| reader.explain(error))?;
    // A base holds every page, so that its own content tells the checksum.
    let found = header.range.is_base().then(|| all_pages.value());
    if let (Some(found), Some(stated)) = (found, header.checksum_after)
        && found != stated
    {
        let detail = format!("its pages have checksum {found}, its header says {stated}");
        return Err(Error::corrupt(file.first_key(), detail));
    }
    Ok(Link { before: header.checksum_before, after: found.or(header.checksum_after) })
}

/// Where one file ends and another begins, both must mean the same database.
fn check_chain(
    listing: &LineageListing,
    links: &HashMap<LtxName, Link>,
    report: &mut CheckReport,
) {
    let mut ends: HashMap<u64, Checksum> = HashMap::new();
    for file in &listing.files {
        let Some(after) = links.get(&file.name).and_then(|link| link.after) else { continue };
        let first = *ends.entry(file.name.max.get()).or_insert(after);
        if first != after {
            let detail = format!("it leads to checksum {after}, another file to {first}");
            report.found(file.first_key(), Error::corrupt(file.first_key(), detail));
        }
    }
    for file in &listing.files {
        let Some(before) = links.get(&file.name).and_then(|link| link.before) else { continue };
        let end = ends.get(&(file.name.min.get() - 1));
        if let Some(end) = end.filter(|end| **end != before) {
            let detail = format!("it continues checksum {before}, the file before it ends in {end}");
            report.found(file.first_key(), Error::corrupt(file.first_key(), detail));
        }
    }
}
