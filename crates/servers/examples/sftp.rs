//! How quickly a host is written and read over SFTP, at once and with a round trip of 50 ms, and what memory an object
//! of many GiB takes: `cargo run --release -p lifeboat-servers --example sftp -- [GIB]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to measure with")]

use std::fs::File;
use std::io::{Read, Write, copy, sink};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_servers::sshd::Sshd;
use lifeboat_storage::{FileContent, Key, SftpStorage, Storage};

const MIB: u32 = 128;
const SMALL: u32 = 20;
const ONE_WAY: Duration = Duration::from_millis(25);
const PIECE_BYTES: usize = 64 * 1024;

/// Passes on each byte as much later.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(1 << 16);
    thread::spawn(move || {
        for (came, bytes) in receiver {
            thread::sleep((came + ONE_WAY).saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if sender.send((Instant::now(), piece[..read].to_vec())).is_err() {
            break;
        }
    }
}

/// A port behind which a server is far away.
fn far(server: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, server) = (near.unwrap(), TcpStream::connect(server).unwrap());
            near.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (back_from, back_to) = (server.try_clone().unwrap(), near.try_clone().unwrap());
            thread::spawn(move || pass_on(near, server));
            thread::spawn(move || pass_on(back_from, back_to));
        }
    });
    port
}

fn measure(name: &str, storage: &dyn Storage) {
    let content: Vec<u8> = (0..MIB << 18).flat_map(u32::to_le_bytes).collect();
    let key: Key = format!("{name}/large").parse().unwrap();
    let rate = |began: Instant| f64::from(MIB) / began.elapsed().as_secs_f64();
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
    println!("{name}: up {up:.0} MiB/s, down {down:.0} MiB/s, a small object {small_ms:.0} ms");
}

/// The most memory that this process had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A file without content takes no room here, and as much there as any.
fn large(storage: &dyn Storage, directory: &Path, gib: u64) {
    let path = directory.join("hole");
    let file = File::create_new(&path).unwrap();
    file.set_len(gib << 30).unwrap();
    let content = FileContent::new(File::open(&path).unwrap()).unwrap();
    let key: Key = "many-gib".parse().unwrap();
    let began = Instant::now();
    storage.put_content(&key, &content, None).unwrap();
    let read = copy(&mut storage.read(&key, None).unwrap(), &mut sink()).unwrap();
    assert_eq!(read, gib << 30);
    storage.remove(&key).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!("{gib} GiB up and down in {seconds:.0} s, with at most {} MiB of memory", peak_mib());
}

fn main() {
    let mut server = Sshd::start().expect("OpenSSH's server is not installed");
    let address = |server: &Sshd| server.address(&server.path("repository"));
    let near = SftpStorage::create(&address(&server), &server.options()).unwrap();
    if let Some(gib) = std::env::args().nth(1) {
        return large(&near, &server.path(""), gib.parse().unwrap());
    }
    measure("near", &near);
    server.reach_at(far(server.socket()));
    measure("50ms", &SftpStorage::open(&address(&server), &server.options()).unwrap());
}
