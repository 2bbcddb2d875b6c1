//! Places for repositories, each on a server of its own.

use std::net::{SocketAddr, TcpListener};

use lifeboat_servers::drive::Emulator;
use lifeboat_servers::proxy::Proxy;
use lifeboat_servers::s3::store::{Store, Traits};
use lifeboat_servers::s3::{KEY_ID, SECRET, serve};
use lifeboat_servers::sshd::Sshd;

use crate::common::{Database, Home, Ran, require_tool};

/// What holds a place open.
pub(crate) enum Server {
    S3(Bucket),
    Sftp(Sshd),
    Rclone,
    Drive(Emulator),
}

/// A bucket, and what stands in front of it.
pub(crate) struct Bucket {
    pub(crate) store: Store,
    pub(crate) proxy: Proxy,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self::of(Store::default())
    }

    pub(crate) fn with(traits: Traits) -> Self {
        Self::of(Store::new(traits))
    }

    /// A server for a store of which there may be others.
    pub(crate) fn of(store: Store) -> Self {
        let proxy = Proxy::start(serve(&store, true, None));
        Self { store, proxy }
    }

    /// What stands in `[repository.NAME]`.
    pub(crate) fn table(&self) -> String {
        format!("url = 's3://bucket/some/prefix'\n{}", self.access())
    }

    /// How it is reached.
    pub(crate) fn access(&self) -> String {
        access(self.proxy.address)
    }
}

/// How a server of S3 is reached, with little patience for it.
pub(crate) fn access(server: SocketAddr) -> String {
    format!(
        "endpoint = 'http://{server}'\nregion = 'eu-test-1'\naccess-key = '{KEY_ID}'\n\
         secret-key = '{SECRET}'\nretry = '10ms'\n"
    )
}

/// Where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// What stands in `[repository.NAME]`.
    pub(crate) fn table(&self, home: &Home) -> String {
        match self {
            Self::S3(bucket) => bucket.table(),
            Self::Sftp(sshd) => format!(
                "url = '{}'\nssh-key = '{}'\nknown-hosts = '{}'\nretry = '10ms'\n",
                sshd.address(&home.path("over/sftp")),
                sshd.path("user_key").display(),
                sshd.path("known_hosts").display(),
            ),
            Self::Rclone => format!(
                "url = 'rclone:box:{}'\nrclone-config = 'rclone.conf'\n",
                home.path("over/rclone").display()
            ),
            Self::Drive(emulator) => format!(
                "url = 'gdrive://Lifeboat'\nendpoint = '{}'\ntoken-file = '{}'\n",
                emulator.server.url(),
                emulator.token_file().display(),
            ),
        }
    }
}

pub(crate) fn require_rclone() -> bool {
    require_tool("rclone")
}

/// A database among files, and repositories with these names and tables; all of them are made.
pub(crate) fn configure(home: &Home, repositories: &[(&str, String)]) -> Database {
    let database = Database::create(&home.path("app/data/app.db"), "wal", 60);
    home.write("app/notes.txt", "one\ntwo\n");
    home.write("app/large.bin", (0_u32..50_000).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    write_config(home, repositories);
    for (name, _) in repositories {
        home.ok(&["init", "-r", name]);
    }
    database
}

pub(crate) fn write_config(home: &Home, repositories: &[(&str, String)]) {
    let mut config = String::from(
        "host = 'box'\n[database.app]\npath = 'app/data/app.db'\n[files.notes]\npaths = ['app']\n",
    );
    home.write(".config/lifeboat/password", "correct battery staple\n");
    for (name, table) in repositories {
        config += &format!("[repository.{name}]\n{table}\n");
    }
    home.write("lifeboat.toml", config);
}

/// The last line of what a run with `--json` has printed.
#[track_caller]
pub(crate) fn summary(ran: &Ran) -> serde_json::Value {
    let line = ran.out.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}
