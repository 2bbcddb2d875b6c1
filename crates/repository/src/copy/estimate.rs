//! What a copy would take, told before anything is written.

use std::collections::HashMap;

use lifeboat_restic::MissingBlobs;
use lifeboat_storage::Key;

use super::database::{DatabaseCopy, Missing};
use super::{Copier, FilesCopy};
use crate::{LineageListing, Manifest, Result, Source};

/// What a repository lacks of a backup, and of those that were asked about before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupCopy {
    /// LTX files that would be copied.
    pub ltx_files: u64,
    /// Pieces of files, and directories, that would be copied.
    pub blobs: u64,
    /// What all of it takes where it is.
    pub stored_bytes: u64,
}

/// Lineages of the target as they would be.
#[derive(Debug, Default)]
pub(super) struct Expected(HashMap<Key, LineageListing>);

impl Copier<'_> {
    /// What would be copied of a backup, if those that were asked about before were copied. Nothing is written,
    /// and nothing but names and directories is read.
    ///
    /// Errors as of [`Copier::copy`], as far as names and directories show them.
    pub fn estimate(&mut self, manifest: &Manifest) -> Result<BackupCopy> {
        self.must_fit(manifest)?;
        let mut estimate = BackupCopy::default();
        for source in &manifest.sources {
            if let Source::Database(source) = source {
                let database = DatabaseCopy::of(&manifest.host, source, self.from, self.to)?;
                let key = database.lineage.key().clone();
                let there = match self.expected.0.remove(&key) {
                    Some(there) => there,
                    None => self.to.repository.listing(&database.lineage)?,
                };
                let there = self.expected.0.entry(key).or_insert(there);
                let missing: Missing = database.missing(there)?;
                estimate.ltx_files += missing.files.len() as u64;
                estimate.stored_bytes += missing.size();
                there.files.extend(missing.files);
            } else if let (Some(stored), Some(FilesCopy { copier, .. })) =
                (source.stored(), &mut self.files)
            {
                let MissingBlobs { data_blobs, tree_blobs, packed_bytes } =
                    copier.count_missing(stored.tree)?;
                estimate.blobs += data_blobs + tree_blobs;
                estimate.stored_bytes += packed_bytes;
            }
        }
        Ok(estimate)
    }
}
