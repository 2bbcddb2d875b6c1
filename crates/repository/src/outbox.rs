//! Sealed objects on their way into a repository.
//!
//! An LTX file that must survive a cut network is sealed once, into an *outbox*: a local storage in which
//! its objects lie under the keys that they will have in the repository. From there they are sent as
//! they are, as often as it takes. Sealing again would give other bytes under the same name, which no
//! storage could tell from somebody else's.
//!
//! A repository over a network has an outbox for all LTX files that it stores: see [`Repository::set_outbox`]; and
//! for all of a backup that goes to several at once: see [`Repository::defer`].

use std::collections::HashSet;
use std::sync::Arc;

use lifeboat_storage::{Cause, Entry, Failure, Key, Storage, StoredContent};

use crate::create::{digest_of, publish_content};
use crate::document::key;
use crate::ltx_file::{LtxName, Part};
use crate::tree::split;
use crate::{Error, Form, LineageAddress, LtxWriter, ObjectRef, Repository, Result};

/// This much is left free.
const SPARE: u64 = 16 << 20;

/// An object that waits in an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The object.
    pub entry: Entry,
    /// The file that it belongs to; `None` for what is none of ours.
    pub name: Option<LtxName>,
}

impl Repository {
    /// Lets LTX files wait in an outbox until they are whole, before the first byte of them is sent: so nothing that
    /// is read for them is held up by the network, and what a cut network leaves is sent later
    /// ([`Repository::resume`]). Nobody else may write there. Does nothing if there is one.
    pub fn set_outbox(&self, outbox: Arc<dyn Storage>) {
        let _ = self.outbox.set(outbox);
    }

    /// The outbox, if there is one with room for about so many bytes.
    pub(crate) fn outbox_for(&self, bytes: u64) -> Result<Option<Arc<dyn Storage>>> {
        let Some(outbox) = self.outbox.get() else { return Ok(None) };
        let free = outbox.free_bytes()?;
        let fits =
            free.is_none_or(|free| free > bytes.saturating_add(bytes / 50).saturating_add(SPARE));
        Ok(fits.then(|| outbox.clone()))
    }

    /// Begins an LTX file whose objects, sealed for this repository, go to an outbox.
    pub fn begin_ltx_in(
        &self,
        outbox: Arc<dyn Storage>,
        lineage: &LineageAddress,
        name: LtxName,
    ) -> Result<LtxWriter> {
        LtxWriter::begin(outbox, lineage.key(), name, self.sealing_key()?, self.part_bytes())
    }

    /// What waits in an outbox, in the order in which it must be sent: a file counts once its last
    /// part has come, and of two files the earlier one goes first.
    pub fn outgoing(&self, outbox: &dyn Storage) -> Result<Vec<Outgoing>> {
        let mut waiting: Vec<_> = outbox
            .list(None)?
            .into_iter()
            .map(|entry| Outgoing { name: self.name_of(&entry), entry })
            .collect();
        waiting.sort_by(|one, other| {
            let order = |outgoing: &Outgoing| outgoing.name.map(|name| (name.max, name.time));
            order(one).cmp(&order(other)).then_with(|| one.entry.key.cmp(&other.entry.key))
        });
        Ok(waiting)
    }

    /// Copies an object of an outbox into the repository, as it is. One that came through before, and
    /// of which that was not learned, is left as it is.
    ///
    /// [`lifeboat_storage::Error::Exists`] if other bytes have its name.
    pub fn send(&self, outbox: &dyn Storage, entry: &Entry) -> Result<ObjectRef> {
        self.require_writable()?;
        let digest = digest_of(outbox, &entry.key)?;
        let content = StoredContent::new(outbox, &entry.key, digest.size);
        let modified = (!self.form().names_have_times()).then_some(entry.modified);
        publish_content(self.storage(), &entry.key, &content, digest, modified)?;
        let key = entry.key.to_string();
        Ok(ObjectRef { key, size: digest.size, sha256: digest.sha256_hex() })
    }

    /// Sends the objects of a file, in their order, and removes each from the outbox when it has come through.
    pub(crate) fn send_all(&self, outbox: &dyn Storage, objects: &[ObjectRef]) -> Result<()> {
        for object in objects {
            let key = key(&object.key)?;
            let Some(entry) = outbox.stat(&key)? else {
                let location = outbox.location();
                return Err(lifeboat_storage::Error::NotFound { key, location }.into());
            };
            self.send(outbox, &entry)?;
            outbox.remove(&key)?;
        }
        Ok(())
    }

    /// Sends what a process that was killed left in an outbox: LTX files, if they are whole, and the origins of their
    /// lineages. Then the outbox is empty. What is not whole is of no use: sealed again it would have other bytes; and what
    /// is refused is given up. How many objects were sent.
    pub fn resume(&self, outbox: &dyn Storage) -> Result<u64> {
        let (marks, waiting): (Vec<_>, Vec<_>) =
            self.outgoing(outbox)?.into_iter().partition(|one| marked(&one.entry.key).is_some());
        let marked: HashSet<&str> = marks.iter().filter_map(|one| marked(&one.entry.key)).collect();
        let ends: HashSet<LtxName> = waiting
            .iter()
            .filter(|one| is_last(self.form(), &one.entry))
            .filter_map(|one| one.name)
            .collect();
        let mut sent = 0;
        for Outgoing { entry, name } in &waiting {
            let is_whole = name.is_some_and(|name| ends.contains(&name)) || is_origin(&entry.key);
            if is_whole && !marked.contains(entry.key.as_str()) {
                match self.send(outbox, entry) {
                    // What is refused, or taken by somebody else, would be in the way of all that comes after: a
                    // capture finds that it is not there.
                    Err(Error::Storage(error)) if is_of_object(&error) => {}
                    done => {
                        done?;
                        sent += 1;
                    }
                }
            }
            outbox.remove(&entry.key)?;
        }
        for mark in &marks {
            outbox.remove(&mark.entry.key)?;
        }
        Ok(sent)
    }

    fn name_of(&self, entry: &Entry) -> Option<LtxName> {
        let (.., rest) = split(&entry.key)?;
        let path = rest.strip_prefix("ltx/")?;
        Some(LtxName::parse(self.form(), path, entry.modified)?.0)
    }
}

/// Whether a storage refused an object, and would take others.
fn is_of_object(error: &lifeboat_storage::Error) -> bool {
    let cause = Failure::of(error).map(|failure| failure.cause);
    matches!(error, lifeboat_storage::Error::Exists { .. })
        || matches!(cause, Some(Cause::Denied | Cause::Invalid))
}

/// Beside an object that was sent and is still in its outbox there is an empty one in this directory.
const SENT: &str = "sent/";

/// What says that an object was sent.
pub(crate) fn sent_mark(of: &Key) -> lifeboat_storage::Result<Key> {
    format!("{SENT}{of}").parse()
}

/// What a mark says it of.
fn marked(mark: &Key) -> Option<&str> {
    mark.as_str().strip_prefix(SENT)
}

/// Whether an object says what a lineage began with.
fn is_origin(key: &Key) -> bool {
    split(key).is_some_and(|(.., rest)| rest.starts_with("origin."))
}

/// Whether an object is the last of its file: the first parts of one may have gone before.
fn is_last(form: Form, entry: &Entry) -> bool {
    let Some((.., rest)) = split(&entry.key) else { return false };
    let parsed = rest.strip_prefix("ltx/").map(|path| LtxName::parse(form, path, entry.modified));
    matches!(parsed.flatten(), Some((_, Part::Whole | Part::Numbered { last: true, .. })))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use lifeboat_ltx::{Encoder, Header, PageSize, Txid};
    use lifeboat_storage::{MemoryStorage, Storage};

    use crate::{DatabaseAddress, LineageId, LtxName, Repository, Time};

    fn txid(number: u64) -> Txid {
        Txid::new(number).unwrap()
    }

    #[test]
    fn what_is_sent_twice_is_there_once() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let repository = Repository::init_litestream(storage).unwrap();
        let outbox: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let lineage = DatabaseAddress::new("h", "n").unwrap().lineage(LineageId::random()).unwrap();
        for max in [3, 2] {
            let time = Time::from_millis(1_800_000_000_000 + max);
            let max = txid(max.unsigned_abs());
            let name = LtxName { level: 0, min: max, max, time };
            let header = Header::new(PageSize::DEFAULT, 1, name.range());
            let mut writer = repository.begin_ltx_in(outbox.clone(), &lineage, name).unwrap();
            let mut encoder = Encoder::new(&mut writer, &header).unwrap();
            encoder.write_page(1, &[7; 4096]).unwrap();
            encoder.finish().unwrap().0.flush().unwrap();
            writer.finish().unwrap().publish().unwrap();
        }
        let waiting = repository.outgoing(&outbox).unwrap();
        let order: Vec<_> = waiting.iter().map(|one| one.name.unwrap().max.get()).collect();
        assert_eq!(order, [2, 3]);
        for _ in 0..2 {
            for outgoing in &waiting {
                let sent = repository.send(&outbox, &outgoing.entry).unwrap();
                assert_eq!(sent, repository.object(&outgoing.entry.key).unwrap());
            }
        }
        let listing = repository.listing(&lineage).unwrap();
        let times: Vec<_> = listing.files.iter().map(|file| file.name.time.millis()).collect();
        assert_eq!(times, [1_800_000_000_002, 1_800_000_000_003]);
        // Other bytes under the name are somebody else's.
        let key = &waiting[0].entry.key;
        repository.storage().remove(key).unwrap();
        repository.storage().put(key, b"other").unwrap();
        assert!(repository.send(&outbox, &waiting[0].entry).is_err());
    }
}
