//! Creates a file, and settles who created it first.

use std::io::{self, Read};

use serde_json::{Value, json};

use super::file::{self, DriveFile};
use super::{Drive, client, expect_success, refusal};
use crate::http::{Body, Request, Response};
use crate::random::random_hex_for;
use crate::remote::{Attempt, NewObject};
use crate::{Cause, Content, Failure, Key, Patience};

/// What is larger is sent in chunks; Drive takes 5 MB in one request.
const MAX_AT_ONCE: u64 = 4 << 20;

impl Drive {
    /// `false` if the key is taken.
    pub(super) fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        let NewObject { key, content, .. } = *object;
        if !self.files(key)?.is_empty() {
            return Ok(false);
        }
        let folder = self.folders.make(&self.client, key.parent().as_ref())?;
        let description = describe(object, &folder);
        let file = if content.size() <= MAX_AT_ONCE {
            self.upload_at_once(&description, content)?
        } else {
            self.upload_in_chunks(&description, content, patience)?
        };
        if file.size()? != content.size() {
            self.delete(&file.id)?;
            let message = format!("Drive has {} of {} bytes", file.size()?, content.size());
            return Err(Failure::new(Cause::Unavailable, message));
        }
        if file.trashed {
            // The owner put the folder there since it was looked for.
            self.delete(&file.id)?;
            let failure = Failure::new(Cause::Unavailable, "its folder is in the trash");
            return Err(self.folders.removed_meanwhile(failure));
        }
        // The file is there: should this fail for good, it is open whether it stands.
        patience.retry(|| self.settle(key, &file)).map_err(|failure| match failure.cause {
            cause if cause.may_pass() => Failure { cause: Cause::Unavailable, ..failure },
            _ => failure,
        })
    }

    /// Whether the file that was just created stands; if another one does, it is removed.
    fn settle(&self, key: &Key, created: &DriveFile) -> Attempt<bool> {
        let mut files = self.files(key)?;
        // A search need not find at once what was just created.
        if files.iter().all(|file| file.id != created.id) {
            files.push(created.clone());
        }
        let stands = file::in_order(files).into_iter().next();
        if stands.is_some_and(|file| file.id == created.id) {
            self.remember(key, created);
            return Ok(true);
        }
        self.delete(&created.id)?;
        Ok(false)
    }

    /// Description and bytes in one request, after RFC 2387.
    fn upload_at_once(&self, description: &Value, content: &dyn Content) -> Attempt<DriveFile> {
        let boundary = boundary()?;
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{description}\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        let before = body.len() as u64;
        let read = content.read(0..content.size()).and_then(|mut from| from.read_to_end(&mut body));
        read.map_err(|error| unreadable(&error))?;
        if body.len() as u64 != before + content.size() {
            return Err(unreadable(&io::ErrorKind::UnexpectedEof.into()));
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let request = Request::new("POST", self.client.uploads("multipart"))
            .header("content-type", format!("multipart/related; boundary={boundary}"))
            .body(Body::Bytes(body));
        self.created(self.client.send(&request)?)
    }

    /// The file that an answer describes.
    pub(super) fn created(&self, response: Response) -> Attempt<DriveFile> {
        if response.status() == 404 {
            return Err(self.folders.removed_meanwhile(refusal::failure(response)));
        }
        client::parse(expect_success(response)?)
    }
}

fn describe(object: &NewObject<'_>, folder: &str) -> Value {
    let mut description = json!({
        "name": object.key.file_name(),
        "mimeType": "application/octet-stream",
        "parents": [folder],
    });
    if let Some(time) = object.modified.and_then(file::format_time) {
        description["modifiedTime"] = Value::String(time);
    }
    description
}

/// What does not occur in the content, which nobody knows beforehand: 128 random bits.
fn boundary() -> Attempt<String> {
    random_hex_for::<16>("boundary for an upload")
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Cause::Local, format!("what is to be sent cannot be read: {error}"))
}
