//! Stores of objects in the cloud, against servers in this process and whatever can happen on the way to them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "buckets/azblob.rs"]
mod azblob;
#[path = "buckets/front.rs"]
mod front;
#[path = "buckets/proxy.rs"]
mod proxy;
#[path = "buckets/s3.rs"]
mod s3;
#[path = "buckets/server.rs"]
mod server;
#[path = "buckets/store.rs"]
mod store;
