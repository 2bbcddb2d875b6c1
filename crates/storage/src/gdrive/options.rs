use std::num::NonZeroU32;
use std::path::PathBuf;

use super::DriveEndpoints;
use crate::{HttpOptions, RemoteOptions};

/// How Google Drive is used.
#[derive(Clone, Debug)]
pub struct DriveOptions {
    /// What [`TokenFile`](super::TokenFile) is kept in; it is written when a token is refreshed.
    pub token_file: PathBuf,
    /// The id of a shared drive, in place of the owner's own.
    pub shared_drive: Option<String>,
    /// What is larger than 4 MiB is sent in chunks of this many bytes, cut to a multiple of 256 KiB.
    pub chunk_bytes: u64,
    /// As many requests a second are sent, after a burst of as many; no limit if this is `None`.
    pub requests_per_second: Option<NonZeroU32>,
    /// Where Google is.
    pub endpoints: DriveEndpoints,
    /// Connections.
    pub http: HttpOptions,
    /// Retries and limits.
    pub remote: RemoteOptions,
}

impl DriveOptions {
    /// The tokens of a file; the owner's own drive, chunks of 8 MiB, ten requests a second.
    #[must_use]
    pub fn new(token_file: PathBuf) -> Self {
        Self {
            token_file,
            shared_drive: None,
            chunk_bytes: 8 << 20,
            requests_per_second: NonZeroU32::new(10),
            endpoints: DriveEndpoints::default(),
            http: HttpOptions::default(),
            remote: RemoteOptions::default(),
        }
    }
}
