//! Uploads in chunks, which go on where they were cut off.
//!
//! A session is begun with the file's description, then takes chunks in order. Each but the last is answered
//! with 308 and the range that Drive has by now, which may be less than was sent. After a failure Drive is
//! asked for that range; if it has all, it answers with the file. A session that is gone (404, 410) is
//! begun anew.

use serde_json::Value;

use super::file::DriveFile;
use super::{Drive, refusal};
use crate::http::resumable::{self, INCOMPLETE, UNIT};
use crate::http::{Body, Request, Response};
use crate::remote::Attempt;
use crate::{Cause, Content, Failure, Patience};

/// As often Drive may take nothing of a chunk in a row, or forget an upload.
const MAX_STALLS: u32 = 5;

/// A number of bytes cut to whole units, of which there is at least one.
pub(super) fn whole_units(bytes: u64) -> u64 {
    (bytes / UNIT).max(1) * UNIT
}

/// What Drive has of an upload.
enum Progress {
    /// The first bytes.
    Until(u64),
    /// All.
    Done(DriveFile),
    /// Nothing: it forgot the session.
    Gone,
}

/// An upload that was begun.
struct Session<'a> {
    drive: &'a Drive,
    url: String,
    content: &'a dyn Content,
}

impl Drive {
    pub(super) fn upload_in_chunks(
        &self,
        description: &Value,
        content: &dyn Content,
        patience: &Patience,
    ) -> Attempt<DriveFile> {
        for _ in 0..MAX_STALLS {
            let url = patience.retry(|| self.begin(description, content.size()))?;
            let session = Session { drive: self, url, content };
            if let Some(file) = session.run(patience)? {
                return Ok(file);
            }
        }
        Err(Failure::new(Cause::Unavailable, "Drive forgets the upload again and again"))
    }

    /// The address of a new session.
    fn begin(&self, description: &Value, size: u64) -> Attempt<String> {
        let request = Request::new("POST", self.client.uploads("resumable"))
            .header("content-type", "application/json; charset=UTF-8")
            .header("x-upload-content-type", "application/octet-stream")
            .header("x-upload-content-length", size.to_string())
            .body(Body::Bytes(description.to_string().into_bytes()));
        let response = self.client.send(&request)?;
        if response.status() == 404 {
            return Err(self.folders.removed_meanwhile(refusal::failure(response)));
        }
        let response = super::expect_success(response)?;
        let location = response.header("location").filter(|url| self.client.owns(url));
        location.map(str::to_owned).ok_or_else(|| {
            Failure::new(Cause::Protocol, "Drive tells no address of its own for an upload")
        })
    }
}

impl Session<'_> {
    /// Sends all chunks; `None` if Drive forgot the session.
    fn run(&self, patience: &Patience) -> Attempt<Option<DriveFile>> {
        let (mut until, mut stalls) = (0, 0);
        while stalls < MAX_STALLS {
            match self.advance(until, patience)? {
                Progress::Done(file) => return Ok(Some(file)),
                Progress::Gone => return Ok(None),
                Progress::Until(now) if now > until => (until, stalls) = (now, 0),
                Progress::Until(now) => (until, stalls) = (now, stalls + 1),
            }
        }
        let message = format!("Drive takes nothing after the first {until} bytes");
        Err(Failure::new(Cause::Unavailable, message))
    }

    /// Sends the next chunk; after a failure what comes next is for Drive to say.
    fn advance(&self, until: u64, patience: &Patience) -> Attempt<Progress> {
        let mut next = Some(until);
        patience.retry(|| {
            let from = match next.take() {
                Some(until) => until,
                None => match self.status()? {
                    Progress::Until(until) => until,
                    other => return Ok(other),
                },
            };
            self.send(from)
        })
    }

    fn send(&self, from: u64) -> Attempt<Progress> {
        let size = self.content.size();
        let end = from.saturating_add(self.drive.chunk_bytes).min(size);
        if from >= end {
            // All is there, and the answer that says so was lost.
            return self.status();
        }
        let request = resumable::piece(&self.url, self.content, from..end);
        self.progress(self.drive.client.send(&request)?)
    }

    fn status(&self) -> Attempt<Progress> {
        let request = resumable::question(&self.url, self.content.size());
        self.progress(self.drive.client.send(&request)?)
    }

    fn progress(&self, response: Response) -> Attempt<Progress> {
        match response.status() {
            200 | 201 => Ok(Progress::Done(super::client::parse(response)?)),
            INCOMPLETE => resumable::received(&response, self.content.size()).map(Progress::Until),
            404 | 410 => Ok(Progress::Gone),
            _ => Err(refusal::failure(response)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_units() {
        for (bytes, expected) in
            [(0, 1), (UNIT - 1, 1), (UNIT, 1), (8 << 20, 32), (3 * UNIT + 1, 3)]
        {
            assert_eq!(whole_units(bytes), expected * UNIT);
        }
    }
}
