//! A bucket, at once and with 50 ms before each request.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_servers::proxy::{Fault, Proxy};
use lifeboat_servers::s3::store::{BUCKET, Store};
use lifeboat_servers::s3::{KEY_ID, SECRET, serve};
use lifeboat_storage::{BucketAddress, Credentials, Environment, S3Options, Storage, s3};

use crate::measure;

fn bucket(endpoint: String) -> Arc<dyn Storage> {
    let address = BucketAddress { bucket: BUCKET.to_owned(), prefix: "speed".to_owned() };
    let options = S3Options {
        endpoint: Some(endpoint),
        credentials: Some(Credentials::new(KEY_ID.to_owned(), SECRET.to_owned(), None)),
        ..S3Options::default()
    };
    s3(&address, &Environment::new(|_| None), &options).unwrap()
}

pub(crate) fn measure_near_and_far() {
    for (name, delay_ms) in [("near", 0), ("50ms", 50)] {
        let proxy = Proxy::start(serve(&Store::default(), true, None));
        if delay_ms > 0 {
            proxy.decide(move |_| Some(Fault::Delay(Duration::from_millis(delay_ms))));
        }
        measure(name, &bucket(format!("http://{}", proxy.address)));
    }
}
