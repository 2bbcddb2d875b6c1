//! S3 as it is when nothing goes wrong.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_storage::conformance::{self, Promises};
use lifeboat_storage::{
    BucketAddress, CreateNew, Credentials, Environment, HttpOptions, Patience, RemoteOptions,
    S3Options, Storage, s3,
};

use crate::server::{KEY_ID, SECRET, serve};
use crate::store::{BUCKET, Store, Traits};

pub fn nothing() -> Environment {
    Environment::new(|name| (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".to_owned()))
}

/// Options for a server of ours, with small parts.
pub fn options(server: SocketAddr) -> S3Options {
    S3Options {
        endpoint: Some(format!("http://{server}")),
        region: Some("eu-test-1".to_owned()),
        credentials: Some(Credentials::new(KEY_ID.to_owned(), SECRET.to_owned(), None)),
        part_bytes: 5 << 20,
        parts_at_once: NonZeroUsize::new(3).unwrap(),
        http: HttpOptions { proxy_from_environment: false, ..HttpOptions::default() },
        remote: RemoteOptions { patience: Patience::NONE, ..RemoteOptions::default() },
        ..S3Options::default()
    }
}

pub fn address(prefix: &str) -> BucketAddress {
    BucketAddress { bucket: BUCKET.to_owned(), prefix: prefix.to_owned() }
}

pub fn open(options: &S3Options) -> Arc<dyn Storage> {
    s3(&address("some/prefix"), &nothing(), options).unwrap()
}

/// Tries again, with pauses too short to notice.
pub fn quickly() -> Patience {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(5));
    Patience { first, longest, total: Duration::from_secs(60) }
}

#[test]
fn s3_keeps_what_a_storage_promises() {
    conformance::run(&|| open(&options(serve(&Store::default(), true, None))));
}

#[test]
fn a_store_without_conditions_is_looked_at_first() {
    let make = || {
        let store = Store::new(Traits { no_conditions: true, ..Traits::default() });
        let options = S3Options {
            create_new: Some(CreateNew::Checked),
            ..options(serve(&store, true, None))
        };
        open(&options)
    };
    let promises = Promises { create_new: CreateNew::Checked, ..Promises::default() };
    conformance::run_promising(promises, &make);
}
