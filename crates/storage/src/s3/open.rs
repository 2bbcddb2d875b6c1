//! How a bucket is found.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::client::{Authority, Client};
use super::dates::Dates;
use super::endpoint::{Endpoint, of_region};
use super::{Dialect, S3, S3Options};
use crate::aws::AwsSettings;
use crate::http::Http;
use crate::remote::{Attempt, RemoteStorage};
use crate::{CreateNew, Environment, Error, Result, Storage};

/// A bucket, and where in it the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    /// The name of the bucket, or container.
    pub bucket: String,
    /// What the names of all objects begin with, as the segments of a path; empty for the whole bucket.
    pub prefix: String,
}

impl BucketAddress {
    /// `scheme://bucket/prefix`.
    pub(crate) fn location(&self, scheme: &str) -> String {
        let prefix = self.prefix();
        format!("{scheme}://{}/{prefix}", self.bucket).trim_end_matches('/').to_owned()
    }

    /// `""`, or what ends in `/`.
    pub(crate) fn prefix(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }
}

/// How a store of some dialect is reached.
pub(crate) struct Access {
    pub(crate) dialect: Dialect,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) authority: Authority,
}

/// Objects in a bucket of Amazon S3, or of a store that speaks it. Nothing is sent yet.
///
/// What the options leave open is looked up, the first that is found: credentials in `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; in the profile `AWS_PROFILE` of the files
/// `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` (`~/.aws/credentials`, `~/.aws/config`), with its
/// `credential_process`; at the container's or the instance's metadata service. The region in `AWS_REGION`,
/// `AWS_DEFAULT_REGION` and the profile, the endpoint in `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL`.
pub fn s3(
    address: &BucketAddress,
    environment: &Environment,
    options: &S3Options,
) -> Result<Arc<dyn Storage>> {
    open(address, Dialect::S3, options, |_| {
        let settings = AwsSettings::find(environment)?;
        let region = options.region.clone().or_else(|| settings.region.clone());
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = options.endpoint.clone().or_else(|| settings.endpoint.clone());
        let endpoint = endpoint.unwrap_or_else(|| of_region(&region));
        let keys = settings.credentials(options.credentials.clone())?;
        Ok(Access { dialect: Dialect::S3, endpoint, region, authority: Authority::Keys(keys) })
    })
}

/// A bucket, reached as `access` says.
pub(crate) fn open(
    address: &BucketAddress,
    dialect: Dialect,
    options: &S3Options,
    access: impl FnOnce(&Http) -> Attempt<Access>,
) -> Result<Arc<dyn Storage>> {
    let location = address.location(dialect.name);
    let opened = Http::new(&options.http)
        .and_then(|http| bucket(address, location.clone(), options, access(&http)?, http));
    let remote = opened.map_err(|failure| Error::Storage {
        operation: "open",
        object: "the bucket".to_owned(),
        location,
        source: failure.into(),
    })?;
    Ok(Arc::new(RemoteStorage::new(remote, options.remote.clone())))
}

fn bucket(
    address: &BucketAddress,
    location: String,
    options: &S3Options,
    access: Access,
    http: Http,
) -> Attempt<S3> {
    let Access { dialect, endpoint, region, authority } = access;
    let endpoint = Endpoint::new(&endpoint, &address.bucket, options.addressing)?;
    Ok(S3 {
        client: Client { http, endpoint, region, dialect, authority },
        location,
        prefix: address.prefix(),
        storage_class: options.storage_class.clone(),
        object_lock: options.object_lock,
        never_locked: options.never_locked,
        part_bytes: options.part_bytes.max(1),
        parts_at_once: options.parts_at_once,
        checks: AtomicBool::new(options.create_new == Some(CreateNew::Checked)),
        dates: Dates::default(),
    })
}
