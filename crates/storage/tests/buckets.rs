//! Stores of objects in the cloud, against servers in this process and whatever can happen on the way to them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "buckets/azblob.rs"]
mod azblob;
#[path = "buckets/faults.rs"]
mod faults;
#[path = "buckets/front.rs"]
mod front;
#[path = "buckets/gcs.rs"]
mod gcs;
#[path = "buckets/proxy.rs"]
mod proxy;
#[path = "buckets/s3.rs"]
mod s3;
#[path = "buckets/server.rs"]
mod server;
#[path = "buckets/settings.rs"]
mod settings;
#[path = "buckets/store.rs"]
mod store;
