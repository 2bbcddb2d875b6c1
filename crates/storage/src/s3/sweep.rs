//! Ends uploads that were cut off.

use std::time::{Duration, SystemTime};

use super::S3;
use super::listing::Names;
use crate::http::Call;
use crate::remote::Attempt;
use crate::times::parse_rfc3339;
use crate::xml;

/// An upload that is not finished.
struct Unfinished {
    name: String,
    id: String,
    begun: SystemTime,
}

/// A page of a listing of uploads, and where the next begins.
struct Uploads {
    ours: Vec<Unfinished>,
    next: Option<(String, String)>,
}

impl S3 {
    /// Aborts uploads of keys of ours to which nothing was added for so long.
    pub(super) fn sweep_uploads(&self, older_than: Duration) -> Attempt<u64> {
        let now = SystemTime::now();
        let is_old = |time| now.duration_since(time).is_ok_and(|age| age >= older_than);
        let mut old = Vec::new();
        let mut from = None;
        loop {
            let uploads = self.uploads(from.as_ref())?;
            old.extend(uploads.ours.into_iter().filter(|upload| is_old(upload.begun)));
            from = uploads.next;
            if from.is_none() {
                break;
            }
        }
        let mut swept = 0;
        for upload in old {
            if is_old(self.last_addition(&upload)?) && self.abort(&upload.name, &upload.id)? {
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn uploads(&self, from: Option<&(String, String)>) -> Attempt<Uploads> {
        let mut call = Call::new("GET", "")
            .query("uploads", "")
            .query("encoding-type", "url")
            .query("prefix", &self.prefix);
        if let Some((key, id)) = from {
            call = call.query("key-marker", key).query("upload-id-marker", id);
        }
        let answer = self.client.succeed(&call)?.text(xml::MAX_BYTES)?;
        let document = xml::parse_as(&answer, "ListMultipartUploadsResult")?;
        let root = document.root_element();
        let names = Names::of(root);
        let mut ours = Vec::new();
        for upload in xml::children(root, "Upload") {
            let name = xml::text(upload, "Key").ok_or_else(|| xml::missing("a key"))?;
            let Some(key) = names.key(name, &self.prefix) else { continue };
            let id = xml::text(upload, "UploadId").ok_or_else(|| xml::missing("an upload's id"))?;
            let begun = xml::text(upload, "Initiated").and_then(parse_rfc3339);
            let begun = begun.ok_or_else(|| xml::missing("the time of an upload"))?;
            ours.push(Unfinished { name: self.name(&key), id: id.to_owned(), begun });
        }
        let is_more = xml::text(root, "IsTruncated") == Some("true");
        let next = is_more.then(|| {
            let key = names.decode(xml::text(root, "NextKeyMarker")?)?;
            Some((key, xml::text(root, "NextUploadIdMarker").unwrap_or_default().to_owned()))
        });
        let next =
            next.map(|next| next.ok_or_else(|| xml::missing("its continuation"))).transpose()?;
        Ok(Uploads { ours, next })
    }

    /// When a part was last added to an upload, or it was begun.
    fn last_addition(&self, upload: &Unfinished) -> Attempt<SystemTime> {
        let mut last = upload.begun;
        let mut from: Option<String> = None;
        loop {
            let mut call = Call::new("GET", &upload.name).query("uploadId", &upload.id);
            if let Some(from) = &from {
                call = call.query("part-number-marker", from);
            }
            let answer = match self.client.send(&call)? {
                Ok(response) => response.text(xml::MAX_BYTES)?,
                // Finished or aborted meanwhile: to abort it is of no consequence.
                Err(refusal) if refusal.is_missing() => return Ok(last),
                Err(refusal) => return Err(refusal.into()),
            };
            let document = xml::parse_as(&answer, "ListPartsResult")?;
            let root = document.root_element();
            let times =
                xml::children(root, "Part").filter_map(|part| xml::text(part, "LastModified"));
            last = times.filter_map(parse_rfc3339).fold(last, SystemTime::max);
            if xml::text(root, "IsTruncated") != Some("true") {
                return Ok(last);
            }
            let next = xml::text(root, "NextPartNumberMarker");
            from = Some(next.ok_or_else(|| xml::missing("its continuation"))?.to_owned());
        }
    }
}
