//! Sealed objects on their way into a repository.
//!
//! An LTX file that must survive a cut network is sealed once, into an *outbox*: a local storage in which
//! its objects lie under the keys that they will have in the repository. From there they are sent as
//! they are, as often as it takes. Sealing again would give other bytes under the same name, which no
//! storage could tell from somebody else's.

use std::io::{BufReader, Read, Write};
use std::sync::Arc;

use lifeboat_storage::{Entry, HashingWriter, Storage};

use crate::create::publish;
use crate::ltx_file::LtxName;
use crate::tree::split;
use crate::{LineageAddress, LtxWriter, ObjectRef, Repository, Result};

/// Bytes that are read and sent at once.
const PIECE: usize = 256 * 1024;

/// An object that waits in an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The object.
    pub entry: Entry,
    /// The file that it belongs to; `None` for what is none of ours.
    pub name: Option<LtxName>,
}

impl Repository {
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
        let mut upload = self.storage().begin()?;
        if !self.form().names_have_times() {
            upload.set_modified(entry.modified);
        }
        let mut upload = HashingWriter::new(upload);
        let mut reader = BufReader::with_capacity(PIECE, outbox.read(&entry.key, None)?);
        copy(&mut reader, &mut upload)?;
        let (upload, digest) = upload.finish();
        publish(self.storage(), &entry.key, upload, digest)?;
        let key = entry.key.to_string();
        Ok(ObjectRef { key, size: digest.size, sha256: digest.sha256_hex() })
    }

    fn name_of(&self, entry: &Entry) -> Option<LtxName> {
        let (.., rest) = split(&entry.key)?;
        let path = rest.strip_prefix("ltx/")?;
        Some(LtxName::parse(self.form(), path, entry.modified)?.0)
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let failed =
            |operation| move |error| lifeboat_storage::Error::from_stream(operation, error);
        let read = from.read(&mut piece).map_err(failed("read"))?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read]).map_err(failed("write"))?;
    }
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
