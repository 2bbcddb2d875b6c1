//! How quickly a bucket is written and read, without and with 50 ms before each request:
//! `cargo run --release -p lifeboat-servers --example latency`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to measure with")]

use std::io::{copy, sink};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_servers::proxy::{Fault, Proxy};
use lifeboat_servers::s3::store::{BUCKET, Store};
use lifeboat_servers::s3::{KEY_ID, SECRET, serve};
use lifeboat_storage::{BucketAddress, Credentials, Environment, Key, S3Options, Storage, s3};

const LARGE_MIB: u32 = 256;
const SMALL: u32 = 100;

fn bucket(endpoint: String) -> Arc<dyn Storage> {
    let address = BucketAddress { bucket: BUCKET.to_owned(), prefix: "speed".to_owned() };
    let options = S3Options {
        endpoint: Some(endpoint),
        credentials: Some(Credentials::new(KEY_ID.to_owned(), SECRET.to_owned(), None)),
        ..S3Options::default()
    };
    s3(&address, &Environment::new(|_| None), &options).unwrap()
}

fn rate(began: Instant) -> f64 {
    f64::from(LARGE_MIB) / began.elapsed().as_secs_f64()
}

fn main() {
    let content: Vec<u8> = (0..LARGE_MIB << 18).flat_map(u32::to_le_bytes).collect();
    for delay_ms in [0, 50] {
        let proxy = Proxy::start(serve(&Store::default(), true, None));
        if delay_ms > 0 {
            proxy.decide(move |_| Some(Fault::Delay(Duration::from_millis(delay_ms))));
        }
        let storage = bucket(format!("http://{}", proxy.address));
        let key: Key = "large".parse().unwrap();
        let began = Instant::now();
        storage.put_content(&key, &content.as_slice(), None).unwrap();
        let up = rate(began);
        let began = Instant::now();
        copy(&mut storage.read(&key, None).unwrap(), &mut sink()).unwrap();
        let down = rate(began);
        let began = Instant::now();
        for number in 0..SMALL {
            storage.put(&format!("small/{number}").parse().unwrap(), b"small").unwrap();
        }
        let small_ms = began.elapsed().as_secs_f64() * 1000.0 / f64::from(SMALL);
        println!(
            "{delay_ms} ms: up {up:.0} MiB/s, down {down:.0} MiB/s, a small object {small_ms:.1} ms"
        );
    }
}
