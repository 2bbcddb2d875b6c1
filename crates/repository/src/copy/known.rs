//! What is known of the target's objects, so that they need not be read.

use std::collections::HashMap;

use lifeboat_ltx::Checksum;

use super::CopyEnd;
use crate::read_back::{Ends, ends, read_to_end};
use crate::{Error, LineageAddress, LtxFile, ObjectRef, Result, Source};

/// Objects by key: those that manifests of the target name, and those that were written or read.
#[derive(Debug, Default)]
pub(super) struct Known {
    objects: HashMap<String, ObjectRef>,
    manifests_read: bool,
}

impl Known {
    pub(super) fn add(&mut self, objects: impl IntoIterator<Item = ObjectRef>) {
        self.objects.extend(objects.into_iter().map(|object| (object.key.clone(), object)));
    }

    /// The objects of a file of the target, which must lead to `after`. What nobody vouches for is read to its end.
    pub(super) fn objects(
        &mut self,
        to: CopyEnd<'_>,
        lineage: &LineageAddress,
        file: &LtxFile,
        after: Option<Checksum>,
    ) -> Result<Vec<ObjectRef>> {
        let ending = Ends { before: None, after };
        if self.find(file).is_none() && !self.manifests_read {
            self.read_manifests(to)?;
        }
        if let Some(objects) = self.find(file) {
            if after.is_some() {
                let found = ends(to.repository, to.secrets, lineage, file)?;
                found.expect(file.first_key(), ending)?;
            }
            return Ok(objects);
        }
        let found = read_to_end(to.repository, to.secrets, lineage, file, &HashMap::new())?;
        found.expect(file.first_key(), ending)?;
        let objects = file.objects.iter().map(|entry| to.repository.object(&entry.key));
        let objects = objects.collect::<Result<Vec<_>>>()?;
        self.add(objects.clone());
        Ok(objects)
    }

    fn find(&self, file: &LtxFile) -> Option<Vec<ObjectRef>> {
        let objects = file.objects.iter().map(|entry| {
            let known = self.objects.get(entry.key.as_str());
            known.filter(|object| object.size == entry.size).cloned()
        });
        objects.collect()
    }

    /// A manifest that cannot be read vouches for nothing.
    fn read_manifests(&mut self, to: CopyEnd<'_>) -> Result<()> {
        for name in to.repository.backups()? {
            match to.repository.manifest(&name, to.secrets) {
                Ok(signed) => {
                    let sources = signed.manifest.sources.iter().filter_map(Source::database);
                    self.add(sources.flat_map(|source| source.objects.iter().cloned()));
                }
                Err(error)
                    if error.is_damage() || matches!(error, Error::UnknownFeature { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.manifests_read = true;
        Ok(())
    }
}
