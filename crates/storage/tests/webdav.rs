//! WebDAV, against rclone's server and against one that misbehaves; and `rclone:` itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "says which test was skipped")]

#[path = "webdav/dav.rs"]
mod dav;
#[path = "webdav/faults.rs"]
mod faults;
#[path = "webdav/rclone.rs"]
mod rclone;
#[path = "webdav/real.rs"]
mod real;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_servers::http as server;
use lifeboat_storage::conformance::{Promises, Times};
use lifeboat_storage::{
    CreateNew, Environment, Error, HttpOptions, Patience, RemoteOptions, Storage, WebDavOptions,
    webdav,
};

/// Whether a tool is here. Where LIFEBOAT_REQUIRE_ORACLES is set, it must be.
fn have(tool: &str) -> bool {
    let run = Command::new(tool).arg("version").stdout(Stdio::null()).status();
    if run.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{tool} is missing");
    println!("skipped: {tool} is missing");
    false
}

/// With an environment that says nothing.
fn open(url: &str, options: &WebDavOptions) -> Result<Arc<dyn Storage>, Error> {
    webdav(url, &Environment::new(|_| None), options)
}

fn remote_options() -> RemoteOptions {
    let patience = Patience {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(50),
        total: Duration::from_secs(60),
    };
    RemoteOptions { patience, ..RemoteOptions::default() }
}

fn options() -> WebDavOptions {
    WebDavOptions {
        password: Some("open sesame".to_owned().into()),
        http: HttpOptions { proxy_from_environment: false, ..HttpOptions::default() },
        remote: remote_options(),
        ..WebDavOptions::default()
    }
}

/// What rclone of Debian 12 promises, which knows no times that are given.
const PROMISES: Promises = Promises { create_new: CreateNew::Checked, times: Times::NotKept };
