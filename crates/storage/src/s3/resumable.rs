//! Creates large objects in Google's way: a session, to which pieces are added in their order. Unlike parts, it
//! can be asked for an object that is new.

use super::S3;
use super::create::taken_by_us_maybe;
use super::refusal::Refusal;
use crate::http::resumable::{self, INCOMPLETE, UNIT};
use crate::http::{Call, Request};
use crate::remote::Attempt;
use crate::{Cause, Content, Failure, Patience, xml};

/// How far a session is.
#[derive(Clone, Copy)]
enum Progress {
    /// It has so many bytes.
    At(u64),
    Created,
    Taken,
}

impl S3 {
    /// `false` if its name is taken.
    pub(super) fn create_in_session(
        &self,
        name: &str,
        content: &dyn Content,
        headers: &[(String, String)],
        patience: &Patience,
    ) -> Attempt<bool> {
        let call = || {
            Call::new("POST", name)
                .headers(headers)
                .header(self.client.dialect.header("resumable"), "start")
        };
        let Some(answer) = self.create_new(name, call)? else { return Ok(false) };
        // Who knows this address may write: it is shown nowhere.
        let session = answer?.header("location").map(str::to_owned);
        let session = session.ok_or_else(|| xml::missing("the address of a session"))?;
        let (mut at, mut unanswered) = (0, false);
        loop {
            match self.send_next(&session, content, at, patience, &mut unanswered) {
                Ok(Progress::At(more)) => at = more,
                Ok(Progress::Created) => return Ok(true),
                Ok(Progress::Taken) if unanswered => return Err(taken_by_us_maybe()),
                Ok(Progress::Taken) => return Ok(false),
                Err(failure) => {
                    // What this leaves behind ends by itself within a week.
                    let _ends_by_itself = self.client.http.send(Request::new("DELETE", session));
                    return Err(failure);
                }
            }
        }
    }

    /// Sends the next piece until it comes through; after a failure what the session has is asked for first.
    fn send_next(
        &self,
        session: &str,
        content: &dyn Content,
        at: u64,
        patience: &Patience,
        unanswered: &mut bool,
    ) -> Attempt<Progress> {
        let size = content.size();
        let mut is_first = true;
        patience.retry(|| {
            let mut from = at;
            if !std::mem::take(&mut is_first) {
                *unanswered = true;
                match self.add(resumable::question(session, size), size)? {
                    Progress::At(has) => from = has,
                    end => return Ok(end),
                }
            }
            let piece = self.part_bytes.next_multiple_of(UNIT);
            let to = from.saturating_add(piece).min(size);
            if from >= to {
                return Err(Failure::new(
                    Cause::Protocol,
                    "a session that has all bytes and does not end",
                ));
            }
            self.add(resumable::piece(session, content, from..to), size)
        })
    }

    /// Sends what goes to a session for `size` bytes.
    fn add(&self, request: Request<'_>, size: u64) -> Attempt<Progress> {
        let response = self.client.http.send(request)?;
        match response.status() {
            200 | 201 => Ok(Progress::Created),
            INCOMPLETE => resumable::received(&response, size).map(Progress::At),
            412 => Ok(Progress::Taken),
            // It ended or was lost: another is begun.
            404 | 410 => Err(Failure::new(Cause::Interrupted, "the session is no longer there")),
            _ => Err(Refusal::of(response).failure),
        }
    }
}
