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

use lifeboat_storage::{
    Environment, Error, HttpOptions, Patience, RemoteOptions, Storage, WebDavOptions, webdav,
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

/// What a store must do whose times are whole seconds.
const PROPERTIES: [fn(&std::sync::Arc<dyn lifeboat_storage::Storage>); 15] = {
    use lifeboat_storage::conformance::*;
    [
        an_object_reads_as_written,
        a_taken_key_is_refused,
        nothing_is_visible_before_publish,
        a_dropped_upload_leaves_nothing,
        ranges_are_cut_to_the_object,
        an_empty_object_is_an_object,
        a_large_object_reads_as_written,
        a_missing_object_is_told_apart,
        a_listing_is_recursive_and_sorted,
        names_are_the_direct_children,
        a_long_listing_is_complete,
        a_removed_object_is_gone,
        odd_names_are_kept_apart,
        of_concurrent_creators_one_wins,
        an_open_reader_survives_a_removal,
    ]
};
