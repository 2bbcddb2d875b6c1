//! Sealing what is read of a sealed stream once more, for other recipients.
//!
//! What was compressed stays as it is: it is decrypted, and each piece of it goes two ways, to whoever reads the
//! plain bytes and verifies them, and into a new age file. So what was read once and compressed once can be stored
//! in any number of places, each with keys of its own.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::x25519::{Identity, Recipient};

use crate::age_reader::{AgeReader, refused};
use crate::seal::{AgeWriter, age_sink};
use crate::unseal::{as_dyn, read_ahead, unseal_opened};
use crate::{Error, Result, Unsealed};

/// Opens a sealed stream, as [`unseal`](crate::unseal) does, and seals it into `out` for `recipients` while it is
/// read. The new stream is whole when the old one was read to its end: see [`Resealed::finish`]. An error of `out`
/// ends the reading.
pub fn unseal_and_reseal<W: Write + Send + 'static>(
    reader: impl Read + Send + 'static,
    identities: &[Identity],
    out: W,
    recipients: &[Recipient],
) -> Result<(Unsealed, Resealed<W>)> {
    let opened = AgeReader::open(read_ahead(reader)?, as_dyn(identities), refused)?;
    let writer = age_sink(out, recipients)?.start();
    let writer = writer.map_err(|error| Error::from_stream("write", error))?;
    let shared = Arc::new(Mutex::new(Copy::UnderWay(writer)));
    let plain = unseal_opened(Tee { reader: opened, copy: Arc::clone(&shared) })?;
    Ok((plain, Resealed { copy: shared }))
}

/// A stream that is being sealed again.
pub struct Resealed<W: Write> {
    copy: Arc<Mutex<Copy<W>>>,
}

/// How far a copy is.
enum Copy<W: Write> {
    UnderWay(AgeWriter<W>),
    /// All that was read is in it.
    Whole(AgeWriter<W>),
    /// Handed back, or it could not be written.
    Gone,
}

impl<W: Write> Resealed<W> {
    /// Ends the new stream; flushes the writer below and hands it back.
    ///
    /// An error if the old one was not read to its end without one: then what was written is of no use.
    pub fn finish(self) -> Result<W> {
        let sealed = match std::mem::replace(&mut *lock(&self.copy), Copy::Gone) {
            Copy::Whole(writer) => writer.finish().map(|sealed| sealed.out),
            Copy::UnderWay(_) | Copy::Gone => {
                Err(io::Error::other("what is sealed again was not read to its end"))
            }
        };
        sealed.map_err(|error| Error::from_stream("write", error))
    }
}

impl<W: Write> std::fmt::Debug for Resealed<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resealed")
    }
}

fn lock<W: Write>(copy: &Mutex<Copy<W>>) -> MutexGuard<'_, Copy<W>> {
    copy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands on what it reads, and writes it to the copy.
struct Tee<R, W: Write> {
    reader: R,
    copy: Arc<Mutex<Copy<W>>>,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(buf)?;
        let mut copy = lock(&self.copy);
        *copy = match std::mem::replace(&mut *copy, Copy::Gone) {
            Copy::UnderWay(writer) if read == 0 => Copy::Whole(writer),
            Copy::UnderWay(mut writer) => {
                let written = writer.write_all(&buf[..read]);
                written.map_err(|error| Error::from_stream("write", error))?;
                Copy::UnderWay(writer)
            }
            other => other,
        };
        Ok(read)
    }
}
