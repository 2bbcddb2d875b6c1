//! Writes an LTX file: compressed, sealed, cut into parts; or, in form `litestream`, as it is.
//!
//! Nothing of a file counts before its last object has its name, because only then it is whole.
//! [`LtxWriter::finish`] leaves that object without a name, so that the caller can make durable
//! what it must remember before [`SealedLtx::publish`] gives it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use lifeboat_storage::{
    HashingWriter, Key, ObjectDigest, Resealed, SealOptions, SealWriter, Storage, Unsealed, Upload,
    unseal_and_reseal, x25519,
};

use crate::create::publish;
use crate::ltx_file::{LtxName, MAX_PARTS, Part};
use crate::{Error, Form, ObjectRef, Repository, Result};

/// Takes the bytes of an LTX file.
pub struct LtxWriter {
    way: Way,
    /// Where it goes from the outbox in which it is written.
    send_to: Option<Repository>,
}

/// What the bytes go through.
enum Way {
    Sealed(Box<SealWriter<PartWriter>>),
    Plain(Box<PartWriter>),
}

impl std::fmt::Debug for LtxWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LtxWriter")
    }
}

impl LtxWriter {
    pub(crate) fn begin(
        storage: Arc<dyn Storage>,
        lineage: &Key,
        name: LtxName,
        recipient: Option<&x25519::Recipient>,
        part_bytes: u64,
    ) -> Result<Self> {
        let form = Form::of_recipient(recipient);
        let parts = PartWriter::begin(storage, lineage, name, form, part_bytes)?;
        let Some(recipient) = recipient else {
            return Ok(Self { way: Way::Plain(Box::new(parts)), send_to: None });
        };
        let options = SealOptions::default();
        let seal = SealWriter::new(parts, std::slice::from_ref(recipient), &options)?;
        Ok(Self { way: Way::Sealed(Box::new(seal)), send_to: None })
    }

    /// What is published of it is an outbox's, and is sent from there.
    pub(crate) fn sent_on(self, repository: Repository) -> Self {
        Self { send_to: Some(repository), ..self }
    }

    /// What is behind an error of an encoder that writes here.
    pub fn explain(error: lifeboat_ltx::Error) -> Error {
        match error {
            lifeboat_ltx::Error::Write { source, .. } => {
                own_error(lifeboat_storage::Error::from_stream("write", source))
            }
            source => Error::Encode { source },
        }
    }

    /// Seals what is left. All bytes are written; the file is not visible yet.
    pub fn finish(self) -> Result<SealedLtx> {
        let sealed = match self.way {
            Way::Sealed(seal) => {
                let (parts, stats) = seal.finish().map_err(own_error)?;
                parts.finish(stats.plain_bytes)
            }
            Way::Plain(parts) => {
                let plain_bytes = parts.written;
                parts.finish(plain_bytes)
            }
        };
        Ok(SealedLtx { send_to: self.send_to, ..sealed? })
    }
}

impl Write for LtxWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Sealed(seal) => seal.write(bytes),
            Way::Plain(parts) => parts.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Sealed(seal) => seal.flush(),
            Way::Plain(parts) => parts.flush(),
        }
    }
}

/// Writes an LTX file that was sealed for somebody else: what it is compressed to stays as it is.
pub(crate) struct LtxResealer {
    parts: PartWriter,
    recipient: x25519::Recipient,
    send_to: Option<Repository>,
}

impl LtxResealer {
    pub(crate) fn begin(
        storage: Arc<dyn Storage>,
        lineage: &Key,
        name: LtxName,
        recipient: &x25519::Recipient,
        part_bytes: u64,
    ) -> Result<Self> {
        let parts = PartWriter::begin(storage, lineage, name, Form::Sealed, part_bytes)?;
        Ok(Self { parts, recipient: recipient.clone(), send_to: None })
    }

    /// See [`LtxWriter::sent_on`].
    pub(crate) fn sent_on(self, repository: Repository) -> Self {
        Self { send_to: Some(repository), ..self }
    }

    /// Begins to read the sealed bytes of the file; what they hold.
    pub(crate) fn start(
        self,
        sealed: impl Read + Send + 'static,
        identities: &[x25519::Identity],
    ) -> lifeboat_storage::Result<(Unsealed, ResealingLtx)> {
        let (plain, parts) = unseal_and_reseal(sealed, identities, self.parts, &[self.recipient])?;
        Ok((plain, ResealingLtx { parts, send_to: self.send_to }))
    }
}

/// An LTX file that is sealed again while it is read.
pub(crate) struct ResealingLtx {
    parts: Resealed<PartWriter>,
    send_to: Option<Repository>,
}

impl ResealingLtx {
    /// Ends the new file; the old one, of so many bytes before compression, was read to its end. It is not visible
    /// yet.
    pub(crate) fn finish(self, plain_bytes: u64) -> Result<SealedLtx> {
        let parts = self.parts.finish().map_err(own_error)?;
        Ok(SealedLtx { send_to: self.send_to, ..parts.finish(plain_bytes)? })
    }
}

/// An error of the part writer, which travelled through the sealing stream.
pub(crate) fn own_error(error: lifeboat_storage::Error) -> Error {
    match error {
        lifeboat_storage::Error::Stream { operation, source } => match source.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => lifeboat_storage::Error::Stream { operation, source }.into(),
        },
        other => other.into(),
    }
}

/// A sealed file whose last object waits for its name.
pub struct SealedLtx {
    storage: Arc<dyn Storage>,
    upload: Box<dyn Upload>,
    last_key: Key,
    last_digest: ObjectDigest,
    objects: Vec<ObjectRef>,
    plain_bytes: u64,
    send_to: Option<Repository>,
}

impl std::fmt::Debug for SealedLtx {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealedLtx({})", self.last_key)
    }
}

impl SealedLtx {
    /// All objects of the file, in order.
    pub fn objects(&self) -> &[ObjectRef] {
        &self.objects
    }

    /// Bytes of the LTX file before compression.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Makes the file visible, durably.
    pub fn publish(self) -> Result<Vec<ObjectRef>> {
        publish(&*self.storage, &self.last_key, self.upload, self.last_digest)?;
        if let Some(repository) = self.send_to {
            repository.send_all(&*self.storage, &self.objects)?;
        }
        Ok(self.objects)
    }
}

/// Cuts the sealed stream into parts. Each full part is published once it is known not to be the
/// last one.
struct PartWriter {
    storage: Arc<dyn Storage>,
    lineage: Key,
    name: LtxName,
    form: Form,
    part_bytes: u64,
    upload: Option<HashingWriter<Box<dyn Upload>>>,
    written: u64,
    objects: Vec<ObjectRef>,
}

impl PartWriter {
    fn begin(
        storage: Arc<dyn Storage>,
        lineage: &Key,
        name: LtxName,
        form: Form,
        part_bytes: u64,
    ) -> Result<Self> {
        let mut upload = storage.begin()?;
        if !form.names_have_times() {
            // Litestream's readers, and ours, know the time of such a file from nowhere else.
            upload.set_modified(name.time.system());
        }
        Ok(Self {
            upload: Some(HashingWriter::new(upload)),
            storage,
            lineage: lineage.clone(),
            name,
            form,
            part_bytes: if form.is_sealed() { part_bytes } else { u64::MAX },
            written: 0,
            objects: Vec::new(),
        })
    }

    fn next_part(&mut self) -> Result<()> {
        let number = u32::try_from(self.objects.len()).unwrap_or(u32::MAX).saturating_add(1);
        if number >= MAX_PARTS {
            return Err(Error::TooManyParts);
        }
        let key =
            self.name.key(self.form, &self.lineage, Part::Numbered { number, last: false })?;
        if let Some(upload) = self.upload.take() {
            let (upload, digest) = upload.finish();
            publish(&*self.storage, &key, upload, digest)?;
            self.objects.push(object(&key, &digest));
        }
        self.upload = Some(HashingWriter::new(self.storage.begin()?));
        self.written = 0;
        Ok(())
    }

    fn finish(mut self, plain_bytes: u64) -> Result<SealedLtx> {
        let part = match u32::try_from(self.objects.len()).unwrap_or(u32::MAX) {
            0 => Part::Whole,
            before => Part::Numbered { number: before + 1, last: true },
        };
        let last_key = self.name.key(self.form, &self.lineage, part)?;
        let Some(upload) = self.upload.take() else {
            return Err(own_error(lifeboat_storage::Error::from_stream("write", failed_before())));
        };
        let (upload, digest) = upload.finish();
        self.objects.push(object(&last_key, &digest));
        let (storage, objects) = (self.storage, self.objects);
        let (last_digest, send_to) = (digest, None);
        Ok(SealedLtx { storage, upload, last_key, last_digest, objects, plain_bytes, send_to })
    }
}

fn failed_before() -> io::Error {
    io::Error::other("the upload failed before")
}

fn object(key: &Key, digest: &ObjectDigest) -> ObjectRef {
    ObjectRef { key: key.to_string(), size: digest.size, sha256: digest.sha256_hex() }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.written == self.part_bytes {
            self.next_part().map_err(io::Error::other)?;
        }
        let Some(upload) = &mut self.upload else {
            return Err(failed_before());
        };
        let room = usize::try_from(self.part_bytes - self.written).unwrap_or(usize::MAX);
        let taken = upload.write(&bytes[..bytes.len().min(room)])?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use lifeboat_ltx::Txid;
    use lifeboat_storage::MemoryStorage;

    /// A stream that ends with a part has no empty one after it, however it was cut into writes.
    #[test]
    fn parts_are_cut_at_their_size() {
        let cases: [(usize, &[&str]); 6] = [
            (1, &[""]),
            (9, &[""]),
            (10, &[""]),
            (11, &[".0001", ".0002.last"]),
            (20, &[".0001", ".0002.last"]),
            (21, &[".0001", ".0002", ".0003.last"]),
        ];
        for (bytes, expected) in cases {
            for write_bytes in [1, 7, 10, 100] {
                let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
                let name =
                    LtxName { level: 9, min: Txid::FIRST, max: Txid::FIRST, time: Time::now() };
                let lineage: Key = "databases/h/n/0000000000000001".parse().unwrap();
                let mut parts =
                    PartWriter::begin(storage.clone(), &lineage, name, Form::Sealed, 10).unwrap();
                for piece in vec![5; bytes].chunks(write_bytes) {
                    parts.write_all(piece).unwrap();
                }
                let sealed = parts.finish(0).unwrap();
                assert_eq!(storage.list(None).unwrap().len(), expected.len() - 1);
                let objects = sealed.publish().unwrap();
                let whole = name.key(Form::Sealed, &lineage, Part::Whole).unwrap();
                let suffixes: Vec<_> =
                    objects.iter().map(|object| &object.key[whole.as_str().len()..]).collect();
                assert_eq!(suffixes, expected);
                let listed = storage.list(None).unwrap();
                let sizes = |(entry, object): (&lifeboat_storage::Entry, &ObjectRef)| {
                    entry.size == object.size && entry.key.as_str() == object.key
                };
                assert!(listed.iter().zip(&objects).all(sizes));
                assert_eq!(objects.iter().map(|object| object.size).sum::<u64>(), bytes as u64);
            }
        }
    }
}
