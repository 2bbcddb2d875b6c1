//! Buckets of S3, and of stores that speak it.
//!
//! Requests of each operation:
//!
//! | operation | requests |
//! |---|---|
//! | an object of up to one part | 1 `PUT`; where taken keys are only looked for, a `HEAD` before it |
//! | a larger one | 2 `POST` and a `PUT` for each part; where taken keys are only looked for, 2 `HEAD` |
//! | read | 1 `GET` |
//! | stat | 1 `HEAD` |
//! | listing | 1 `GET` for 1,000 names; 1 `HEAD` for each file of Litestream's, once in a process |
//! | removal | 2 `HEAD`, 1 `DELETE` |
//! | sweep | 1 `GET` for 1,000 unfinished uploads; for each old one a `GET` and a `DELETE` |

mod client;
mod create;
mod dates;
mod dialect;
mod endpoint;
mod listing;
mod open;
mod options;
mod parts;
mod read;
mod refusal;
mod resumable;
mod signature;
mod sweep;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

pub(crate) use self::client::Authority;
use self::client::Client;
use self::dates::Dates;
use crate::http::{Call, Response, parse_http_date};
use crate::remote::{Attempt, Depth, NewObject, Opened, Page, Remote};
use crate::times::parse_rfc3339;
use crate::{Cause, CreateNew, Entry, Failure, Key, Patience, xml};

pub(crate) use self::dialect::Dialect;
pub use self::endpoint::Addressing;
pub(crate) use self::open::{Access, open};
pub use self::open::{BucketAddress, s3};
pub use self::options::{LockMode, ObjectLock, S3Options};

/// Where an object's own time is kept, as Litestream does.
const TIMESTAMP: &str = "meta-litestream-timestamp";

/// Objects in a bucket, below a prefix.
#[derive(Debug)]
struct S3 {
    client: Client,
    /// For messages.
    location: String,
    /// `""`, or what ends in `/`.
    prefix: String,
    storage_class: Option<String>,
    object_lock: Option<ObjectLock>,
    never_locked: &'static [&'static str],
    part_bytes: u64,
    parts_at_once: NonZeroUsize,
    /// Whether taken keys are only looked for.
    checks: AtomicBool,
    dates: Dates,
}

impl S3 {
    /// The name of an object in the bucket.
    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What the names of all objects below a directory begin with.
    fn names_below(&self, directory: Option<&Key>) -> String {
        match directory {
            None => self.prefix.clone(),
            Some(directory) => format!("{}{directory}/", self.prefix),
        }
    }

    /// The head of an object; `None` if there is none.
    fn head(&self, key: &Key) -> Attempt<Option<Response>> {
        let name = self.name(key);
        match self.client.send(&Call::new("HEAD", &name))? {
            Ok(response) => Ok(Some(response)),
            Err(refusal) if refusal.status == 404 => Ok(None),
            // Its answer has no body that could say why.
            Err(refusal) if matches!(refusal.status, 301 | 307 | 400 | 403) => {
                let told =
                    self.client.send(&Call::new("GET", &name).header("range", "bytes=0-0"))?;
                Err(told.err().unwrap_or(refusal).into())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// When an object was written, or the time that it was given.
    fn modified(&self, head: &Response) -> Attempt<SystemTime> {
        let given = head.header(&self.client.dialect.header(TIMESTAMP)).and_then(parse_rfc3339);
        given
            .or_else(|| parse_http_date(head.header("last-modified")?))
            .ok_or_else(|| xml::missing("the time of an object"))
    }
}

impl Remote for S3 {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn create_new(&self) -> CreateNew {
        if self.checks.load(Ordering::Relaxed) { CreateNew::Checked } else { CreateNew::Refused }
    }

    fn check_before_creating(&self) -> bool {
        self.checks.store(true, Ordering::Relaxed);
        true
    }

    fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        self.create_object(object, patience)
    }

    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>> {
        self.open_object(key, &range, version)
    }

    fn stat(&self, key: &Key) -> Attempt<Option<Entry>> {
        let Some(head) = self.head(key)? else { return Ok(None) };
        let size = head.length().ok_or_else(|| xml::missing("the size of an object"))?;
        Ok(Some(Entry { key: key.clone(), size, modified: self.modified(&head)? }))
    }

    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page> {
        let prefix = self.names_below(directory);
        let mut call = Call::new("GET", "")
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("prefix", &prefix);
        if let Some(from) = from {
            call = call.query("continuation-token", from);
        }
        if depth == Depth::Children {
            call = call.query("delimiter", "/");
        }
        let answer = self.client.succeed(&call)?.text(xml::MAX_BYTES)?;
        let mut listed = listing::parse(&answer, &self.prefix)?;
        if depth == Depth::All {
            self.date(&mut listed)?;
        }
        Ok(listed.page)
    }

    fn remove(&self, key: &Key) -> Attempt<()> {
        match self.client.send(&Call::new("DELETE", &self.name(key)))? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing() => Ok(()),
            Err(mut refusal) => {
                if refusal.failure.cause == Cause::Denied && self.is_about_a_lock(&refusal.failure)
                {
                    refusal.failure.cause = Cause::Protected;
                }
                Err(refusal.into())
            }
        }
    }

    fn sweep(&self, older_than: Duration) -> Attempt<u64> {
        // Sessions end by themselves.
        if !self.client.dialect.creates_new_in_parts {
            return Ok(0);
        }
        self.sweep_uploads(older_than)
    }
}

impl S3 {
    fn is_about_a_lock(&self, failure: &Failure) -> bool {
        let message = failure.message.to_ascii_lowercase();
        self.object_lock.is_some()
            || ["object lock", "worm", "retention", "legal hold"]
                .iter()
                .any(|word| message.contains(word))
    }
}
