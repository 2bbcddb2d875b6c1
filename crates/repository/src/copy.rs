//! Copies backups to another repository, sealed for its holders.
//!
//! A copy is the same backup: it has the same id, and its databases stand at the same transactions of the same
//! lineages, in files of the same transactions and times. Sealed bytes, snapshots and the signature are the
//! target's own, so a manifest names other objects there. It is written as any backup is: origin, LTX files
//! and snapshots, pins, manifest. What a copy that was killed leaves is used by the next one; its manifest is
//! what makes it a backup.
//!
//! Of a database go the files that lead on from what the target has, or those of the whole way, whichever is
//! less. Each is read to its end and verified before it gets its name. What the target has is not read
//! again if a manifest there vouches for it, else it is, and must lead to the checksum of the backup.
//!
//! Why each of the others at work is safe:
//!
//! - **The host itself**, which backs up to the target, too, under the same state directory and so in the same
//!   lineages. TXIDs are given once for all repositories of a host, so a file of the same transactions has the
//!   same content, and a plan may use either; files may overlap. Nothing is overwritten: a name that is taken
//!   by a whole file is that file, and one that is taken by parts of another upload is left to it (`ltx.rs`). If
//!   it is the host that finds a name taken, it stores what it has in another way, as it does when it is not
//!   told that a file came through. No TXID is given here, so there is still one who writes a lineage on.
//! - **A state directory that was set back** may have given a TXID twice, with other content in each repository.
//!   The first file that is to continue what the target has must state the checksum to which that leads,
//!   where both state one. The last one must lead to the checksum of the manifest. If the files were mixed
//!   otherwise, a restore finds it by the checksums, as it finds damage.
//! - **A host that took the database over in the target** has closed lineages there. A transaction after such an
//!   end would not count: it is refused before anything is stored.
//! - **A prune of the target** may have announced what the copy goes on from. As a backup does, the copy looks
//!   again when its pins are written, before its manifest. The snapshots are under the shared lock that the
//!   caller holds. **A prune of the source** removes what it announced a day ago: what is found gone is looked
//!   for once more, then that backup is not copied. The caller holds a lock of the files there, too.
//! - **A forget of the target** forgets a copy as any backup. The next copy brings it again, if it is asked for.
//! - **Another copy** to the same target stores the same twice at worst. Of two manifests of one name one is
//!   created, the other is refused.

mod database;
mod estimate;
mod known;
mod ltx;

use lifeboat_restic::{CopyOptions, Fence, SnapshotCopier};

use self::database::DatabaseCopy;
pub use self::estimate::BackupCopy;
use self::estimate::Expected;
use self::known::Known;
use crate::{Error, HostKey, Manifest, ObjectRef, Repository, Result, Secrets, Source, StoredTree};

/// A repository that is copied from or to, and what opens it.
#[derive(Clone, Copy, Debug)]
pub struct CopyEnd<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Its secrets.
    pub secrets: &'a Secrets,
}

/// How files are copied.
pub struct FilesCopy<'a> {
    /// Between the files parts of both, of which locks are held.
    pub copier: SnapshotCopier,
    /// Whether they still are.
    pub fence: Fence<'a>,
    /// How blobs are read and stored.
    pub options: CopyOptions,
}

impl std::fmt::Debug for FilesCopy<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("FilesCopy").field(&self.copier).finish()
    }
}

/// Copies backups, one after the other: the oldest first, since each goes on from those before it.
///
/// Takes the memory of what a [`SnapshotCopier`] does, and some 200 bytes for each object of a database that
/// a manifest of the target names.
#[derive(Debug)]
pub struct Copier<'a> {
    from: CopyEnd<'a>,
    to: CopyEnd<'a>,
    files: Option<FilesCopy<'a>>,
    known: Known,
    expected: Expected,
}

impl<'a> Copier<'a> {
    /// Between two repositories; without files.
    pub fn new(from: CopyEnd<'a>, to: CopyEnd<'a>) -> Self {
        let (known, expected) = (Known::default(), Expected::default());
        Self { from, to, files: None, known, expected }
    }

    /// Takes objects of the target for known: somebody vouches for them who wrote them.
    pub fn learn(&mut self, objects: impl IntoIterator<Item = ObjectRef>) {
        self.known.add(objects);
    }

    /// Copies files as well.
    #[must_use]
    pub fn with_files(mut self, files: FilesCopy<'a>) -> Self {
        self.files = Some(files);
        self
    }

    /// Copies a backup of the source, whose manifest was verified. The copy is signed with `host_key`.
    /// `progress` is told of plain bytes. Returns the manifest of the copy.
    ///
    /// [`Error::is_damage`] if it cannot be read whole; [`Error::NoFiles`], [`Error::EmptyDatabase`],
    /// [`Error::UnknownFeature`] if the target cannot hold it, or this version does not know all of it. Then
    /// other backups may still be copied.
    pub fn copy(
        &mut self,
        manifest: &Manifest,
        host_key: &HostKey,
        progress: &dyn Fn(u64),
    ) -> Result<Manifest> {
        self.to.repository.require_writable()?;
        self.must_fit(manifest)?;
        let mut copy = manifest.clone();
        let mut databases = Vec::new();
        for source in &mut copy.sources {
            if let Source::Database(source) = source {
                let database = DatabaseCopy::of(&manifest.host, source, self.from, self.to)?;
                source.stored_bytes = database.store(&mut self.known, progress)?;
                databases.push(database);
            } else if let Some(stored) = source.stored_mut() {
                self.copy_tree(stored, progress)?;
            }
        }
        for database in &databases {
            self.to.repository.write_pin(&database.lineage, database.txid, manifest.id)?;
        }
        let mut objects = Vec::new();
        for database in &databases {
            objects.push(database.objects(&mut self.known)?);
        }
        let sources = copy.sources.iter_mut().filter_map(Source::database_mut);
        for (source, objects) in sources.zip(objects) {
            source.objects = objects;
        }
        if let Some(files) = &self.files {
            (files.fence)()?;
        }
        self.to.repository.write_manifest(&copy, host_key)?;
        Ok(copy)
    }

    fn copy_tree(&mut self, stored: &mut StoredTree, progress: &dyn Fn(u64)) -> Result<()> {
        let Some(FilesCopy { copier, fence, options }) = &mut self.files else {
            return Err(Error::NoFiles { location: self.to.repository.location() });
        };
        let copied = copier.copy(&stored.snapshot, stored.tree, options, *fence, progress)?;
        (stored.snapshot, stored.stored_bytes) = (copied.snapshot, copied.stored_bytes);
        Ok(())
    }

    /// Refuses, before anything is stored, what the target cannot hold or nobody here understands.
    fn must_fit(&self, manifest: &Manifest) -> Result<()> {
        let repository = self.to.repository;
        if manifest.sources.contains(&Source::Unknown) {
            let feature = "the kind of one of its sources".to_owned();
            return Err(Error::UnknownFeature {
                location: self.from.repository.location(),
                feature,
            });
        }
        if manifest.snapshots().next().is_some() && !repository.form().is_sealed() {
            return Err(Error::NoFiles { location: repository.location() });
        }
        let mut databases = manifest.sources.iter().filter_map(Source::database);
        match databases.find(|database| database.page_count == 0) {
            Some(empty) if !repository.form().is_sealed() => Err(Error::EmptyDatabase {
                name: empty.name.clone(),
                location: repository.location(),
            }),
            _ => Ok(()),
        }
    }
}

/// What manifests say of objects, by key.
fn by_key(objects: &[ObjectRef]) -> std::collections::HashMap<String, ObjectRef> {
    objects.iter().map(|object| (object.key.clone(), object.clone())).collect()
}
