//! Which objects of a lineage this host wrote to a repository, by size and SHA-256: what a manifest
//! says of them, without reading them again.
//!
//! A file of JSON lines, one an object; of several about one key the last counts. It is added to before
//! an object gets its name, so it may name objects that never came to be. A line that was cut by a
//! crash is left out: who misses an object here reads it.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::ObjectRef;

use super::file::replace_private_file;
use crate::{Error, Result};

/// The objects of one lineage in one repository.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// Of a repository, in the directory of a database.
    pub(crate) fn of(directory: &Path, repository: &str) -> Self {
        Self { path: directory.join(format!("objects-{repository}")) }
    }

    /// What is known, by key.
    pub(crate) fn objects(&self) -> Result<HashMap<String, ObjectRef>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
            Err(error) => return Err(Error::file("read", &self.path)(error)),
        };
        let lines = text.split(|byte| *byte == b'\n');
        let objects = lines.filter_map(|line| serde_json::from_slice::<ObjectRef>(line).ok());
        Ok(objects.map(|object| (object.key.clone(), object)).collect())
    }

    /// Adds objects, durably.
    pub(crate) fn append(&self, objects: &[ObjectRef]) -> Result<()> {
        // The first break ends a line that a crash may have cut.
        let mut text = vec![b'\n'];
        text.extend(self.lines(objects)?);
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()))
            .map_err(Error::file("write", &self.path))
    }

    /// Forgets the objects that are not among these, which a listing shows. What is added meanwhile may be
    /// forgotten too.
    pub(crate) fn retain(&self, listed: &HashSet<&str>) -> Result<()> {
        let mut objects = self.objects()?;
        let known = objects.len();
        objects.retain(|key, _| listed.contains(key.as_str()));
        if objects.len() == known {
            return Ok(());
        }
        self.replace(&objects.into_values().collect::<Vec<_>>())
    }

    /// Forgets all others: a base needs none of the files before it.
    pub(crate) fn replace(&self, objects: &[ObjectRef]) -> Result<()> {
        replace_private_file(&self.path, &self.lines(objects)?)
    }

    fn lines(&self, objects: &[ObjectRef]) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        for object in objects {
            let line = serde_json::to_vec(object).map_err(|error| Error::State {
                path: self.path.clone(),
                detail: error.to_string(),
            })?;
            text.extend(line);
            text.push(b'\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lifeboat_repository::ObjectRef;

    use super::Ledger;

    fn object(key: &str, size: u64) -> ObjectRef {
        ObjectRef { key: key.to_owned(), size, sha256: "00".into() }
    }

    #[test]
    fn a_cut_line_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(directory.path(), "r");
        assert!(ledger.objects().unwrap().is_empty());
        ledger.append(&[object("a", 1), object("b", 2)]).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&ledger.path).unwrap();
        file.write_all(b"{\"key\":\"c\",\"si").unwrap();
        ledger.append(&[object("a", 3)]).unwrap();
        let objects = ledger.objects().unwrap();
        assert_eq!((objects.len(), objects["a"].size, objects["b"].size), (2, 3, 2));
        ledger.retain(&["b", "d"].into()).unwrap();
        assert_eq!(ledger.objects().unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
        ledger.replace(&[object("d", 4)]).unwrap();
        assert_eq!(ledger.objects().unwrap().into_keys().collect::<Vec<_>>(), ["d"]);
    }
}
