//! Reads an LTX file: its parts in order, verified, unsealed, decompressed; or as it is.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use lifeboat_ltx::Decoder;
use lifeboat_storage::{Entry, HashingReader, Key, ObjectDigest, Storage, unseal, unseal_frugally};

use crate::create::digest_of;
use crate::upload::{LtxResealer, ResealingLtx, own_error};
use crate::{Error, Form, LtxFile, ObjectRef, Result, Secrets};

/// An LTX file being read. Errors in the middle of it come as the decoder's I/O errors;
/// [`LtxReader::explain`] turns them into what is wrong with which object.
#[derive(Clone, Debug)]
pub struct LtxReader {
    key: Key,
    damage: Arc<Mutex<Option<Error>>>,
}

/// The bytes of an LTX file.
pub type LtxStream = Box<dyn Read + Send>;

/// Opens a file for reading.
///
/// Its objects are compared with `expected` (by key) where they stand there. The header must say
/// what the name says, and `node` is the lineage, or 0 where that is not known; Litestream's merges
/// name no node, and whoever copies its files may lose their times. Whether the objects are the expected ones, and
/// are whole, is known when [`Decoder::finish`] has succeeded.
pub fn open_ltx(
    storage: &Arc<dyn Storage>,
    file: &LtxFile,
    node: u64,
    expected: &HashMap<String, ObjectRef>,
    secrets: &Secrets,
) -> Result<(Decoder<LtxStream>, LtxReader)> {
    let unseal =
        |parts| unseal(parts, secrets.identities()).map(|plain| Box::new(plain) as LtxStream);
    open(storage, file, node, expected, unseal)
}

/// The same without threads and with little memory, for many files at once.
pub(crate) fn open_ltx_frugally(
    storage: &Arc<dyn Storage>,
    file: &LtxFile,
    node: u64,
    expected: &HashMap<String, ObjectRef>,
    secrets: &Secrets,
) -> Result<(Decoder<LtxStream>, LtxReader)> {
    open(storage, file, node, expected, |parts| unseal_frugally(parts, secrets.identities()))
}

/// The same, for a file that is sealed: its objects are sealed again, as they are read, into the file that `again`
/// writes.
pub(crate) fn open_ltx_to_reseal(
    storage: &Arc<dyn Storage>,
    file: &LtxFile,
    node: u64,
    expected: &HashMap<String, ObjectRef>,
    secrets: &Secrets,
    again: LtxResealer,
) -> Result<(Decoder<LtxStream>, LtxReader, ResealingLtx)> {
    let mut resealing = None;
    let unseal = |parts| {
        let (plain, under_way) = again.start(parts, secrets.identities())?;
        resealing = Some(under_way);
        Ok(Box::new(plain) as LtxStream)
    };
    let (decoder, reader) = open(storage, file, node, expected, unseal)?;
    let resealing = resealing.ok_or_else(|| Error::corrupt(&reader.key, "it is not sealed"))?;
    Ok((decoder, reader, resealing))
}

fn open(
    storage: &Arc<dyn Storage>,
    file: &LtxFile,
    node: u64,
    expected: &HashMap<String, ObjectRef>,
    unseal: impl FnOnce(Parts) -> lifeboat_storage::Result<LtxStream>,
) -> Result<(Decoder<LtxStream>, LtxReader)> {
    let reader = LtxReader { key: file.first_key().clone(), damage: Arc::default() };
    let parts = Parts {
        storage: storage.clone(),
        waiting: file
            .objects
            .iter()
            .rev()
            .map(|object| (object.key.clone(), expected.get(object.key.as_str()).cloned()))
            .collect(),
        open: None,
        damage: reader.damage.clone(),
    };
    let sealed = Form::of_ltx(file.first_key()).is_sealed();
    let stream: LtxStream =
        if sealed { unseal(parts).map_err(|error| reader.sealed(error))? } else { Box::new(parts) };
    let decoder = decode(stream, file, node, sealed, &reader)?;
    Ok((decoder, reader))
}

/// Opens a plain copy of a file, which is on this machine.
pub(crate) fn open_copy(
    copy: LtxStream,
    file: &LtxFile,
    node: u64,
    key: &Key,
) -> Result<(Decoder<LtxStream>, LtxReader)> {
    let reader = LtxReader { key: key.clone(), damage: Arc::default() };
    let sealed = Form::of_ltx(key).is_sealed();
    let decoder = decode(copy, file, node, sealed, &reader)?;
    Ok((decoder, reader))
}

/// Begins to decode a file, which must be the one that its name says.
fn decode(
    stream: LtxStream,
    file: &LtxFile,
    node: u64,
    sealed: bool,
    reader: &LtxReader,
) -> Result<Decoder<LtxStream>> {
    let decoder = Decoder::new(stream).map_err(|error| reader.explain(error))?;
    let header = decoder.header();
    let name = &file.name;
    let fits = header.range == name.range()
        && (header.timestamp_ms == name.time.millis() || !sealed)
        && (header.node == node || node == 0 || (header.node == 0 && !sealed));
    if !fits {
        let detail = format!(
            "its header says transactions {} at {} of lineage {:016x}",
            header.range, header.timestamp_ms, header.node
        );
        return Err(Error::corrupt(&reader.key, detail));
    }
    Ok(decoder)
}

impl LtxReader {
    /// What is behind an error of the decoder.
    pub fn explain(&self, error: lifeboat_ltx::Error) -> Error {
        if let Some(damage) = self.damage() {
            return damage;
        }
        match error {
            lifeboat_ltx::Error::Read { source, .. } => {
                self.sealed(lifeboat_storage::Error::from_stream("read", source))
            }
            source => Error::Ltx { key: self.key.clone(), source },
        }
    }

    fn sealed(&self, source: lifeboat_storage::Error) -> Error {
        if let Some(damage) = self.damage() {
            return damage;
        }
        match source {
            // The storage failed, or the copy that is made could not be written: that says nothing about the object.
            lifeboat_storage::Error::Storage { .. }
            | lifeboat_storage::Error::Stream { .. }
            | lifeboat_storage::Error::NotFound { .. } => own_error(source),
            source => Error::Sealed { key: self.key.clone(), source },
        }
    }

    fn damage(&self) -> Option<Error> {
        self.damage.lock().ok()?.take()
    }
}

/// What is wrong with which object of a file that could not be read: `error` names the first one,
/// whichever part it was.
pub fn locate_damage(
    storage: &dyn Storage,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
    error: Error,
) -> Error {
    if file.objects.len() == 1 || !error.is_damage() {
        return error;
    }
    let damaged = damaged_parts(storage, file, expected).into_iter().find(Error::is_damage);
    damaged.unwrap_or(error)
}

/// Reads every part of a file by itself: what age refuses somewhere in the whole is in one of them.
pub(crate) fn damaged_parts(
    storage: &dyn Storage,
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
) -> Vec<Error> {
    let check = |object: &Entry| {
        let Some(expected) = expected.get(object.key.as_str()) else { return Ok(()) };
        compare(&object.key, expected, &digest_of(storage, &object.key)?)
    };
    file.objects.iter().filter_map(|object| check(object).err()).collect()
}

/// What was read of an object against what should have been.
fn compare(key: &Key, expected: &ObjectRef, digest: &ObjectDigest) -> Result<()> {
    if digest.size != expected.size {
        let detail = format!("expected {} bytes, found {}", expected.size, digest.size);
        return Err(Error::corrupt(key, detail));
    }
    let found = digest.sha256_hex();
    if found != expected.sha256 {
        let detail = format!("expected SHA-256 {}, found {found}", expected.sha256);
        return Err(Error::corrupt(key, detail));
    }
    Ok(())
}

/// The parts of a file as one stream; size and SHA-256 of each are compared at its end.
struct Parts {
    storage: Arc<dyn Storage>,
    /// The last first.
    waiting: Vec<(Key, Option<ObjectRef>)>,
    open: Option<OpenPart>,
    damage: Arc<Mutex<Option<Error>>>,
}

struct OpenPart {
    key: Key,
    expected: Option<ObjectRef>,
    reader: HashingReader<Box<dyn Read + Send>>,
}

impl Parts {
    fn end_part(&mut self) -> Result<()> {
        let Some(OpenPart { key, expected, reader }) = self.open.take() else { return Ok(()) };
        expected.map_or(Ok(()), |expected| compare(&key, &expected, &reader.finish().1))
    }

    fn next_part(&mut self) -> Result<bool> {
        self.end_part()?;
        let Some((key, expected)) = self.waiting.pop() else { return Ok(false) };
        let reader = HashingReader::new(self.storage.read(&key, None)?);
        self.open = Some(OpenPart { key, expected, reader });
        Ok(true)
    }

    /// Keeps the error for [`LtxReader::explain`]; the stream only says that it failed.
    fn fail(&self, error: Error) -> io::Error {
        let message = error.to_string();
        if let Ok(mut damage) = self.damage.lock() {
            damage.get_or_insert(error);
        }
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(part) = &mut self.open {
                let read = part.reader.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
            }
            match self.next_part() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }
}
