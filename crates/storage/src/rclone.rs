//! Objects in whatever the owner's rclone reaches: `rclone:remote:path`.
//!
//! `rclone serve webdav` is started as a child, on a free port of 127.0.0.1, behind a user and a password
//! that are drawn for it and passed in its environment; what is said to it is [WebDAV](crate::webdav()).
//! It ends with the storage, and when this process is killed: a shell between the two waits at a pipe that
//! only this process holds, so nothing is needed for that besides `sh`. Should it die by itself, it is started
//! again, once in a row.
//!
//! What was looked at, in rclone 1.60 (Debian 12) and in the code of newer versions:
//!
//! - With `--vfs-cache-mode off`, `PUT` streams to the remote, and is answered after the remote took the
//!   last byte; whatever fails until then is answered with an error. With `writes` it is answered at once and
//!   sent later: an object would be called durable that is only here. So the mode is set, whatever the owner's
//!   configuration says.
//! - A `PUT` that is cut off leaves what came, under its name, as if that were all. So all goes to `tmp/`
//!   and is moved, which is why the remote must know how to move or to copy by itself.
//! - rclone makes nothing more durable than the remote does: a local directory is not fsynced by it.
//! - What rclone listed it answers from for `--dir-cache-time`: a second, so that other hosts are seen after
//!   that. With 0 every request lists each directory of its path again, five times for each object that
//!   is created.
//! - `MOVE` with `Overwrite: F` is refused where the name is taken, also of two at once in one rclone;
//!   between two hosts nobody refuses.
//! - What the remote refuses comes as 403, 404, 405 or 500, without its reason, which rclone writes to its log:
//!   the end of that is part of the error, and shows whether it may pass.
//! - 1.60 has no `X-OC-Mtime`: given times are not kept.

mod child;
mod log;
mod options;
mod refusal;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::options::RcloneOptions;

use self::child::Child;
use crate::remote::{Attempt, Depth, NewObject, Opened, Page, Remote, RemoteStorage};
use crate::webdav::WebDav;
use crate::{Cause, CreateNew, Entry, Environment, Error, Failure, Key, Patience, Result, Storage};

/// Objects at `rclone:remote:path`, whose rclone is started.
///
/// [`Cause::Invalid`] for an address that is none, or where there is no rclone, or a remote it does not know.
pub fn rclone(url: &str, options: &RcloneOptions) -> Result<Arc<dyn Storage>> {
    let remote = RcloneRemote::start(url, options).map_err(|failure| Error::Storage {
        operation: "start",
        object: "rclone".to_owned(),
        location: url.to_owned(),
        source: failure.into(),
    })?;
    Ok(Arc::new(RemoteStorage::new(remote, options.remote.clone())))
}

/// A remote, and the rclone that reaches it.
struct RcloneRemote {
    remote: String,
    options: RcloneOptions,
    serving: Mutex<Serving>,
}

struct Serving {
    server: Arc<Server>,
    /// How often it died since something came through.
    deaths: u32,
}

/// A child and what is said to it.
struct Server {
    child: Child,
    dav: WebDav,
}

impl fmt::Debug for RcloneRemote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rclone").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl Server {
    fn start(remote: &str, options: &RcloneOptions) -> Attempt<Self> {
        let child = Child::start(remote, options)?;
        let nothing = Environment::new(|_| None);
        let dav = WebDav::new(child.url(), &nothing, &child.webdav_options())?;
        Ok(Self { child, dav })
    }
}

impl RcloneRemote {
    fn start(url: &str, options: &RcloneOptions) -> Attempt<Self> {
        let invalid = |what| Err(Failure::new(Cause::Invalid, what));
        let Some(remote) = url.strip_prefix("rclone:") else {
            return invalid("it does not begin with rclone:");
        };
        if remote.is_empty() || remote.starts_with('-') {
            return invalid("no remote is named after rclone:");
        }
        let server = Arc::new(Server::start(remote, options)?);
        let serving = Mutex::new(Serving { server, deaths: 0 });
        Ok(Self { remote: remote.to_owned(), options: options.clone(), serving })
    }

    /// Asks the rclone that runs. What fails gets the end of its log.
    fn ask<T>(&self, ask: impl FnOnce(&WebDav) -> Attempt<T>) -> Attempt<T> {
        let server = self.server()?;
        let written = server.child.log_length();
        match ask(&server.dav) {
            Ok(answer) => {
                self.serving.lock().unwrap_or_else(PoisonError::into_inner).deaths = 0;
                Ok(answer)
            }
            Err(failure) => Err(explained(failure, &server.child, written)),
        }
    }

    /// The rclone that runs; started again if it died.
    fn server(&self) -> Attempt<Arc<Server>> {
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        if serving.server.child.is_alive() {
            return Ok(Arc::clone(&serving.server));
        }
        if serving.deaths > 0 {
            let told = serving.server.child.log_since(0);
            return Err(Failure::new(
                Cause::Protocol,
                format!("rclone died again and again: {told}"),
            ));
        }
        serving.deaths += 1;
        serving.server = Arc::new(Server::start(&self.remote, &self.options)?);
        Ok(Arc::clone(&serving.server))
    }
}

/// A failure with what rclone wrote meanwhile.
fn explained(mut failure: Failure, child: &Child, written: u64) -> Failure {
    if !child.is_alive() {
        failure.cause = Cause::Interrupted;
        failure.message = format!("rclone died: {}", child.log_since(0));
        return failure;
    }
    let told = child.log_since(written);
    if told.contains("server-side Move") {
        failure.cause = Cause::Invalid;
        failure.message = "this remote can neither move nor copy by itself".to_owned();
    } else if matches!(failure.cause, Cause::Denied | Cause::Invalid | Cause::Unavailable) {
        // Which of the remote's failures this stands for, its log alone can tell: most of them pass.
        failure.cause = refusal::lasting(&told).unwrap_or(Cause::Unavailable);
    }
    if !told.is_empty() {
        failure.message = format!("{}; rclone says: {told}", failure.message);
    }
    failure
}

impl Remote for RcloneRemote {
    fn location(&self) -> String {
        format!("rclone:{}", self.remote)
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Checked
    }

    fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        self.ask(|dav| dav.create(object, patience))
    }

    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>> {
        self.ask(|dav| dav.open(key, range, version))
    }

    fn stat(&self, key: &Key) -> Attempt<Option<Entry>> {
        self.ask(|dav| dav.stat(key))
    }

    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page> {
        self.ask(|dav| dav.list(directory, depth, from))
    }

    fn remove(&self, key: &Key) -> Attempt<()> {
        self.ask(|dav| dav.remove(key))
    }

    fn sweep(&self, older_than: Duration) -> Attempt<u64> {
        self.ask(|dav| dav.sweep(older_than))
    }

    fn free_bytes(&self) -> Attempt<Option<u64>> {
        self.ask(WebDav::free_bytes)
    }
}
