//! Objects under keys at one location, and the sealing that every object of a repository has.
//!
//! [`Storage`] is what a repository is kept in: objects that are written once, appear whole or not
//! at all, and are durable when they appear. [`LocalStorage`] keeps them in a directory, [`SftpStorage`]
//! in one of a server, [`s3`], [`gcs`], [`b2`] and [`azblob`] in a bucket, [`webdav`], [`rclone`] and
//! [`GoogleDrive`] where their names say, [`MemoryStorage`] in memory for tests.
//!
//! Sealing is zstd, then age, both standard: `age -d -i identity object | zstd -d` reads every
//! object without this crate. [`SealWriter`] and [`unseal()`] are the streaming forms, [`seal_bytes`]
//! and [`unseal_bytes`] those for small documents.
//!
//! This crate knows no format above the object.

mod age_reader;
mod aws;
mod azblob;
mod b2;
mod bandwidth;
mod content;
mod environment;
mod error;
mod frames;
mod gcs;
mod gdrive;
mod hash;
mod http;
mod key;
mod local;
mod memory;
mod passphrase;
mod percent;
mod random;
mod rclone;
mod read_ahead;
mod refreshing;
mod remote;
mod reseal;
mod s3;
mod seal;
mod seal_pool;
mod sftp;
mod storage;
mod tended;
mod times;
mod unseal;
mod unseal_pool;
mod webdav;
mod write_behind;
mod xml;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use age::secrecy;
pub use age::x25519;

pub use aws::Credentials;
pub use azblob::{AzblobOptions, azblob};
pub use b2::b2;
pub use bandwidth::Bandwidth;
pub use content::{Content, FileContent, StoredContent};
pub use environment::Environment;
pub use error::{Error, Result};
pub use gcs::gcs;
pub use gdrive::{
    Authorization, AuthorizationOptions, DriveEndpoints, DriveOptions, GoogleDrive, ImportedDrive,
    OAuthClient, TokenFile, import_rclone_drive,
};
pub use hash::{HashingReader, HashingWriter, ObjectDigest};
pub use http::HttpOptions;
pub use key::Key;
pub use local::{LocalStorage, Stale};
pub use memory::MemoryStorage;
pub use passphrase::{is_wrapped_with_passphrase, unwrap_with_passphrase, wrap_with_passphrase};
pub use rclone::{RcloneOptions, rclone};
pub use remote::{Cause, Failure, Patience, RemoteOptions};
pub use reseal::{Resealed, unseal_and_reseal};
pub use s3::{Addressing, BucketAddress, LockMode, ObjectLock, S3Options, s3};
pub use seal::{SealOptions, SealStats, SealWriter, compress_bytes, encrypt_bytes, seal_bytes};
pub use sftp::{
    InvalidSftpAddress, SftpAddress, SftpCapabilities, SftpOptions, SftpProblem, SftpStorage,
};
pub use storage::{Child, CreateNew, Entry, Storage, Upload};
pub use tended::tended;
pub use unseal::{
    Unsealed, decompress_bytes, decrypt_bytes, unseal, unseal_bytes, unseal_frugally,
};
pub use webdav::{WebDavOptions, webdav};
