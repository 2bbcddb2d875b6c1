//! How quickly stores are written and read, near and far away, and what memory an object of many GiB takes:
//! `cargo run --release -p lifeboat-servers --example speed -- s3|sftp|large [GIB]`; and how long programs take for a
//! backup into three buckets: `-- several PROGRAM…`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to measure with")]

mod bucket;
mod host;
mod several;

use std::io::{copy, sink};
use std::time::Instant;

use lifeboat_storage::{Key, Storage};

const LARGE_MIB: u32 = 256;
const SMALL: u32 = 50;

/// Prints how quickly one large and some small objects go there, and the large one comes back.
fn measure(name: &str, storage: &dyn Storage) {
    let content: Vec<u8> = (0..LARGE_MIB << 18).flat_map(u32::to_le_bytes).collect();
    let key: Key = format!("{name}/large").parse().unwrap();
    let rate = |began: Instant| f64::from(LARGE_MIB) / began.elapsed().as_secs_f64();
    let began = Instant::now();
    storage.put_content(&key, &content.as_slice(), None).unwrap();
    let up = rate(began);
    let began = Instant::now();
    copy(&mut storage.read(&key, None).unwrap(), &mut sink()).unwrap();
    let down = rate(began);
    let began = Instant::now();
    for number in 0..SMALL {
        storage.put(&format!("{name}/{number}").parse().unwrap(), b"small").unwrap();
    }
    let small_ms = began.elapsed().as_secs_f64() * 1000.0 / f64::from(SMALL);
    println!("{name}: up {up:.0} MiB/s, down {down:.0} MiB/s, a small object {small_ms:.1} ms");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("s3") => bucket::measure_near_and_far(),
        Some("sftp") => host::measure_near_and_far(),
        Some("large") => {
            host::measure_large(arguments.next().map_or(6, |gib| gib.parse().unwrap()));
        }
        Some("several") => arguments.for_each(|program| several::measure(program.as_ref())),
        _ => println!("s3, sftp, large or several"),
    }
}
