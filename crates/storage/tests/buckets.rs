//! Stores of objects in the cloud, against servers in this process and whatever can happen on the way to them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "buckets/azblob.rs"]
mod azblob;
#[path = "buckets/faults.rs"]
mod faults;
#[path = "buckets/gcs.rs"]
mod gcs;
#[path = "buckets/s3.rs"]
mod s3;
#[path = "buckets/settings.rs"]
mod settings;

use lifeboat_servers::s3::store;
use lifeboat_servers::{front, proxy, s3 as server};
