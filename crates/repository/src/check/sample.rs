//! Which objects are read to their ends.

use std::collections::HashSet;

use lifeboat_restic::{Listed, PackId, Subset, list};

use super::CheckOptions;
use super::lineages::Lineages;
use crate::{LtxFile, Repository, Result};

/// The LTX files that are read, and how many of the packs.
pub(super) struct Sample {
    /// By a hash of their first keys, as packs have one for their name.
    files: HashSet<PackId>,
    /// Sealed bytes of these files.
    pub(super) bytes: u64,
    /// What of packs.
    pub(super) of_packs: Subset,
}

impl Sample {
    /// `None` if nothing is to be read. A number of bytes is meant for LTX files and packs together.
    pub(super) fn choose(
        repository: &Repository,
        options: CheckOptions,
        lineages: &Lineages,
    ) -> Result<Option<Self>> {
        let Some(subset) = options.read_data else { return Ok(None) };
        let files = lineages.values().flat_map(|lineage| &lineage.listing.files);
        let files: Vec<Listed<PackId>> =
            files.map(|file| Listed { id: hash(file), size: file.size() }).collect();
        let subset = match subset {
            Subset::Bytes(bytes) => {
                let packs = list::<PackId>(&**repository.storage())?;
                let all = files.iter().chain(&packs).map(|listed| listed.size).sum();
                share(bytes, all)
            }
            subset => subset,
        };
        let chosen = subset.choose(&files)?;
        Ok(Some(Self {
            bytes: chosen.iter().map(|file| file.size).sum(),
            files: chosen.into_iter().map(|file| file.id).collect(),
            of_packs: subset,
        }))
    }

    pub(super) fn has(&self, file: &LtxFile) -> bool {
        self.files.contains(&hash(file))
    }
}

fn hash(file: &LtxFile) -> PackId {
    PackId::of(file.first_key().as_str().as_bytes())
}

/// So many bytes of all.
fn share(bytes: u64, all: u64) -> Subset {
    if bytes >= all {
        return Subset::All;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share of what is there, about")]
    Subset::Percentage(bytes as f64 * 100.0 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_share_of_all() {
        for (bytes, all, expected) in [
            (1, 4, Subset::Percentage(25.0)),
            (4, 4, Subset::All),
            (5, 4, Subset::All),
            (1, 0, Subset::All),
        ] {
            assert_eq!(share(bytes, all), expected);
        }
    }
}
