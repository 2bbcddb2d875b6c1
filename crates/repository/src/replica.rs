//! Replicas that Litestream wrote by itself, without a repository around them: seen as one of form
//! `litestream`, of which only LTX files are there and to which nothing can be written.
//!
//! | store | below the replica | in the view |
//! |---|---|---|
//! | file, sftp and most others | `ltx/<level>/<min>-<max>.ltx` | `databases/litestream/<name>/<lineage>/ltx/<level>/…` |
//! | s3, oss, or a copy of such a bucket | `<level as 4 hex digits>/<min>-<max>.ltx` | the same |
//!
//! The place itself may be a replica, or the directories directly below it. Each is a database with
//! the name of its directory.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_storage::{Child, CreateNew, Entry, Error as StorageError, Key, Storage, Upload};
use sha2::{Digest, Sha256};

use crate::document::key;
use crate::marker::Marker;
use crate::{DatabaseAddress, Error, Form, LineageAddress, LineageId, LtxName, Result, Time};

/// The host under which replicas are shown: they name none.
const HOST: &str = "litestream";
/// Levels that files can have.
const LEVELS: Range<u8> = 0..10;

type Stored<T> = lifeboat_storage::Result<T>;

/// How levels are called below a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Levels {
    /// `ltx/9`
    Decimal,
    /// `0009`
    Hex,
}

impl Levels {
    fn directory(self, replica: Option<&Key>, level: u8) -> Result<Key> {
        match self {
            Self::Decimal => below(replica, &format!("ltx/{level}")),
            Self::Hex => below(replica, &format!("{level:04x}")),
        }
    }
}

/// A replica, and the lineage that it is in the view.
#[derive(Clone, Debug)]
struct Replica {
    lineage: LineageAddress,
    /// For each level, where its files are.
    levels: Vec<Key>,
}

/// A view of replicas as a repository.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaStorage {
    inner: Arc<dyn Storage>,
    replicas: Vec<Replica>,
}

/// The replicas at a place, with a marker as if they were a repository; `None` if there are none.
pub(crate) fn find(inner: &Arc<dyn Storage>) -> Result<Option<(ReplicaStorage, Marker)>> {
    let mut replicas = Vec::new();
    let location = inner.location();
    let own_name = location.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if let Some(levels) = levels_of(inner, None)? {
        replicas.push(Replica::new(own_name, None, levels)?);
    } else {
        for child in inner.list_names(None)? {
            // Hidden ones are what Litestream keeps beside a database, not what it replicates to.
            let Child::Directory(directory) = child else { continue };
            if !directory.as_str().starts_with('.')
                && let Some(levels) = levels_of(inner, Some(&directory))?
            {
                replicas.push(Replica::new(directory.as_str(), Some(&directory), levels)?);
            }
        }
    }
    if replicas.is_empty() {
        return Ok(None);
    }
    let mut marker = Marker::new(Form::Litestream);
    marker.id = hex_of(&location, 16).parse()?;
    marker.created = Time::from_millis(0);
    Ok(Some((ReplicaStorage { inner: inner.clone(), replicas }, marker)))
}

/// Refuses a place that is a replica of Litestream: nothing else belongs between its files.
/// [`Error::LitestreamReplica`].
pub fn refuse_replica(storage: &dyn Storage) -> Result<()> {
    match levels_of(storage, None)? {
        Some(_) => Err(Error::LitestreamReplica { location: storage.location() }),
        None => Ok(()),
    }
}

/// How the levels of a directory are called, if it is a replica: an LTX file is in one of them. Of
/// a place that is none, little more than its own names is asked for.
fn levels_of(storage: &dyn Storage, directory: Option<&Key>) -> Result<Option<Levels>> {
    let top = storage.list_names(directory)?;
    let ltx = below(directory, "ltx")?;
    // Only a directory may be listed, and of files that are called so there may be some.
    let has_ltx = top.contains(&Child::Directory(ltx.clone()));
    let in_ltx = if has_ltx { storage.list_names(Some(&ltx))? } else { Vec::new() };
    for (levels, there) in [(Levels::Decimal, in_ltx), (Levels::Hex, top)] {
        for level in LEVELS {
            let directory = levels.directory(directory, level)?;
            if there.contains(&Child::Directory(directory.clone()))
                && storage.list_names(Some(&directory))?.iter().any(|child| is_ltx(level, child))
            {
                return Ok(Some(levels));
            }
        }
    }
    Ok(None)
}

/// What lies below a directory, or the top.
fn below(directory: Option<&Key>, rest: &str) -> Result<Key> {
    key(directory.map_or_else(|| rest.to_owned(), |directory| format!("{directory}/{rest}")))
}

fn is_ltx(level: u8, child: &Child) -> bool {
    let Child::Object(key) = child else { return false };
    let path = format!("{level}/{}", key.file_name());
    LtxName::parse(Form::Litestream, &path, SystemTime::UNIX_EPOCH).is_some()
}

/// The first bytes of a text's SHA-256 in hex: the same text, the same id.
fn hex_of(text: &str, bytes: usize) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text).iter().take(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

impl Replica {
    /// A directory that is named like a lineage, as in a repository of form `litestream`, is that one.
    fn new(name: &str, directory: Option<&Key>, levels: Levels) -> Result<Self> {
        let name = if name.is_empty() { "database" } else { name };
        let id: LineageId = match name.parse() {
            Ok(id) => id,
            Err(_) => hex_of(name, 8).parse()?,
        };
        let levels = LEVELS.map(|level| levels.directory(directory, level));
        Ok(Self {
            lineage: DatabaseAddress::new(HOST, name)?.lineage(id)?,
            levels: levels.collect::<Result<_>>()?,
        })
    }

    /// The key of an object in the store, by its key in the view.
    fn inner(&self, outer: &Key) -> Option<Key> {
        let rest = outer.as_str().strip_prefix(self.lineage.key().as_str())?;
        let (level, file) = rest.strip_prefix("/ltx/")?.split_once('/')?;
        let directory = self.levels.get(level.parse::<usize>().ok()?)?;
        directory.join(file).ok()
    }

    /// All objects by their keys in the view.
    fn entries(&self, inner: &dyn Storage) -> Stored<Vec<Entry>> {
        let mut entries = Vec::new();
        for (level, directory) in self.levels.iter().enumerate() {
            for entry in inner.list(Some(directory))? {
                let Some(file) = entry.key.as_str().strip_prefix(directory.as_str()) else {
                    continue;
                };
                let key = self.lineage.key().join(&format!("ltx/{level}{file}"))?;
                entries.push(Entry { key, ..entry });
            }
        }
        Ok(entries)
    }
}

/// Whether a key is a directory, or below it; everything is below the top.
fn is_within(key: &Key, directory: Option<&Key>) -> bool {
    directory.is_none_or(|directory| {
        let rest = key.as_str().strip_prefix(directory.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

impl ReplicaStorage {
    fn inner_key(&self, outer: &Key) -> Option<Key> {
        self.replicas.iter().find_map(|replica| replica.inner(outer))
    }

    /// Keys below a directory, enough to tell what lies directly below it: to list databases, no
    /// replica needs to be listed.
    fn keys(&self, directory: Option<&Key>) -> Stored<Vec<Key>> {
        let mut keys = Vec::new();
        for replica in &self.replicas {
            let lineage = replica.lineage.key();
            if directory.is_some_and(|directory| is_within(directory, Some(lineage))) {
                keys.extend(self.list(directory)?.into_iter().map(|entry| entry.key));
            } else if is_within(lineage, directory) {
                keys.push(lineage.join("ltx")?);
            }
        }
        Ok(keys)
    }

    fn read_only(&self, operation: &'static str, object: &str) -> StorageError {
        StorageError::Storage {
            operation,
            object: object.to_owned(),
            location: self.location(),
            source: ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

impl Storage for ReplicaStorage {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create_new(&self) -> CreateNew {
        self.inner.create_new()
    }

    fn check_before_creating(&self) -> bool {
        true
    }

    fn begin(&self) -> Stored<Box<dyn Upload>> {
        Err(self.read_only("write", "an object"))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Stored<Box<dyn Read + Send>> {
        match self.inner_key(key) {
            Some(inner) => self.inner.read(&inner, range),
            None => Err(StorageError::NotFound { key: key.clone(), location: self.location() }),
        }
    }

    fn stat(&self, key: &Key) -> Stored<Option<Entry>> {
        let Some(inner) = self.inner_key(key) else { return Ok(None) };
        Ok(self.inner.stat(&inner)?.map(|entry| Entry { key: key.clone(), ..entry }))
    }

    fn list(&self, directory: Option<&Key>) -> Stored<Vec<Entry>> {
        let mut entries = Vec::new();
        for replica in &self.replicas {
            let lineage = replica.lineage.key();
            let holds = directory.is_some_and(|directory| is_within(directory, Some(lineage)));
            if holds || is_within(lineage, directory) {
                entries.extend(replica.entries(&self.inner)?);
            }
        }
        entries.retain(|entry| is_within(&entry.key, directory));
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(entries)
    }

    fn list_names(&self, directory: Option<&Key>) -> Stored<Vec<Child>> {
        let depth = directory.map_or(0, |directory| directory.as_str().split('/').count());
        let mut children = Vec::new();
        for key in self.keys(directory)? {
            let mut segments = key.as_str().split('/');
            let child: Vec<&str> = segments.by_ref().take(depth + 1).collect();
            let child = child.join("/").parse()?;
            children.push(match segments.next() {
                Some(_) => Child::Directory(child),
                None => Child::Object(child),
            });
        }
        children.sort_by(|one, other| one.key().cmp(other.key()));
        children.dedup();
        Ok(children)
    }

    fn remove(&self, key: &Key) -> Stored<bool> {
        Err(self.read_only("remove", key.as_str()))
    }

    /// What is unfinished is for those who write.
    fn sweep(&self, _: Duration) -> Stored<u64> {
        Ok(0)
    }

    fn free_bytes(&self) -> Stored<Option<u64>> {
        Ok(None)
    }
}
