//! Creates objects.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::S3;
use super::TIMESTAMP;
use super::refusal::Refusal;
use crate::http::{Body, Call, Response};
use crate::remote::{Attempt, NewObject};
use crate::times::{in_days, rfc3339};
use crate::{Cause, Failure, Patience};

impl S3 {
    /// `false` if its name is taken.
    pub(super) fn create_object(
        &self,
        object: &NewObject<'_>,
        patience: &Patience,
    ) -> Attempt<bool> {
        let NewObject { key, content, modified } = *object;
        let name = &*self.name(key);
        if self.only_looks() && self.is_taken(name)? {
            return Ok(false);
        }
        let headers = self.headers(name, modified);
        if content.size() > self.part_bytes {
            return if self.client.dialect.creates_new_in_parts {
                self.create_of_parts(name, content, &headers, patience)
            } else {
                self.create_in_session(name, content, &headers, patience)
            };
        }
        let put = || {
            let body = Body::Content(content, 0..content.size());
            Call::new("PUT", name).headers(&headers).body(body).checksum(self.has_checksums())
        };
        match self.create_new(name, put)? {
            None => Ok(false),
            Some(answer) => answer.map(|_| true).map_err(Failure::from),
        }
    }

    /// Sends what creates an object, on the condition that there is none; `None` if there is one. A store that
    /// knows no conditions is looked at instead.
    pub(super) fn create_new<'a>(
        &self,
        name: &str,
        call: impl Fn() -> Call<'a>,
    ) -> Attempt<Option<Result<Response, Refusal>>> {
        if self.only_looks() {
            return self.client.send(&call()).map(Some);
        }
        let (header, value) = self.client.dialect.create_new;
        match self.client.send(&call().header(header, value))? {
            Err(refusal) if refusal.is_taken() => Ok(None),
            Err(refusal) if refusal.is_unknown_condition() => {
                self.checks.store(true, Ordering::Relaxed);
                if self.is_taken(name)? {
                    return Ok(None);
                }
                self.client.send(&call()).map(Some)
            }
            other => Ok(Some(other)),
        }
    }

    pub(super) fn only_looks(&self) -> bool {
        self.checks.load(Ordering::Relaxed)
    }

    /// Whether a checksum goes with what is stored.
    pub(super) fn has_checksums(&self) -> bool {
        self.object_lock.is_some() && self.client.dialect.wants_checksums
    }

    pub(super) fn is_taken(&self, name: &str) -> Attempt<bool> {
        match self.client.send(&Call::new("HEAD", name))? {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.status == 404 => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// What is stored beside an object.
    fn headers(&self, name: &str, modified: Option<SystemTime>) -> Vec<(String, String)> {
        let dialect = self.client.dialect;
        let mut headers = Vec::new();
        if let Some(modified) = modified {
            headers.push((dialect.header(TIMESTAMP), rfc3339(modified)));
        }
        if let Some(class) = &self.storage_class {
            headers.push((dialect.header("storage-class"), class.clone()));
        }
        if let Some(lock) = self.object_lock.filter(|_| !self.is_never_locked(name)) {
            let until = rfc3339(in_days(lock.days));
            headers.push((dialect.header("object-lock-mode"), lock.mode.name().to_owned()));
            headers.push((dialect.header("object-lock-retain-until-date"), until));
        }
        headers
    }

    fn is_never_locked(&self, name: &str) -> bool {
        let key = name.strip_prefix(&self.prefix).unwrap_or(name);
        self.never_locked.iter().any(|start| key.starts_with(start))
    }
}

/// The end of an upload whose completion nobody answered, and whose name is taken since: by us, it may be. Who asked
/// for it compares what is there.
pub(super) fn taken_by_us_maybe() -> Failure {
    Failure::new(Cause::Interrupted, "the answer that tells of its completion was lost")
}
