//! What is in the files of a lineage: each by itself, and one after another.

use std::collections::{HashMap, HashSet};

use lifeboat_ltx::Checksum;
use lifeboat_storage::Key;

use super::backups::BackedUp;
use super::lineages::Lineage;
use super::sample::Sample;
use super::{CheckReport, Progress};
use crate::fetch::damaged_parts;
use crate::{
    Error, LineageAddress, LineageListing, LtxFile, LtxName, ObjectRef, Repository, Result,
    Secrets, Time, open_ltx,
};

/// What was found in the files that were read.
pub(super) type Contents = HashMap<LtxName, Content>;

/// What a sound file says.
pub(super) struct Content {
    page_size: u32,
    page_count: u32,
    /// In milliseconds since the beginning of 1970.
    time_ms: i64,
    /// Database checksums before and after it, as far as they are known.
    before: Option<Checksum>,
    after: Option<Checksum>,
}

/// Reads the origin, and those files of a lineage that are in the sample. Damaged files are taken out of its listing, so that
/// what depends on them is lost, unless there is another way.
pub(super) fn read_lineage(
    repository: &Repository,
    secrets: &Secrets,
    lineage: &mut Lineage,
    expected: &HashMap<String, ObjectRef>,
    sample: &Sample,
    report: &mut CheckReport,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<()> {
    let mut damaged = HashSet::new();
    let Lineage { address, listing, contents } = lineage;
    if listing.has_origin
        && let Err(error) = repository.origin(address, secrets)
    {
        report.found(&address.origin(repository.form())?, error);
    }
    for file in listing.files.iter().filter(|file| sample.has(file)) {
        match read_file(repository, secrets, address, file, expected) {
            Ok(content) => {
                check_time(file, &content, report);
                contents.insert(file.name, content);
            }
            Err(error) => {
                report_damage(repository, file, expected, error, report);
                damaged.insert(file.name);
            }
        }
        report.read_bytes += file.size();
        progress(Progress::Read(file.size()));
    }
    listing.files.retain(|file| !damaged.contains(&file.name));
    check_ends(listing, contents, report);
    Ok(())
}

fn read_file(
    repository: &Repository,
    secrets: &Secrets,
    address: &LineageAddress,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
) -> Result<Content> {
    let node = repository.node_of(address);
    let (decoder, reader) = open_ltx(repository.storage(), file, node, expected, secrets)?;
    let (page_size, page_count) = (decoder.header().page_size.get(), decoder.header().commit);
    let (time_ms, before) = (decoder.header().timestamp_ms, decoder.header().checksum_before);
    let trailer = decoder.finish().map_err(|error| reader.explain(error))?;
    Ok(Content { page_size, page_count, time_ms, before, after: trailer.checksum_after })
}

/// A time that the store keeps gets lost where files are copied without theirs. What the file leads
/// to is still there, but at another time.
fn check_time(file: &LtxFile, content: &Content, report: &mut CheckReport) {
    let time = Time::from_millis(content.time_ms);
    if time != file.name.time {
        let detail = format!("its header says {time}, the storage {}", file.name.time);
        report.corrupt(file.first_key(), detail);
    }
}

/// Names the parts that are damaged, where a manifest knows them; else the file by its first object.
fn report_damage(
    repository: &Repository,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
    error: Error,
    report: &mut CheckReport,
) {
    let damaged = match file.objects.len() {
        1 => Vec::new(),
        _ => damaged_parts(repository.storage(), file, expected),
    };
    if damaged.is_empty() {
        report.found(file.first_key(), error);
    }
    for error in damaged {
        let key = error.key().unwrap_or(file.first_key()).clone();
        report.found(&key, error);
    }
}

/// Files that end at one transaction must mean the same database, and so must a file and the one
/// that it continues.
fn check_ends(listing: &LineageListing, contents: &Contents, report: &mut CheckReport) {
    let mut ends: HashMap<u64, Checksum> = HashMap::new();
    for file in &listing.files {
        let content = contents.get(&file.name);
        let Some(after) = content.and_then(|content| content.after) else { continue };
        let first = *ends.entry(file.name.max.get()).or_insert(after);
        if first != after {
            let detail = format!("it leads to checksum {after}, another file to {first}");
            report.corrupt(file.first_key(), detail);
        }
    }
    for file in &listing.files {
        let Some(content) = contents.get(&file.name) else { continue };
        let end = ends.get(&(file.name.min.get() - 1));
        if let Err(detail) = check_link(end.copied(), content) {
            report.corrupt(file.first_key(), detail);
        }
    }
}

fn check_link(end: Option<Checksum>, next: &Content) -> Result<(), String> {
    match (end, next.before) {
        (Some(end), Some(before)) if end != before => {
            Err(format!("it continues checksum {before}, the file before it ends in {end}"))
        }
        _ => Ok(()),
    }
}

/// A file of a way that does not fit those before it, or what the manifest says.
pub(super) struct Misfit {
    /// Where in the way it stands.
    pub(super) at: usize,
    detail: String,
}

impl Misfit {
    /// With the object to blame.
    pub(super) fn into_error(self, key: &Key) -> Error {
        Error::corrupt(key, self.detail)
    }
}

/// What a restore would find when it applies the files of its plan one after another.
pub(super) fn check_way(
    way: &[&LtxFile],
    contents: &Contents,
    point: &BackedUp,
) -> Result<(), Misfit> {
    for (at, pair) in (1..).zip(way.windows(2)) {
        let (file, next) = (pair[0], pair[1]);
        let both = contents.get(&file.name).zip(contents.get(&next.name));
        // Not all were read.
        let Some((content, following)) = both else { continue };
        let adjacent = file.name.max.next() == Some(next.name.min);
        let end = content.after.filter(|_| adjacent);
        check_link(end, following).map_err(|detail| Misfit { at, detail })?;
        if content.page_size != following.page_size {
            let detail = format!(
                "its pages have {} bytes, those of the file before it {}",
                following.page_size, content.page_size
            );
            return Err(Misfit { at, detail });
        }
    }
    let Some(last) = way.last() else { return Ok(()) };
    let Some(found) = contents.get(&last.name) else { return Ok(()) };
    let at = way.len() - 1;
    let size = (found.page_size, found.page_count);
    if size != (point.page_size, point.page_count) {
        let detail = format!(
            "it leads to {} pages of {} bytes, the manifest says {} of {}",
            size.1, size.0, point.page_count, point.page_size
        );
        return Err(Misfit { at, detail });
    }
    match found.after {
        Some(after) if after != point.checksum => {
            let detail =
                format!("it leads to checksum {after}, the manifest says {}", point.checksum);
            Err(Misfit { at, detail })
        }
        _ => Ok(()),
    }
}
