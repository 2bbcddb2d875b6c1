//! Creates large objects of parts.

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::S3;
use super::create::taken_by_us_maybe;
use super::refusal::Refusal;
use crate::http::{Body, Call};
use crate::remote::{Attempt, pieces, send_pieces};
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
        let ranges = pieces(content.size(), self.part_bytes, MAX_PARTS);
        let send = |at: usize, range: &_| self.send_part(name, &id, at + 1, content, range);
        let parts = send_pieces(&ranges, self.parts_at_once, patience, send)
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
            // If it is not ours, the upload is still there; where it is, to abort it does nothing.
            Ok(End::Taken | End::Gone) if unanswered => {
                self.abort_quietly(name, &id);
                Err(taken_by_us_maybe())
            }
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
        if self.has_checksums() {
            call = call.header(self.client.dialect.header("checksum-algorithm"), "SHA256");
        }
        let answer = self.client.succeed(&call)?.text(xml::MAX_BYTES)?;
        let document = xml::parse_as(&answer, "InitiateMultipartUploadResult")?;
        let id = xml::text(document.root_element(), "UploadId").filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| xml::missing("the id of an upload"))
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
            .checksum(self.has_checksums());
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
