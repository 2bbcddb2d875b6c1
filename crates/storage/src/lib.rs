//! Objects under keys at one location, and the sealing that every object of a repository has.
//!
//! [`Storage`] is what a repository is kept in: objects that are written once, appear whole or not
//! at all, and are durable when they appear. [`LocalStorage`] keeps them in a directory,
//! [`SftpStorage`] in one of a server, [`MemoryStorage`] in memory for tests.
//!
//! Sealing is zstd, then age, both standard: `age -d -i identity object | zstd -d` reads every
//! object without this crate. [`SealWriter`] and [`unseal()`] are the streaming forms, [`seal_bytes`]
//! and [`unseal_bytes`] those for small documents.
//!
//! This crate knows no format above the object.

mod age_reader;
mod error;
mod frames;
mod hash;
mod key;
mod local;
mod memory;
mod passphrase;
mod read_ahead;
mod seal;
mod seal_pool;
mod sftp;
mod storage;
mod unseal;
mod unseal_pool;
mod write_behind;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use age::secrecy;
pub use age::x25519;

pub use error::{Error, Result};
pub use hash::{HashingReader, HashingWriter, ObjectDigest};
pub use key::Key;
pub use local::{LocalStorage, Stale};
pub use memory::MemoryStorage;
pub use passphrase::{is_wrapped_with_passphrase, unwrap_with_passphrase, wrap_with_passphrase};
pub use seal::{SealOptions, SealStats, SealWriter, compress_bytes, encrypt_bytes, seal_bytes};
pub use sftp::{
    InvalidSftpAddress, SftpAddress, SftpCapabilities, SftpOptions, SftpProblem, SftpStorage,
};
pub use storage::{Child, Entry, Storage, Upload};
pub use unseal::{
    Unsealed, decompress_bytes, decrypt_bytes, unseal, unseal_bytes, unseal_frugally,
};
