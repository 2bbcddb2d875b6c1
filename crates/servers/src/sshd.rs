//! OpenSSH's server, as a test starts it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lifeboat_storage::{Key, SftpAddress, SftpOptions};

const SSHD: &str = "/usr/sbin/sshd";
const SUBSYSTEM: &str = "Subsystem sftp internal-sftp";

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Whether a program is here. Where LIFEBOAT_REQUIRE_ORACLES is set, it must be.
pub fn have(program: &str) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{program} is missing");
    println!("skipped: {program} is missing");
    false
}

pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")) == "0"
}

/// What a program prints, which must succeed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A server on a port of its own, with its keys; ended when dropped.
pub struct Sshd {
    directory: tempfile::TempDir,
    port: u16,
    daemon: Child,
}

impl Sshd {
    /// `None` where OpenSSH's server is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(SUBSYSTEM)
    }

    pub fn start_with(subsystem: &str) -> Option<Self> {
        if !have(SSHD) {
            return None;
        }
        if is_root() {
            // Its unprivileged part lives there.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        for name in ["host_key", "user_key", "other_key"] {
            make_key(&directory.path().join(name));
        }
        fs::copy(directory.path().join("user_key.pub"), directory.path().join("authorized_keys"))
            .unwrap();
        // Another process may take the port before the server does.
        let (port, daemon) = (0..20).find_map(|_| daemon(directory.path(), subsystem)).unwrap();
        let server = Self { directory, port, daemon };
        server.know("host_key");
        Some(server)
    }

    /// Makes a key the known one of the host.
    pub fn know(&self, name: &str) {
        let key = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(self.path("known_hosts"), line).unwrap();
    }

    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Has it reached at another port from now on, whoever passes on what comes there.
    pub fn reach_at(&mut self, port: u16) {
        self.port = port;
        self.know("host_key");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn address(&self, path: &Path) -> SftpAddress {
        let user = output(Command::new("id").arg("-un"));
        let text = format!("sftp://{user}@127.0.0.1:{}{}", self.port, path.display());
        SftpAddress::parse(&text).unwrap()
    }

    pub fn options(&self) -> SftpOptions {
        SftpOptions {
            key: Some(self.path("user_key")),
            known_hosts: Some(self.path("known_hosts")),
            ..SftpOptions::default()
        }
    }

    /// Ends all connections at once, as when the machine goes off; new ones are taken.
    pub fn cut(&self) {
        let sessions = descendants(self.daemon.id());
        assert!(!sessions.is_empty(), "nobody is connected");
        let mut kill = Command::new("kill");
        kill.arg("-KILL").args(sessions.iter().map(u32::to_string)).stderr(Stdio::null());
        // Some end because others do.
        kill.status().unwrap();
    }

    /// Takes no new connections, and ends those there are.
    pub fn stop(&mut self) {
        self.cut();
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn make_key(path: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    output(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
}

/// A daemon that listens; `None` if the port was taken.
fn daemon(directory: &Path, subsystem: &str) -> Option<(u16, Child)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = directory.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {path}/host_key\nPidFile none\n\
         AuthorizedKeysFile {path}/authorized_keys\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin yes\nStrictModes no\nUsePAM no\n\
         MaxStartups 100\n{subsystem}\n"
    );
    let file = directory.join("sshd_config");
    fs::write(&file, config).unwrap();
    let mut daemon = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(daemon.stderr.take().unwrap());
    let mut line = String::new();
    while words.read_line(&mut line).unwrap() > 0 {
        if line.contains("Server listening on") {
            // It waits when nobody reads what it says.
            std::thread::spawn(move || words.lines().for_each(drop));
            return Some((port, daemon));
        }
    }
    daemon.wait().unwrap();
    assert!(line.contains("Bind to port"), "{line}");
    None
}

/// All processes below one.
fn descendants(process: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
            let id = stat.split_once(' ')?.0.parse().ok()?;
            // After the name in parentheses: state, parent.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect();
    let mut found = vec![process];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, above)| *above == parent).map(|(id, _)| *id));
        at += 1;
    }
    found.split_off(1)
}
