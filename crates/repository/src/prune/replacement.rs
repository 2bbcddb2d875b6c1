//! What takes the place of files must have been read before they go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lifeboat_storage::Key;

use super::{PruneReport, Waste};
use crate::needed::Unneeded;
use crate::read_back::{Ends, ends, read_to_end};
use crate::{Error, Finding, LineageAddress, LtxFile, LtxName, Repository, Result, Secrets};

/// A file that takes the place of others, and of which it is not known whether it can.
#[derive(Debug)]
pub(super) struct Replacement {
    lineage: LineageAddress,
    file: LtxFile,
    /// Files that it takes the place of, and that begin or end where it does.
    first: Option<LtxFile>,
    last: Option<LtxFile>,
    /// All objects that it takes the place of.
    replaced: Vec<Key>,
}

/// The replacements that must be read before what can go of a lineage goes, but for what `waits`
/// anyway; adds the objects of those that were to `known`.
pub(super) fn replacements(
    lineage: &LineageAddress,
    waste: &Waste<'_>,
    waits: &dyn Fn(&Key) -> bool,
    verified: &BTreeSet<Key>,
    known: &mut BTreeSet<Key>,
) -> Vec<Replacement> {
    let mut replacements: BTreeMap<LtxName, Replacement> = BTreeMap::new();
    for Unneeded { file, instead } in &waste.files {
        let objects: Vec<Key> = file.objects.iter().map(|object| object.key.clone()).collect();
        if objects.iter().all(waits) {
            continue;
        }
        for other in instead {
            let keys = other.objects.iter().map(|object| &object.key);
            if keys.clone().all(|key| verified.contains(key)) {
                known.extend(keys.cloned());
                continue;
            }
            let replacement = replacements.entry(other.name).or_insert_with(|| Replacement {
                lineage: lineage.clone(),
                file: (*other).clone(),
                first: None,
                last: None,
                replaced: Vec::new(),
            });
            replacement.replaced.extend_from_slice(&objects);
            if file.name.min == other.name.min {
                replacement.first.get_or_insert_with(|| (*file).clone());
            }
            if file.name.max == other.name.max {
                replacement.last.get_or_insert_with(|| (*file).clone());
            }
        }
    }
    replacements.into_values().collect()
}

/// Reads them. Returns the objects of those that are sound, and the objects that must stay because
/// what was to take their place is not.
pub(super) fn verify(
    repository: &Repository,
    secrets: &Secrets,
    replacements: &[Replacement],
    report: &mut PruneReport,
) -> Result<(BTreeSet<Key>, HashSet<Key>)> {
    let (mut sound, mut stay) = (BTreeSet::new(), HashSet::new());
    for replacement in replacements {
        let objects = &replacement.file.objects;
        match replacement.verify(repository, secrets) {
            Ok(()) => {
                report.verified_bytes += replacement.file.size();
                sound.extend(objects.iter().map(|object| object.key.clone()));
                continue;
            }
            Err(error) if error.is_gone() => {}
            Err(error) if error.is_damage() => {
                let key = error.key().unwrap_or(replacement.file.first_key()).to_string();
                report.findings.push(Finding { key, error });
            }
            Err(error) => return Err(error),
        }
        stay.extend(replacement.replaced.iter().cloned());
    }
    Ok((sound, stay))
}

impl Replacement {
    /// Its sealed bytes.
    pub(super) fn size(&self) -> u64 {
        self.file.size()
    }

    fn verify(&self, repository: &Repository, secrets: &Secrets) -> Result<()> {
        let ends_of = |file: &Option<LtxFile>| match file {
            None => Ok(Ends::default()),
            Some(file) => match ends(repository, secrets, &self.lineage, file) {
                // What cannot be read says nothing.
                Err(error) if error.is_damage() => Ok(Ends::default()),
                ends => ends,
            },
        };
        let (first, last): (Result<Ends, Error>, Result<Ends, Error>) =
            (ends_of(&self.first), ends_of(&self.last));
        let replaced = Ends { before: first?.before, after: last?.after };
        let file = &self.file;
        let found = read_to_end(repository, secrets, &self.lineage, file, &HashMap::new())?;
        found.expect(file.first_key(), replaced)
    }
}
