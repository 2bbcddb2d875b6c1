//! Reading what was sealed.

use std::io::{self, BufRead, BufReader, Read};

use age::x25519::Identity;
use zstd::stream::read::Decoder;

use crate::age_reader::{AgeReader, refused};
use crate::read_ahead::ReadAhead;
use crate::{Error, Result};

/// The largest window a zstd frame may ask for: 128 MiB, the limit of `zstd -d` too.
const WINDOW_LOG_MAX: u32 = 27;
/// Sizes and numbers of the blocks read ahead: some 2 MiB of compressed and 5 MiB of plain bytes.
const COMPRESSED_BLOCK_BYTES: usize = 256 * 1024;
const COMPRESSED_BLOCKS: usize = 6;
const PLAIN_BLOCK_BYTES: usize = 1024 * 1024;
const PLAIN_BLOCKS: usize = 3;

/// The plain bytes of a sealed stream, in order. Only a reader that was read to its end without
/// error has shown the whole object: authentication is by pieces of 64 KiB, and that nothing is
/// missing shows at the end.
///
/// Its errors carry an [`Error`]: [`Error::Corrupt`] for damage, else what the stream below said.
pub struct Unsealed {
    reader: ReadAhead,
}

/// Opens a sealed stream. Objects of some size are read and decrypted on one thread and
/// decompressed on another, both ahead of the consumer by a few MiB; small ones without threads.
///
/// [`Error::NotForUs`] if no identity opens it, [`Error::Corrupt`] if it is no age file.
pub fn unseal(reader: impl Read + Send + 'static, identities: &[Identity]) -> Result<Unsealed> {
    let failed = |source| Error::from_stream("read", source);
    let opened = AgeReader::open(reader, as_dyn(identities), refused)?;
    let opened =
        ReadAhead::new(opened, COMPRESSED_BLOCK_BYTES, COMPRESSED_BLOCKS).map_err(failed)?;
    let plain = ReadAhead::new(zstd_reader(opened)?, PLAIN_BLOCK_BYTES, PLAIN_BLOCKS);
    Ok(Unsealed { reader: plain.map_err(failed)? })
}

/// Unseals a small document. [`Error::TooLarge`] if it is larger than `limit_bytes`, whatever the
/// size of its sealed form.
pub fn unseal_bytes(sealed: &[u8], identities: &[Identity], limit_bytes: usize) -> Result<Vec<u8>> {
    let opened = BufReader::new(AgeReader::open(sealed, as_dyn(identities), refused)?);
    read_limited(zstd_reader(opened)?, limit_bytes)
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

fn as_dyn(identities: &[Identity]) -> impl Iterator<Item = &dyn age::Identity> {
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

fn zstd_reader<R: BufRead>(mut reader: R) -> Result<ZstdReader<R>> {
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
struct ZstdReader<R> {
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
            None => Error::corrupt("no zstd frame that can be read", error).into(),
        })
    }
}

impl Read for Unsealed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl BufRead for Unsealed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl std::fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsealed").finish_non_exhaustive()
    }
}
