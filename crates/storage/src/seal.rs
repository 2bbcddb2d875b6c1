//! Sealing: zstd, then age.
//!
//! The plain stream is cut into frames, each compressed by itself, so that several cores compress
//! and later decompress; their concatenation is one zstd stream (RFC 8878, 3).

use std::io::{self, BufWriter, Write};
use std::thread;

use age::stream::StreamWriter;
use age::x25519::Recipient;
use age::{EncryptError, Encryptor};
use zstd::bulk::Compressor;

use crate::seal_pool::Pool;
use crate::write_behind::WriteBehind;
use crate::{Error, Result};

/// The level of small documents, where the time does not show.
const DOCUMENT_LEVEL: i32 = 3;
/// More workers than this would take more memory than they save time: the cutting of frames and
/// the encryption are one thread each.
const MAX_DEFAULT_WORKERS: usize = 4;
/// age writes its header in small pieces and then 64 KiB at a time.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// How to seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// The zstd level.
    pub level: i32,
    /// How many plain bytes a frame holds; the last has fewer.
    pub frame_bytes: usize,
    /// How many threads compress, at least one. `workers + 2` frames are in memory at once, each
    /// plain and compressed.
    pub workers: usize,
}

impl Default for SealOptions {
    /// Level 1, frames of 4 MiB, one worker per core but at most four.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { level: 1, frame_bytes: 4 << 20, workers: cores.min(MAX_DEFAULT_WORKERS) }
    }
}

/// What was sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealStats {
    /// Bytes written to the [`SealWriter`].
    pub plain_bytes: u64,
    /// Bytes after zstd.
    pub compressed_bytes: u64,
    /// Bytes after age: the size of the object.
    pub sealed_bytes: u64,
}

/// Seals what is written to it into another writer.
///
/// Nothing is a valid sealed stream before [`SealWriter::finish`]. Dropped before, it stops its
/// threads, waits for them and drops the writer below. What fits into a single frame is sealed
/// without threads.
///
/// Errors of the writer below come back from one of the next writes or from `finish`.
pub struct SealWriter<W: Write + Send + 'static> {
    options: SealOptions,
    frame: Vec<u8>,
    stage: Stage<W>,
    plain_bytes: u64,
}

enum Stage<W: Write> {
    /// Not more than one frame so far.
    Inline(AgeSink<W>),
    Pool(Pool<W>),
    Failed,
}

/// What the pool, or the inline path, hands back in the end.
pub(crate) struct Sealed<W> {
    pub(crate) out: W,
    pub(crate) compressed_bytes: u64,
    pub(crate) sealed_bytes: u64,
}

impl<W: Write + Send + 'static> SealWriter<W> {
    /// Begins a sealed stream for `recipients`. Nothing is written to `out` yet.
    pub fn new(out: W, recipients: &[Recipient], options: &SealOptions) -> Result<Self> {
        let options = SealOptions {
            frame_bytes: options.frame_bytes.max(1),
            workers: options.workers.max(1),
            ..options.clone()
        };
        let stage = Stage::Inline(age_sink(out, recipients)?);
        Ok(Self { options, frame: Vec::new(), stage, plain_bytes: 0 })
    }

    /// Seals what is left and ends the stream. The writer below is flushed and handed back.
    pub fn finish(mut self) -> Result<(W, SealStats)> {
        let frame = std::mem::take(&mut self.frame);
        let sealed = match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Failed => Err(failed_before()),
            Stage::Inline(sink) => seal_inline(sink, &frame, self.options.level),
            Stage::Pool(pool) => pool.finish(frame),
        };
        let sealed = sealed.map_err(|error| Error::from_stream("write", error))?;
        let stats = SealStats {
            plain_bytes: self.plain_bytes,
            compressed_bytes: sealed.compressed_bytes,
            sealed_bytes: sealed.sealed_bytes,
        };
        Ok((sealed.out, stats))
    }

    /// Hands a full frame to the workers and gets an empty one.
    fn submit(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        let mut pool = match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Failed => return Err(failed_before()),
            Stage::Inline(sink) => Pool::start(sink, &self.options)?,
            Stage::Pool(pool) => pool,
        };
        match pool.submit(frame) {
            Ok(empty) => {
                self.frame = empty;
                self.stage = Stage::Pool(pool);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn failed_before() -> io::Error {
    io::Error::other("sealing failed before")
}

impl<W: Write + Send + 'static> Write for SealWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A full frame waits for the byte after it: it may be the only one.
        if self.frame.len() == self.options.frame_bytes && !buf.is_empty() {
            self.submit()?;
        }
        if let Stage::Failed = self.stage {
            return Err(failed_before());
        }
        let taken = buf.len().min(self.options.frame_bytes - self.frame.len());
        self.frame.extend_from_slice(&buf[..taken]);
        self.plain_bytes += taken as u64;
        Ok(taken)
    }

    /// Does nothing: frames are cut by size alone.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> std::fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealWriter")
            .field("options", &self.options)
            .field("plain_bytes", &self.plain_bytes)
            .finish_non_exhaustive()
    }
}

/// Seals a small document: one zstd frame in an age file.
pub fn seal_bytes(plain: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>> {
    seal_inline(age_sink(Vec::new(), recipients)?, plain, DOCUMENT_LEVEL)
        .map(|sealed| sealed.out)
        .map_err(|error| Error::from_stream("write", error))
}

/// Compresses a small document that is not sealed: one zstd frame with a checksum of its content,
/// since nothing else vouches for it.
pub fn compress_bytes(plain: &[u8]) -> Result<Vec<u8>> {
    let compress = || {
        let mut compressor = Compressor::new(DOCUMENT_LEVEL)?;
        compressor.include_checksum(true)?;
        compressor.compress(plain)
    };
    compress().map_err(|error| Error::from_stream("write", error))
}

/// Encrypts `plain` without compression: an age file.
pub fn encrypt_bytes(plain: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>> {
    let encrypt = |sink: AgeSink<Vec<u8>>| {
        let mut writer = sink.start()?;
        writer.write_all(plain)?;
        writer.finish()
    };
    encrypt(age_sink(Vec::new(), recipients)?)
        .map(|sealed| sealed.out)
        .map_err(|error| Error::from_stream("write", error))
}

fn seal_inline<W: Write>(sink: AgeSink<W>, plain: &[u8], level: i32) -> io::Result<Sealed<W>> {
    let compressed = Compressor::new(level)?.compress(plain)?;
    let mut writer = sink.start()?;
    writer.write_all(&compressed)?;
    writer.finish()
}

/// An age file for `recipients`, of which nothing is written to `out` yet.
pub(crate) fn age_sink<W>(out: W, recipients: &[Recipient]) -> Result<AgeSink<W>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients).map_err(|error| match error {
        EncryptError::MissingRecipients => Error::NoRecipient,
        error => Error::Stream { operation: "write", source: io::Error::other(error) },
    });
    Ok(AgeSink { encryptor: encryptor?, out })
}

/// Where an age file will go, before its first byte.
pub(crate) struct AgeSink<W> {
    encryptor: Encryptor,
    out: W,
}

/// An age file being written.
pub(crate) struct AgeWriter<W: Write> {
    writer: StreamWriter<BufWriter<Counting<W>>>,
    plain_bytes: u64,
}

impl<W: Write + Send + 'static> AgeSink<W> {
    /// The same, with the writing on a thread of its own.
    pub(crate) fn on_a_thread(self) -> io::Result<AgeSink<WriteBehind<W>>> {
        Ok(AgeSink { encryptor: self.encryptor, out: WriteBehind::start(self.out)? })
    }
}

impl<W: Write> AgeSink<W> {
    pub(crate) fn start(self) -> io::Result<AgeWriter<W>> {
        let out = Counting { out: self.out, bytes: 0 };
        let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, out);
        Ok(AgeWriter { writer: self.encryptor.wrap_output(out)?, plain_bytes: 0 })
    }
}

impl<W: Write> AgeWriter<W> {
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.plain_bytes += bytes.len() as u64;
        self.writer.write_all(bytes)
    }

    pub(crate) fn finish(self) -> io::Result<Sealed<W>> {
        let out = self.writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Counting { mut out, bytes } = out;
        out.flush()?;
        Ok(Sealed { out, compressed_bytes: self.plain_bytes, sealed_bytes: bytes })
    }
}

struct Counting<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
