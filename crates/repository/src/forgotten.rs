//! `forgotten/<time>/<host>/<started>-<id>.<rev>.json.zst.age`: manifests that were forgotten, byte
//! for byte as they were, so that they can be brought back as long as what they need is there.

use std::time::Duration;

use lifeboat_storage::Key;

use crate::create::create;
use crate::document::{DOCUMENT_BYTES, key, read_object};
use crate::{BackupName, Error, Repository, Result, Secrets, Signed, Time};

/// A copy of a manifest that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forgotten {
    /// When it was forgotten.
    pub time: Time,
    /// What it was called.
    pub name: BackupName,
}

impl Forgotten {
    /// Reads a key below `forgotten/`; `None` for any other.
    pub fn parse(key: &Key) -> Option<Self> {
        let (time, path) = key.as_str().strip_prefix("forgotten/")?.split_once('/')?;
        Some(Self { time: Time::from_name(time).ok()?, name: BackupName::parse_path(path)? })
    }

    /// The key of the copy.
    pub fn key(&self) -> Result<Key> {
        key(format!("forgotten/{}/{}", self.time.name(), self.name.path()))
    }

    /// Until when nothing that it needs goes, if pruning waits so long.
    pub fn until(&self, grace: Duration) -> Time {
        self.time.after(grace)
    }

    /// Copies the manifest, which is about to go.
    ///
    /// One that is gone was copied by whoever took it away; what is too large to be a manifest is
    /// none.
    pub(crate) fn keep(&self, repository: &Repository) -> Result<()> {
        let storage = repository.storage();
        match read_object(storage, &self.name.key()?, DOCUMENT_BYTES) {
            Ok(bytes) => create(storage, &self.key()?, &bytes),
            Err(
                Error::Storage(lifeboat_storage::Error::NotFound { .. }) | Error::Corrupt { .. },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts the manifest back, as it was.
    pub(crate) fn put_back(&self, repository: &Repository) -> Result<()> {
        let storage = repository.storage();
        let bytes = read_object(storage, &self.key()?, DOCUMENT_BYTES)?;
        create(storage, &self.name.key()?, &bytes)
    }
}

impl Repository {
    /// The copies of forgotten manifests, the last forgotten first.
    pub fn forgotten(&self) -> Result<Vec<Forgotten>> {
        let entries = self.storage().list(Some(&key("forgotten")?))?;
        let mut copies: Vec<Forgotten> = entries
            .iter()
            .filter_map(|entry| Forgotten::parse(&entry.key))
            .filter(|copy| copy.name.form == self.form())
            .collect();
        copies.sort_by(|one, other| other.cmp(one));
        Ok(copies)
    }

    /// Reads and verifies a forgotten manifest; errors as for [`Repository::manifest`].
    pub fn forgotten_manifest(&self, copy: &Forgotten, secrets: &Secrets) -> Result<Signed> {
        self.trusted(&copy.name, &copy.key()?, secrets)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Forgotten;
    use crate::document::key;

    #[test]
    fn names_say_what_was_forgotten_and_when() {
        let manifest = "pi/20261121T024900.123Z-0123456789abcdef.2.json.zst.age";
        let text = format!("forgotten/20261122T000000.000Z/{manifest}");
        let copy = Forgotten::parse(&key(&text).unwrap()).unwrap();
        assert_eq!(copy.key().unwrap().as_str(), text);
        assert_eq!(copy.name.key().unwrap().as_str(), format!("backups/{manifest}"));
        let until = copy.until(Duration::from_secs(24 * 60 * 60));
        assert_eq!(until.to_string(), "2026-11-23T00:00:00.000Z");
        assert_eq!(copy.until(Duration::MAX).name(), "99991230T220000.000Z");
        for other in [
            format!("backups/{manifest}"),
            format!("forgotten/{manifest}"),
            format!("forgotten/2026/{manifest}"),
            "forgotten/20261122T000000.000Z/pi/notes.txt".to_owned(),
        ] {
            assert_eq!(Forgotten::parse(&key(&other).unwrap()), None, "{other}");
        }
    }
}
