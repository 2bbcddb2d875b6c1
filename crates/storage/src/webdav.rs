//! Objects on a WebDAV server (RFC 4918): Nextcloud, Apache, nginx with its dav-ext module, a NAS, rclone.
//! (dav-ext lists no name that begins with a dot.)
//!
//! An object is a file, its key the path below the address. Creating one is, in this order:
//!
//! 1. its key is looked at, because a server may not know `Overwrite: F`, or forget it;
//! 2. the collections of its key, and `tmp/`, are made where missing, once per process;
//! 3. `PUT` to a random name in `tmp/`. A server that loses the connection meanwhile keeps what it has, under
//!    the name it was given: so no object is ever put under its own name;
//! 4. `MOVE` to its name, with `Overwrite: F`. Servers look and then rename: two hosts that publish one
//!    key at the same moment may both succeed, which is [`CreateNew::Checked`].
//!
//! What a server says that it has, it has: whether that is on its disk is for the server to care for.
//!
//! What was cut off stays in `tmp/`, which no listing shows, until a sweep finds it.
//!
//! A listing asks for each collection by itself (`Depth: 1`): many servers refuse `Depth: infinity`, and some
//! answer it from memory that runs out. Times are whole seconds; a given time is sent as `X-OC-Mtime`,
//! which Nextcloud, ownCloud and newer versions of rclone obey and others ignore.
//!
//! Requests of each operation, once its collections are known:
//!
//! | operation | requests |
//! |---|---|
//! | an object | 1 `PROPFIND`, `PUT`, `MOVE` |
//! | read | 1 `GET` |
//! | stat | 1 `PROPFIND` |
//! | listing | 1 `PROPFIND` for each collection, four at once |
//! | removal | 2 `PROPFIND`, 1 `DELETE` |
//! | a new collection | 1 `MKCOL`; two more for each one above it that is missing |
//! | sweep | 1 `PROPFIND`; 1 `DELETE` for each old file |

mod address;
mod collections;
mod create;
mod listing;
mod multistatus;
mod options;
mod read;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use self::options::WebDavOptions;

use self::address::Address;
use self::collections::Collections;
use self::multistatus::Resource;
use crate::http::{Body, Http, Request, Response};
use crate::remote::{Attempt, Depth, NewObject, Opened, Page, Remote, RemoteStorage};
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, CreateNew, Entry, Environment, Error, Failure, Key, Patience, Result, Storage};

/// What is asked for of each file and collection.
const PROPERTIES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/>\
    <D:getlastmodified/><D:quota-available-bytes/></D:prop></D:propfind>";

/// How far below an address a server looks.
#[derive(Clone, Copy)]
enum Levels {
    Itself,
    Children,
}

/// Objects on the WebDAV server at `webdav://user@host/path` (plain), `webdavs://user@host/path` (TLS), or the
/// same with `http` and `https`. Nothing is sent yet.
///
/// What the options leave open is looked up: the password in `LIFEBOAT_WEBDAV_PASSWORD`, a token in
/// `LIFEBOAT_WEBDAV_TOKEN`. [`Cause::Invalid`] for an address that is none, or has a password in it;
/// [`Cause::Local`] if the file of certificates cannot be read.
pub fn webdav(
    url: &str,
    environment: &Environment,
    options: &WebDavOptions,
) -> Result<Arc<dyn Storage>> {
    let remote = WebDav::new(url, environment, options).map_err(|failure| Error::Storage {
        operation: "open",
        object: "the address".to_owned(),
        location: address::shown(url),
        source: failure.into(),
    })?;
    Ok(Arc::new(RemoteStorage::new(remote, options.remote.clone())))
}

/// One server, one address.
pub(crate) struct WebDav {
    http: Http,
    address: Address,
    authorization: Option<SecretString>,
    collections: Collections,
}

impl std::fmt::Debug for WebDav {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebDav").field("address", &self.address).finish_non_exhaustive()
    }
}

impl WebDav {
    pub(crate) fn new(
        url: &str,
        environment: &Environment,
        options: &WebDavOptions,
    ) -> Attempt<Self> {
        let address = Address::parse(url, options.endpoint.as_deref())?;
        let authorization = options.authorization(address.user(), environment);
        let http = Http::new(&options.http)?;
        Ok(Self { http, address, authorization, collections: Collections::default() })
    }

    fn request<'a>(&self, method: &'static str, url: String) -> Request<'a> {
        let request = Request::new(method, url).without_redirects();
        match &self.authorization {
            Some(value) => request.secret_header("authorization", value.expose_secret()),
            None => request,
        }
    }

    /// What the server tells about an address, with its children where they are asked for, collections with a
    /// slash at the end of theirs. `None` if nothing is there.
    fn properties(&self, url: String, levels: Levels) -> Attempt<Option<Vec<Resource>>> {
        let depth = match levels {
            Levels::Itself => "0",
            Levels::Children => "1",
        };
        let request = self
            .request("PROPFIND", url)
            .header("depth", depth)
            .header("content-type", "application/xml; charset=utf-8")
            .body(Body::Bytes(PROPERTIES.as_bytes().to_vec()));
        let response = self.http.send(request)?;
        match response.status() {
            207 => multistatus::parse(response.into_reader()).map(Some),
            // With its slash, it is a collection: what was asked for as a file is none.
            301 | 302 | 307 | 308 | 404 | 410 => Ok(None),
            405 | 501 => Err(Failure::new(
                Cause::Invalid,
                format!("{}: no WebDAV server, or not at this path", response.status()),
            )),
            _ => Err(refused(response)),
        }
    }

    /// The file of a key.
    fn file(&self, key: &Key) -> Attempt<Option<Resource>> {
        let found = match self.properties(self.address.file(key.as_str()), Levels::Itself) {
            Err(failure) if self.is_below_a_file(key, &failure)? => None,
            found => found?,
        };
        let resource = found.and_then(|resources| resources.into_iter().next());
        Ok(resource.filter(|resource| !resource.is_collection))
    }

    /// Whether a key is refused because it is below a file: Apache calls that a bad request.
    fn is_below_a_file(&self, key: &Key, failure: &Failure) -> Attempt<bool> {
        match key.parent() {
            Some(parent) if failure.cause == Cause::Invalid => Ok(self.file(&parent)?.is_some()),
            _ => Ok(false),
        }
    }

    fn delete(&self, url: String) -> Attempt<bool> {
        let response = self.http.send(self.request("DELETE", url))?;
        match response.status() {
            200 | 202 | 204 => Ok(true),
            404 | 410 => Ok(false),
            _ => Err(refused(response)),
        }
    }
}

/// The failure that an answer is. What is locked is being changed by another request.
fn refused(response: Response) -> Failure {
    let status = response.status();
    let failure = response.into_failure();
    match status {
        423 => Failure { cause: Cause::Unavailable, ..failure },
        301 | 302 | 307 | 308 => Failure {
            cause: Cause::Invalid,
            message: format!("{}: this is at another address", failure.message),
            ..failure
        },
        _ => failure,
    }
}

impl Remote for WebDav {
    fn location(&self) -> String {
        self.address.to_string()
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Checked
    }

    fn create(&self, object: &NewObject<'_>, _: &Patience) -> Attempt<bool> {
        create::create(self, object)
    }

    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>> {
        read::open(self, key, range, version)
    }

    fn stat(&self, key: &Key) -> Attempt<Option<Entry>> {
        let found = self.file(key)?;
        found.map(|resource| resource.entry(key.clone())).transpose()
    }

    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page> {
        listing::page(self, directory, depth, from)
    }

    fn remove(&self, key: &Key) -> Attempt<()> {
        self.delete(self.address.file(key.as_str())).map(drop)
    }

    fn sweep(&self, older_than: Duration) -> Attempt<u64> {
        listing::sweep(self, older_than)
    }

    fn free_bytes(&self) -> Attempt<Option<u64>> {
        let found = self.properties(self.address.collection(""), Levels::Itself)?;
        Ok(found.and_then(|resources| resources.first()?.free_bytes))
    }
}
