//! Takes what the owner's browser brings back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::remote::Attempt;
use crate::{Cause, Failure, percent};

/// A browser opens connections that it may use later: none of them keeps the others waiting for longer.
const SILENCE: Duration = Duration::from_secs(2);
const MAX_LINE: u64 = 16 * 1024;

const DONE: &str = "Lifeboat has access to its folder now. You can close this page.";
const REFUSED: &str = "Lifeboat was not given access. You can close this page.";
const FOREIGN: &str = "This belongs to another attempt. Please use the newest address.";

/// What the owner decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What tokens are fetched with.
    Code(String),
    /// Why there is none.
    Refused(String),
}

/// The answer in a query; `None` if it is none, or the state is another.
pub(super) fn answer(query: &str, state: &str) -> Option<Answer> {
    let query = query.split('#').next().unwrap_or_default();
    let parameter = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
        percent::decode(&value.replace('+', " "))
    };
    if parameter("state")? != state {
        return None;
    }
    match parameter("error") {
        Some(error) => Some(Answer::Refused(error)),
        None => parameter("code").filter(|code| !code.is_empty()).map(Answer::Code),
    }
}

/// Answers requests until one brings an answer.
pub(super) fn wait(listener: &TcpListener, state: &str, patience: Duration) -> Attempt<Answer> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !has_connection(listener, left)? {
            return Err(Failure::new(Cause::TimedOut, "no browser came back in time"));
        }
        // One that breaks off is followed by another.
        let Ok((stream, _)) = listener.accept() else { continue };
        if let Ok(Some(answer)) = converse(&stream, state) {
            return Ok(answer);
        }
    }
}

fn has_connection(listener: &TcpListener, patience: Duration) -> Attempt<bool> {
    let failed = |error: io::Error| {
        Failure::new(Cause::Local, format!("cannot wait for a browser: {error}"))
    };
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
    let mut waiting = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut waiting, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        // Interrupted: the caller looks at the clock and comes back.
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(failed(error.into())),
    }
}

/// One request and its answer.
fn converse(mut stream: &TcpStream, state: &str) -> io::Result<Option<Answer>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut lines = BufReader::new(stream).take(MAX_LINE);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    // The rest of the head is read, so that closing does not take the answer back.
    let mut rest = String::new();
    while lines.read_line(&mut rest)? > 2 {
        rest.clear();
    }
    let target = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    let query = target.and_then(|target| target.strip_prefix("/?"));
    let found = query.and_then(|query| answer(query, state));
    let (status, text) = match (&found, query) {
        (Some(Answer::Code(_)), _) => ("200 OK", DONE),
        (Some(Answer::Refused(_)), _) => ("200 OK", REFUSED),
        (None, Some(_)) => ("400 Bad Request", FOREIGN),
        // The icon of the page.
        (None, None) => ("404 Not Found", ""),
    };
    let page = format!("<!doctype html><meta charset=utf-8><title>Lifeboat</title><p>{text}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
        page.len()
    );
    // Whether the browser gets its page does not matter.
    let _ = stream.write_all(format!("{head}{page}").as_bytes());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_our_state_counts() {
        let code = |code: &str| Some(Answer::Code(code.to_owned()));
        for (query, expected) in [
            ("state=s&code=4%2F0A+b&scope=x", code("4/0A b")),
            ("code=c&state=s#", code("c")),
            ("state=s&error=access_denied", Some(Answer::Refused("access_denied".to_owned()))),
            ("state=t&code=c", None),
            ("code=c", None),
            ("state=s", None),
            ("state=s&code=", None),
            ("", None),
        ] {
            assert_eq!(answer(query, "s"), expected, "{query}");
        }
    }
}
