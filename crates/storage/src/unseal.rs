//! Reading what was sealed.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::thread;

use age::x25519::Identity;
use zstd::stream::read::Decoder;

use crate::age_reader::{AgeReader, refused};
use crate::read_ahead::ReadAhead;
use crate::unseal_pool::Pool;
use crate::{Error, Result};

/// The largest window a zstd frame may ask for: 128 MiB, the limit of `zstd -d` too.
const WINDOW_LOG_MAX: u32 = 27;
/// Sizes and numbers of the blocks of sealed bytes read ahead.
const SEALED_BLOCK_BYTES: usize = 256 * 1024;
const SEALED_BLOCKS: usize = 6;
/// A stream that is compressed to less than this is decompressed without threads.
const INLINE_BYTES: usize = 256 * 1024;
/// As when sealing: each worker takes two frames of memory.
const MAX_WORKERS: usize = 4;

/// What is wrong where the decoder finds something else than a frame.
pub(crate) const NO_FRAME: &str = "no zstd frame that can be read";

/// The plain bytes of a sealed stream, in order. Only a reader that was read to its end without
/// error has shown the whole object: authentication is by pieces of 64 KiB, and that nothing is
/// missing shows at the end.
///
/// Its errors carry an [`Error`]: [`Error::Corrupt`] for damage, else what the stream below said.
pub struct Unsealed {
    plain: Plain,
}

enum Plain {
    Inline(BufReader<ZstdReader<Cursor<Vec<u8>>>>),
    Pool(Pool),
}

/// Opens a sealed stream. Of objects of some size, the stream below is read on one thread, decrypted
/// on another and decompressed on several, all ahead of the consumer by a few frames; small ones are
/// read without threads.
///
/// [`Error::NotForUs`] if no identity opens it, [`Error::Corrupt`] if it is no age file.
pub fn unseal(reader: impl Read + Send + 'static, identities: &[Identity]) -> Result<Unsealed> {
    unseal_opened(AgeReader::open(read_ahead(reader)?, as_dyn(identities), refused)?)
}

/// A reader of sealed bytes that reads on a thread of its own.
pub(crate) fn read_ahead(reader: impl Read + Send + 'static) -> Result<ReadAhead> {
    let ahead = ReadAhead::new(reader, SEALED_BLOCK_BYTES, SEALED_BLOCKS);
    ahead.map_err(|source| Error::from_stream("read", source))
}

/// Decompresses a stream that was decrypted. When all plain bytes were read, the stream was read to its end.
pub(crate) fn unseal_opened(mut opened: impl Read + Send + 'static) -> Result<Unsealed> {
    let failed = |source| Error::from_stream("read", source);
    let mut head = Vec::new();
    (&mut opened).take(INLINE_BYTES as u64).read_to_end(&mut head).map_err(failed)?;
    let plain = if head.len() < INLINE_BYTES {
        Plain::Inline(BufReader::new(zstd_reader(Cursor::new(head))?))
    } else {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
        Plain::Pool(Pool::start(Cursor::new(head).chain(opened), workers).map_err(failed)?)
    };
    Ok(Unsealed { plain })
}

/// Like [`unseal`], but without threads, and with less than a megabyte of memory whatever the size:
/// for many streams that are read at once.
pub fn unseal_frugally(
    reader: impl Read + Send + 'static,
    identities: &[Identity],
) -> Result<Box<dyn Read + Send>> {
    let opened = BufReader::new(AgeReader::open(reader, as_dyn(identities), refused)?);
    Ok(Box::new(BufReader::new(zstd_reader(opened)?)))
}

/// Unseals a small document. [`Error::TooLarge`] if it is larger than `limit_bytes`, whatever the
/// size of its sealed form.
pub fn unseal_bytes(sealed: &[u8], identities: &[Identity], limit_bytes: usize) -> Result<Vec<u8>> {
    let opened = BufReader::new(AgeReader::open(sealed, as_dyn(identities), refused)?);
    read_limited(zstd_reader(opened)?, limit_bytes)
}

/// Decompresses a small document that is not sealed. [`Error::TooLarge`] if it is larger than
/// `limit_bytes`, whatever the size of its compressed form.
pub fn decompress_bytes(compressed: &[u8], limit_bytes: usize) -> Result<Vec<u8>> {
    read_limited(zstd_reader(compressed)?, limit_bytes)
}

/// Decrypts an age file that is not compressed. [`Error::TooLarge`] if it holds more than
/// `limit_bytes`.
pub fn decrypt_bytes(
    encrypted: &[u8],
    identities: &[Identity],
    limit_bytes: usize,
) -> Result<Vec<u8>> {
    read_limited(AgeReader::open(encrypted, as_dyn(identities), refused)?, limit_bytes)
}

pub(crate) fn as_dyn(identities: &[Identity]) -> impl Iterator<Item = &dyn age::Identity> {
    identities.iter().map(|identity| identity as &dyn age::Identity)
}

fn read_limited(reader: impl Read, limit_bytes: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut limited = reader.take((limit_bytes as u64).saturating_add(1));
    limited.read_to_end(&mut plain).map_err(|error| Error::from_stream("read", error))?;
    if plain.len() > limit_bytes {
        return Err(Error::TooLarge { limit_bytes });
    }
    Ok(plain)
}

/// A decoder of a whole stream, which has at least one frame.
pub(crate) fn zstd_reader<R: BufRead>(mut reader: R) -> Result<ZstdReader<R>> {
    let failed = |source| Error::from_stream("read", source);
    // The decoder takes no frame at all for the end. Nothing was ever sealed to that.
    if reader.fill_buf().map_err(failed)?.is_empty() {
        return Err(Error::Corrupt { problem: "no zstd frame", source: None });
    }
    let mut decoder = Decoder::with_buffer(reader).map_err(failed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(failed)?;
    Ok(ZstdReader { decoder })
}

/// Decompresses; errors of the decoder itself become [`Error::Corrupt`].
pub(crate) struct ZstdReader<R> {
    decoder: Decoder<'static, R>,
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buf).map_err(|error| match Error::inside(&error) {
            Some(_) => error,
            None if error.kind() == io::ErrorKind::Interrupted => error,
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Error::corrupt("the last zstd frame is cut short", error).into()
            }
            None => Error::corrupt(NO_FRAME, error).into(),
        })
    }
}

impl Read for Unsealed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Unsealed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.plain {
            Plain::Inline(plain) => plain.fill_buf(),
            Plain::Pool(pool) => pool.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.plain {
            Plain::Inline(plain) => plain.consume(amount),
            Plain::Pool(pool) => pool.consume(amount),
        }
    }
}

impl std::fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsealed").finish_non_exhaustive()
    }
}
