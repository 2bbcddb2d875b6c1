//! One backup into three buckets, each with 50 ms before each request.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_servers::proxy::{Fault, Proxy};
use lifeboat_servers::s3::store::{BUCKET, Store};
use lifeboat_servers::s3::{KEY_ID, SECRET, serve};
use tempfile::TempDir;

const NAMES: [&str; 3] = ["one", "two", "three"];
const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) \
                    INSERT INTO t SELECT hex(randomblob(500)) FROM n;";

fn run(program: &Path, home: &Path, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home).stdout(Stdio::null());
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

fn sql(home: &Path, text: &str) {
    run(Path::new("sqlite3"), home, &["app.db", text]);
}

/// Bytes that do not compress.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(1 << 20).flatten().collect()
}

/// Prints how long a first backup and one of what changed take with a program, and what is asked of all buckets.
pub(crate) fn measure(program: &Path) {
    let home = TempDir::new().unwrap();
    let home = home.path();
    let proxies = NAMES.map(|_| Proxy::start(serve(&Store::default(), true, None)));
    let mut config =
        "[database.app]\npath = 'app.db'\n[files.media]\npaths = ['media']\n".to_owned();
    fs::create_dir_all(home.join(".config/lifeboat")).unwrap();
    fs::write(home.join(".config/lifeboat/password"), "correct battery staple\n").unwrap();
    for (name, proxy) in NAMES.iter().zip(&proxies) {
        config += &format!(
            "[repository.{name}]\nurl = 's3://{BUCKET}/{name}'\nendpoint = 'http://{}'\n\
             access-key = '{KEY_ID}'\nsecret-key = '{SECRET}'\n",
            proxy.address
        );
    }
    fs::write(home.join("lifeboat.toml"), config).unwrap();
    for name in NAMES {
        run(program, home, &["init", "-r", name]);
    }
    sql(home, &format!("PRAGMA journal_mode=wal; CREATE TABLE t(x); {ROWS}"));
    fs::create_dir(home.join("media")).unwrap();
    for number in 0..16 {
        fs::write(home.join(format!("media/{number}")), noise(number + 1)).unwrap();
    }
    for proxy in &proxies {
        proxy.decide(|_| Some(Fault::Delay(Duration::from_millis(50))));
    }
    for what in ["first", "changed"] {
        proxies.iter().for_each(|proxy| drop(proxy.take_seen()));
        let began = Instant::now();
        run(program, home, &["backup"]);
        let seconds = began.elapsed().as_secs_f64();
        let seen: Vec<_> = proxies.iter().flat_map(Proxy::take_seen).collect();
        let reads = seen.iter().filter(|head| head.method == "GET").count();
        println!(
            "{}: {what} {seconds:.2} s, {} requests, {reads} of them GET",
            program.display(),
            seen.len()
        );
        sql(home, "UPDATE t SET x = hex(randomblob(500)) WHERE rowid % 100 = 0;");
        fs::write(home.join("media/new"), noise(99)).unwrap();
    }
}
