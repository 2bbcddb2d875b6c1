//! A host over SFTP, at once and with a round trip of 50 ms.

use std::fs::File;
use std::io::{Read, Write, copy, sink};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_servers::sshd::Sshd;
use lifeboat_storage::{FileContent, Key, SftpStorage, Storage};

use crate::measure;

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

/// The most memory that this process had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn server() -> Sshd {
    Sshd::start().expect("OpenSSH's server is not installed")
}

fn create(server: &Sshd) -> SftpStorage {
    let address = server.address(&server.path("repository"));
    SftpStorage::create(&address, &server.options()).unwrap()
}

pub(crate) fn measure_near_and_far() {
    let mut server = server();
    measure("near", &create(&server));
    server.reach_at(far(server.socket()));
    measure("50ms", &create(&server));
}

/// A file without content takes no room here, and as much there as any.
pub(crate) fn measure_large(gib: u64) {
    let server = server();
    let (storage, path) = (create(&server), server.path("hole"));
    let file = File::create_new(&path).unwrap();
    file.set_len(gib << 30).unwrap();
    let content = FileContent::new(File::open(&path).unwrap()).unwrap();
    let key: Key = "many-gib".parse().unwrap();
    let began = Instant::now();
    storage.put_content(&key, &content, None).unwrap();
    let read = copy(&mut storage.read(&key, None).unwrap(), &mut sink()).unwrap();
    assert_eq!(read, gib << 30);
    let seconds = began.elapsed().as_secs_f64();
    println!("{gib} GiB up and down in {seconds:.0} s, with at most {} MiB of memory", peak_mib());
}
