//! Reads an LTX file: its parts in order, verified, unsealed, decompressed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use lifeboat_ltx::Decoder;
use lifeboat_storage::{HashingReader, Storage, Unsealed, unseal};

use crate::{Error, LtxFile, ObjectRef, Result, Secrets};

/// An LTX file being read. Errors in the middle of it come as the decoder's I/O errors;
/// [`LtxReader::explain`] turns them into what is wrong with which object.
#[derive(Clone, Debug)]
pub struct LtxReader {
    key: lifeboat_storage::Key,
    damage: Arc<Mutex<Option<Error>>>,
}

/// Opens a file for reading.
///
/// Its objects are compared with `expected` (by key) where they stand there. The header must say
/// what the name says, and `node` is the lineage.
pub fn open_ltx(
    storage: &Arc<dyn Storage>,
    file: &LtxFile,
    node: u64,
    expected: &HashMap<String, ObjectRef>,
    secrets: &Secrets,
) -> Result<(Decoder<Unsealed>, LtxReader)> {
    let reader = LtxReader { key: file.first_key().clone(), damage: Arc::default() };
    let parts = Parts {
        storage: storage.clone(),
        waiting: file
            .objects
            .iter()
            .rev()
            .map(|object| (object.clone(), expected.get(object.key.as_str()).cloned()))
            .collect(),
        open: None,
        damage: reader.damage.clone(),
    };
    let unsealed = unseal(parts, secrets.identities()).map_err(|error| reader.sealed(error))?;
    let decoder = Decoder::new(unsealed).map_err(|error| reader.explain(error))?;
    let header = decoder.header();
    let name = &file.name;
    let fits = header.range == name.range()
        && header.timestamp_ms == name.time.millis()
        && header.node == node;
    if !fits {
        let detail = format!(
            "its header says transactions {} at {} of lineage {:016x}",
            header.range, header.timestamp_ms, header.node
        );
        return Err(Error::corrupt(file.first_key(), detail));
    }
    Ok((decoder, reader))
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
        self.damage().unwrap_or(Error::Sealed { key: self.key.clone(), source })
    }

    fn damage(&self) -> Option<Error> {
        self.damage.lock().ok()?.take()
    }
}

/// The parts of a file as one stream; size and SHA-256 of each are compared at its end.
struct Parts {
    storage: Arc<dyn Storage>,
    /// The last first.
    waiting: Vec<(lifeboat_storage::Entry, Option<ObjectRef>)>,
    open: Option<OpenPart>,
    damage: Arc<Mutex<Option<Error>>>,
}

struct OpenPart {
    key: lifeboat_storage::Key,
    expected: Option<ObjectRef>,
    reader: HashingReader<Box<dyn Read + Send>>,
}

impl Parts {
    fn end_part(&mut self) -> Result<()> {
        let Some(OpenPart { key, expected, reader }) = self.open.take() else { return Ok(()) };
        let (_, digest) = reader.finish();
        let Some(expected) = expected else { return Ok(()) };
        if digest.size != expected.size {
            let detail = format!("expected {} bytes, found {}", expected.size, digest.size);
            return Err(Error::corrupt(&key, detail));
        }
        let found = digest.sha256_hex();
        if found != expected.sha256 {
            let detail = format!("expected SHA-256 {}, found {found}", expected.sha256);
            return Err(Error::corrupt(&key, detail));
        }
        Ok(())
    }

    fn next_part(&mut self) -> Result<bool> {
        self.end_part()?;
        let Some((entry, expected)) = self.waiting.pop() else { return Ok(false) };
        let reader = HashingReader::new(self.storage.read(&entry.key, None)?);
        self.open = Some(OpenPart { key: entry.key, expected, reader });
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
