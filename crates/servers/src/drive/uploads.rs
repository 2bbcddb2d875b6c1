//! Bytes that come in one request, or in the chunks of a session.

use serde_json::Value;

use super::{State, answer_json, refuse};
use crate::http::{Request, Response};

/// Chunks are multiples of this.
const UNIT: usize = 256 * 1024;

pub(super) struct Session {
    description: Value,
    size: usize,
    bytes: Vec<u8>,
    done: Option<String>,
}

impl State {
    pub(super) fn multipart(&mut self, request: &Request) -> Response {
        if request.cut {
            return refuse(400, "malformed");
        }
        let kind = request.header("content-type").unwrap();
        let boundary = kind.strip_prefix("multipart/related; boundary=").unwrap();
        let body = &request.body[..];
        if body.len() > 5 << 20 {
            return refuse(413, "uploadTooLarge");
        }
        let json_start = find(body, b"\r\n\r\n").unwrap() + 4;
        let delimiter = format!("\r\n--{boundary}\r\n");
        let json_end = json_start + find(&body[json_start..], delimiter.as_bytes()).unwrap();
        let rest = &body[json_end + delimiter.len()..];
        let start = find(rest, b"\r\n\r\n").unwrap() + 4;
        let end = rest.len() - format!("\r\n--{boundary}--\r\n").len();
        let description = serde_json::from_slice(&body[json_start..json_end]).unwrap();
        self.added(&description, rest[start..end].to_vec())
    }

    pub(super) fn begin(&mut self, request: &Request) -> Response {
        let Ok(description) = serde_json::from_slice::<Value>(&request.body) else {
            return refuse(400, "parseError");
        };
        let size = request.header("x-upload-content-length").unwrap().parse().unwrap();
        let id = format!("session-{}", self.next);
        self.next += 1;
        self.sessions
            .insert(id.clone(), Session { description, size, bytes: Vec::new(), done: None });
        let host = request.header("host").unwrap();
        let location =
            format!("http://{host}/upload/drive/v3/files?uploadType=resumable&upload_id={id}");
        Response::new(200, "").with("Location", location)
    }

    pub(super) fn chunk(&mut self, request: &Request) -> Response {
        let id = request.parameter("upload_id").unwrap().to_owned();
        let chunks = self.sessions.get(&id).map_or(0, |session| session.bytes.len());
        if chunks > 0 && self.forgets_sessions > 0 {
            self.forgets_sessions -= 1;
            self.sessions.remove(&id);
        }
        let takes_half = self.takes_half;
        let Some(session) = self.sessions.get_mut(&id) else { return refuse(404, "notFound") };
        if let Some(file) = &session.done {
            let file = file.clone();
            return answer_json(&self.describe(self.find(&file).unwrap()));
        }
        let Some(range) =
            request.header("content-range").and_then(|range| range.strip_prefix("bytes "))
        else {
            return refuse(400, "badRequest");
        };
        let (range, size) = range.split_once('/').unwrap();
        if size.parse() != Ok(session.size) {
            return refuse(400, "badRequest");
        }
        if range != "*" {
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let is_last = last + 1 == session.size;
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            let is_whole = (last + 1 - first) % UNIT == 0;
            if first != session.bytes.len() || length != last + 1 - first || !(is_last || is_whole)
            {
                return refuse(400, "badRequest");
            }
            let taken = match request.body.len() {
                arrived if request.cut => arrived / UNIT * UNIT,
                arrived if takes_half && !is_last => arrived / 2 / UNIT * UNIT,
                arrived => arrived,
            };
            session.bytes.extend_from_slice(&request.body[..taken]);
        }
        if session.bytes.len() < session.size {
            let response = Response::new(308, "");
            return match session.bytes.len() {
                0 => response,
                length => response.with("Range", format!("bytes=0-{}", length - 1)),
            };
        }
        let (description, bytes) = (session.description.clone(), session.bytes.clone());
        let response = self.added(&description, bytes);
        if response.status == 200 {
            let made = self.files.last().unwrap().id.clone();
            self.sessions.get_mut(&id).unwrap().done = Some(made);
        }
        response
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
