//! A store over a network: which one a URL means, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_storage::{
    Addressing, AzblobOptions, Bandwidth, BucketAddress, Credentials, DriveEndpoints, DriveOptions,
    Error as StorageError, GoogleDrive, HttpOptions, LockMode, ObjectLock, Patience, RcloneOptions,
    RemoteOptions, S3Options, SftpAddress, SftpOptions, SftpStorage, Storage, WebDavOptions,
    azblob, b2, gcs, rclone, s3, tended, webdav,
};

use super::Means;
use crate::config::{ConfigSecret, ObjectLockMode, StoreConfig};
use crate::{Environment, Error, Result};

/// Schemes of other programs, to tell them from odd file names.
const OTHER_SCHEMES: &[&str] = &["rest", "swift", "ftp", "ftps", "smb", "nfs", "dropbox"];

/// What is removed as soon as it has served: restic's locks, and what shows whether a store can be written to. Locks
/// that stayed would keep every prune away.
const PASSING: &[&str] = &["locks/", "probe-"];

/// A place in a store over a network.
#[derive(Debug)]
pub(crate) struct Remote {
    address: Address,
    store: StoreConfig,
    environment: lifeboat_storage::Environment,
    spool: PathBuf,
    token_file: PathBuf,
}

#[derive(Debug)]
enum Address {
    S3(BucketAddress),
    Gcs(BucketAddress),
    B2(BucketAddress),
    Azblob(BucketAddress),
    Sftp(SftpAddress),
    /// `gdrive://Folder Name`.
    Drive(String),
    /// A URL without password.
    WebDav(String),
    /// `rclone:remote:path`.
    Rclone(String),
}

impl Remote {
    /// `None` for a URL that is none of a store.
    pub(super) fn parse(url: &str, means: Means<'_>) -> Result<Option<Self>> {
        let Some((scheme, rest)) = url.split_once(':') else { return Ok(None) };
        let address = match scheme {
            "s3" => Address::S3(bucket(scheme, rest)?),
            "gcs" | "gs" => Address::Gcs(bucket(scheme, rest)?),
            "b2" => Address::B2(bucket(scheme, rest)?),
            "azblob" | "azure" => Address::Azblob(bucket(scheme, rest)?),
            "gdrive" => Address::Drive(url.to_owned()),
            "sftp" => Address::Sftp(SftpAddress::parse(url).map_err(|error| {
                Error::usage(error.to_string(), "it is sftp://user@host/path or sftp://host/~/path")
            })?),
            "webdav" | "webdavs" => Address::WebDav(url.to_owned()),
            "rclone" => Address::Rclone(url.to_owned()),
            _ if OTHER_SCHEMES.contains(&scheme) => {
                return Err(Error::usage(
                    format!("repositories at {scheme}: are not supported"),
                    "rclone reaches most stores: rclone:REMOTE:PATH",
                ));
            }
            _ => return Ok(None),
        };
        let (store, environment) = (means.store.clone(), environment(means));
        let spool = means.state.path().join("uploads");
        let token_file = store.token_file.clone();
        let token_file = token_file.unwrap_or_else(|| default_token_file(means.environment));
        Ok(Some(Self { address, store, environment, spool, token_file }))
    }

    /// The storage. Whether something is there shows when it is asked.
    pub(super) fn open(&self) -> lifeboat_storage::Result<Arc<dyn Storage>> {
        match &self.address {
            Address::Sftp(address) => {
                let storage = SftpStorage::open(address, &self.sftp())?;
                Ok(tended(Arc::new(storage), &self.remote()))
            }
            _ => self.create(),
        }
    }

    /// The same; what holds it is made where that is ours to make.
    pub(super) fn create(&self) -> lifeboat_storage::Result<Arc<dyn Storage>> {
        match &self.address {
            Address::S3(address) => s3(address, &self.environment, &self.s3()),
            Address::Gcs(address) => gcs(address, &self.environment, &self.s3()),
            Address::B2(address) => b2(address, &self.environment, &self.s3()),
            Address::Azblob(address) => azblob(address, &self.environment, &self.azblob()),
            Address::Drive(_) => Ok(self.drive()?.storage()),
            Address::Sftp(address) => {
                let storage = SftpStorage::create(address, &self.sftp())?;
                Ok(tended(Arc::new(storage), &self.remote()))
            }
            Address::WebDav(url) => webdav(url, &self.environment, &self.webdav()),
            Address::Rclone(url) => rclone(url, &self.rclone()),
        }
    }

    /// Whether an error says that nothing is there.
    pub(super) fn is_missing(&self, error: &StorageError) -> bool {
        matches!(self.address, Address::Sftp(_))
            && matches!(error, StorageError::Storage { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// The folder of Google Drive, if it is one.
    pub(crate) fn folder(&self) -> Option<lifeboat_storage::Result<GoogleDrive>> {
        matches!(self.address, Address::Drive(_)).then(|| self.drive())
    }

    fn drive(&self) -> lifeboat_storage::Result<GoogleDrive> {
        let usual = DriveEndpoints::default();
        let to_google = DriveOptions::new(self.token_file.clone());
        let options = DriveOptions {
            // Only Google has Google's quotas.
            requests_per_second: to_google
                .requests_per_second
                .filter(|_| self.store.endpoint.is_none()),
            endpoints: self.store.endpoint.as_deref().map_or(usual, endpoints_at),
            http: self.http(),
            remote: self.remote(),
            shared_drive: self.store.shared_drive.clone(),
            ..to_google
        };
        GoogleDrive::open(&self.to_string(), &options)
    }

    fn azblob(&self) -> AzblobOptions {
        AzblobOptions {
            endpoint: self.store.endpoint.clone(),
            access_tier: self.store.storage_class.clone(),
            http: self.http(),
            remote: self.remote(),
            ..AzblobOptions::default()
        }
    }

    fn remote(&self) -> RemoteOptions {
        let mut bandwidth = Bandwidth::default();
        if let Some(limit) = self.store.upload_limit.clone() {
            bandwidth = bandwidth.with_upload(move || limit.now());
        }
        if let Some(limit) = self.store.download_limit.clone() {
            bandwidth = bandwidth.with_download(move || limit.now());
        }
        let total = self.store.retry.map(crate::Interval::get);
        let usual = Patience::default();
        let patience = Patience { total: total.unwrap_or(usual.total), ..usual };
        // Where there is no state directory nothing is made: what is examined sends next to nothing.
        let is_there = self.spool.parent().is_some_and(Path::exists);
        let made = is_there.then(|| crate::state::create_private_directory(&self.spool));
        let spool = if matches!(made, Some(Ok(()))) { self.spool.clone() } else { PathBuf::new() };
        RemoteOptions { spool, patience, bandwidth }
    }

    fn http(&self) -> HttpOptions {
        HttpOptions { ca_file: self.store.ca_file.clone(), ..HttpOptions::default() }
    }

    fn s3(&self) -> S3Options {
        let store = &self.store;
        let credentials = store.access_key.clone().zip(store.secret_key.as_ref());
        let token = || store.session_token.as_ref().map(|token| token.expose().to_owned());
        S3Options {
            endpoint: store.endpoint.clone(),
            region: store.region.clone(),
            addressing: match store.path_style {
                None => Addressing::Automatic,
                Some(true) => Addressing::Path,
                Some(false) => Addressing::VirtualHost,
            },
            credentials: credentials
                .map(|(id, secret)| Credentials::new(id, secret.expose().to_owned(), token())),
            storage_class: store.storage_class.clone(),
            object_lock: store.object_lock.map(|lock| ObjectLock {
                mode: match lock.mode {
                    ObjectLockMode::Governance => LockMode::Governance,
                    ObjectLockMode::Compliance => LockMode::Compliance,
                },
                days: lock.days,
            }),
            never_locked: PASSING,
            http: self.http(),
            remote: self.remote(),
            ..S3Options::default()
        }
    }

    fn sftp(&self) -> SftpOptions {
        let command = self.store.ssh_command.as_ref();
        SftpOptions {
            key: self.store.ssh_key.clone(),
            known_hosts: self.store.known_hosts.clone(),
            command: command.map(|command| command.iter().map(Into::into).collect()),
            ..SftpOptions::default()
        }
    }

    fn webdav(&self) -> WebDavOptions {
        let password = self.store.webdav_password.as_ref().map(ConfigSecret::expose);
        WebDavOptions {
            endpoint: self.store.endpoint.clone(),
            password: password.map(|password| password.to_owned().into()),
            http: self.http(),
            remote: self.remote(),
            ..WebDavOptions::default()
        }
    }

    fn rclone(&self) -> RcloneOptions {
        let usual = RcloneOptions::default();
        RcloneOptions {
            program: self.store.rclone.clone().unwrap_or(usual.program),
            config: self.store.rclone_config.clone(),
            remote: self.remote(),
            ..RcloneOptions::default()
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_bucket = |scheme: &str, address: &BucketAddress| {
            let BucketAddress { bucket, prefix } = address;
            let separator = if prefix.is_empty() { "" } else { "/" };
            format!("{scheme}://{bucket}{separator}{prefix}")
        };
        match &self.address {
            Address::S3(address) => formatter.write_str(&of_bucket("s3", address)),
            Address::Gcs(address) => formatter.write_str(&of_bucket("gcs", address)),
            Address::B2(address) => formatter.write_str(&of_bucket("b2", address)),
            Address::Azblob(address) => formatter.write_str(&of_bucket("azblob", address)),
            Address::Sftp(address) => address.fmt(formatter),
            Address::Drive(url) | Address::WebDav(url) | Address::Rclone(url) => {
                formatter.write_str(url)
            }
        }
    }
}

/// `//bucket/prefix`, or as restic has it, `bucket/prefix` and `bucket:/prefix`.
fn bucket(scheme: &str, rest: &str) -> Result<BucketAddress> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (bucket, prefix) = rest.split_once(['/', ':']).unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Error::usage(
            format!("no bucket in {scheme}:{rest}"),
            format!("it is {scheme}://BUCKET/PREFIX"),
        ));
    }
    Ok(BucketAddress { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
}

/// The variables of the process, with what the configuration says in their place.
fn environment(means: Means<'_>) -> lifeboat_storage::Environment {
    let (variables, profile) = (means.environment.clone(), means.store.profile.clone());
    let account = means.store.access_key.clone();
    let key = means.store.secret_key.clone();
    lifeboat_storage::Environment::new(move |name| {
        let given = match name {
            "AWS_PROFILE" => profile.clone(),
            "AZURE_ACCOUNT_NAME" => account.clone(),
            "AZURE_ACCOUNT_KEY" => key.as_ref().map(|key| key.expose().to_owned()),
            _ => None,
        };
        given.or_else(|| variables.text(name).map(str::to_owned))
    })
}

/// Where the permission to use Google Drive is kept unless the configuration says otherwise.
pub(crate) fn default_token_file(environment: &Environment) -> PathBuf {
    environment.config_directory().join("gdrive.json")
}

/// Google, at another address than its own.
pub(crate) fn endpoints_at(base: &str) -> DriveEndpoints {
    let base = base.trim_end_matches('/');
    DriveEndpoints {
        api: base.to_owned(),
        authorization: format!("{base}/auth"),
        token: format!("{base}/token"),
    }
}
