//! Creates large objects of parts.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::S3;
use super::client::Call;
use super::refusal::Refusal;
use crate::http::Body;
use crate::remote::Attempt;
use crate::{Cause, Content, Failure, Patience, xml};

/// No store takes more.
const MAX_PARTS: u64 = 10_000;

/// What the store said of a part.
#[derive(Clone, Debug)]
struct Part {
    tag: String,
    checksum: Option<String>,
}

/// How an upload ended.
enum End {
    Created,
    Taken,
    /// The store knows it no longer.
    Gone,
}

impl S3 {
    /// `false` if its name is taken. An upload that failed is aborted, unless it may still come through.
    pub(super) fn create_of_parts(
        &self,
        name: &str,
        content: &dyn Content,
        headers: &[(String, String)],
        patience: &Patience,
    ) -> Attempt<bool> {
        let id = self.initiate(name, headers)?;
        let parts = self
            .send_parts(name, &id, content, patience)
            .inspect_err(|_| self.abort_quietly(name, &id))?;
        let document = completion(&parts);
        let mut unanswered = false;
        let end = patience.retry(|| {
            let end = self.complete(name, &id, &document);
            unanswered |= end.as_ref().is_err_and(Failure::may_have_come_through);
            end
        });
        match end {
            Ok(End::Created) => Ok(true),
            // By us, it may be: who asked for this compares what is there.
            Ok(End::Taken | End::Gone) if unanswered => Err(Failure::new(
                Cause::Interrupted,
                "the answer that tells of its completion was lost",
            )),
            Ok(End::Taken) => {
                self.abort_quietly(name, &id);
                Ok(false)
            }
            Ok(End::Gone) => {
                Err(Failure::new(Cause::Interrupted, "the upload was aborted by somebody else"))
            }
            Err(failure) => {
                if !unanswered {
                    self.abort_quietly(name, &id);
                }
                Err(failure)
            }
        }
    }

    fn initiate(&self, name: &str, headers: &[(String, String)]) -> Attempt<String> {
        let mut call = Call::new("POST", name).query("uploads", "").headers(headers);
        if self.object_lock.is_some() {
            call = call.header(self.client.dialect.header("checksum-algorithm"), "SHA256");
        }
        let answer = self.client.succeed(&call)?.text(xml::MAX_BYTES)?;
        let document = xml::parse(&answer)?;
        let id = xml::text(document.root_element(), "UploadId").filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| xml::missing("the id of an upload"))
    }

    /// Sends all parts, several at once; the first failure ends it.
    fn send_parts(
        &self,
        name: &str,
        id: &str,
        content: &dyn Content,
        patience: &Patience,
    ) -> Attempt<Vec<Part>> {
        let ranges = ranges(content.size(), self.part_bytes);
        let next = AtomicUsize::new(0);
        let sent: Mutex<Attempt<Vec<Option<Part>>>> = Mutex::new(Ok(vec![None; ranges.len()]));
        let send = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let has_failed = || sent.lock().unwrap_or_else(PoisonError::into_inner).is_err();
                let Some(range) = ranges.get(at) else { return };
                if has_failed() {
                    return;
                }
                let part = patience.retry(|| self.send_part(name, id, at + 1, content, range));
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                match (&mut *sent, part) {
                    (Ok(parts), Ok(part)) => parts[at] = Some(part),
                    (Ok(_), Err(failure)) => *sent = Err(failure),
                    (Err(_), _) => return,
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.parts_at_once.get().min(ranges.len()) {
                scope.spawn(send);
            }
            send();
        });
        let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Ok(sent.into_iter().flatten().collect())
    }

    fn send_part(
        &self,
        name: &str,
        id: &str,
        number: usize,
        content: &dyn Content,
        range: &Range<u64>,
    ) -> Attempt<Part> {
        let number = number.to_string();
        let call = Call::new("PUT", name)
            .query("partNumber", &number)
            .query("uploadId", id)
            .body(Body::Content(content, range.clone()))
            .checksum(self.object_lock.is_some());
        let response = self.client.succeed(&call)?;
        let tag = response.header("etag").ok_or_else(|| xml::missing("the tag of a part"))?;
        let checksum = response.header(&self.client.dialect.header("checksum-sha256"));
        let checksum = checksum.filter(|text| BASE64_STANDARD.decode(text).is_ok());
        Ok(Part { tag: tag.to_owned(), checksum: checksum.map(str::to_owned) })
    }

    fn complete(&self, name: &str, id: &str, document: &str) -> Attempt<End> {
        if self.only_looks() && self.is_taken(name)? {
            return Ok(End::Taken);
        }
        let call = || {
            let body = Body::Bytes(document.as_bytes().to_vec());
            Call::new("POST", name)
                .query("uploadId", id)
                .header("content-type", "application/xml")
                .body(body)
        };
        let Some(answer) = self.create_new(name, call)? else { return Ok(End::Taken) };
        let refusal = match answer {
            Err(refusal) => refusal,
            Ok(response) => {
                let status = response.status();
                match Refusal::inside(status, &response.text(xml::MAX_BYTES)?) {
                    None => return Ok(End::Created),
                    Some(refusal) => refusal,
                }
            }
        };
        match &*refusal.code {
            "NoSuchUpload" => Ok(End::Gone),
            "PreconditionFailed" => Ok(End::Taken),
            _ => Err(refusal.into()),
        }
    }

    pub(super) fn abort(&self, name: &str, id: &str) -> Attempt<bool> {
        match self.client.send(&Call::new("DELETE", name).query("uploadId", id))? {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_missing() => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// What this leaves behind is swept up later: the failure that led here says more.
    fn abort_quietly(&self, name: &str, id: &str) {
        let _swept_later = self.abort(name, id);
    }
}

/// What each part holds.
fn ranges(size: u64, part_bytes: u64) -> Vec<Range<u64>> {
    let part_bytes = part_bytes.max(size.div_ceil(MAX_PARTS)).max(1);
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < size {
        let end = start.saturating_add(part_bytes).min(size);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// The document that puts parts together.
fn completion(parts: &[Part]) -> String {
    let mut document = String::from("<CompleteMultipartUpload>");
    for (number, Part { tag, checksum }) in (1..).zip(parts) {
        let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        document.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag>"));
        if let Some(checksum) = checksum {
            document.push_str(&format!("<ChecksumSHA256>{checksum}</ChecksumSHA256>"));
        }
        document.push_str("</Part>");
    }
    document.push_str("</CompleteMultipartUpload>");
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_an_object() {
        for (size, part_bytes, parts, last) in [
            (17_u64, 16_u64, 2, 16..17),
            (32, 16, 2, 16..32),
            (160_000, 16, 10_000, 159_984..160_000),
            (160_001, 16, 9_412, 159_987..160_001),
            (5 << 40, 16 << 20, 10_000, 5_497_008_022_119..(5 << 40)),
        ] {
            let ranges = ranges(size, part_bytes);
            assert_eq!(ranges.len(), parts, "{size}");
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, size));
            assert_eq!(ranges.last(), Some(&last).filter(|_| size < 1 << 30).or(ranges.last()));
        }
    }
}
