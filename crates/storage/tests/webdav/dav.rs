//! A WebDAV server with the faults and customs of several.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::server::{Request, Response, Server, decode};

/// How it differs from what the standard says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Customs {
    /// Sends all of a file, whatever range is asked for.
    pub(crate) ignores_ranges: bool,
    /// Replaces what is at the destination.
    pub(crate) ignores_overwrite: bool,
    /// Keeps the time that a file is given, as Nextcloud does.
    pub(crate) keeps_times: bool,
    /// Has no entity tags.
    pub(crate) has_no_tags: bool,
    /// Says that a file is removed, and keeps it.
    pub(crate) keeps_what_is_deleted: bool,
    /// Calls a path below a file a bad request, as Apache does.
    pub(crate) refuses_below_files: bool,
    /// Answers with addresses instead of paths.
    pub(crate) answers_with_addresses: bool,
    /// Answers with paths of its own, as behind a proxy that it does not know of.
    pub(crate) answers_with_other_paths: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Collection,
    File { bytes: Vec<u8>, modified: u64, version: u64 },
}

pub(crate) struct State {
    /// By decoded path, without a slash at the end; the root is `""`.
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) customs: Customs,
    version: u64,
}

pub(crate) struct Dav {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

impl Dav {
    pub(crate) fn start(customs: Customs) -> Self {
        let nodes = BTreeMap::from([(String::new(), Node::Collection)]);
        let state = Arc::new(Mutex::new(State { nodes, customs, version: 0 }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            shared.lock().unwrap_or_else(PoisonError::into_inner).answer(request)
        });
        Self { server, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn url(&self) -> String {
        self.server.url().replace("http://", "webdav://anna@") + "/dav"
    }

    /// Paths of all files.
    pub(crate) fn files(&self) -> Vec<String> {
        let state = self.state();
        let files = state.nodes.iter().filter(|(_, node)| **node != Node::Collection);
        files.map(|(path, _)| path.clone()).collect()
    }
}

fn path_of(path: &str) -> String {
    decode(path.trim_end_matches('/'))
}

/// Seconds within one day of 2026 as a date.
fn date(seconds: u64) -> String {
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("Sun, 22 Nov 2026 {hour:02}:{minute:02}:{second:02} GMT")
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        let basic = "Basic YW5uYTpvcGVuIHNlc2FtZQ==";
        if request.header("authorization") != Some(basic) {
            return Response::new(401, "");
        }
        let path = path_of(&request.path);
        let slash = request.path.ends_with('/');
        let is_file = |path: &str| matches!(self.nodes.get(path), Some(Node::File { .. }));
        let below_file = path.match_indices('/').any(|(end, _)| is_file(&path[..end]));
        if self.customs.refuses_below_files && (below_file || (slash && is_file(&path))) {
            return Response::new(400, "");
        }
        let is_collection = self.nodes.get(&path) == Some(&Node::Collection);
        if is_collection && !slash {
            let to = format!("{}/", request.path);
            return Response::new(301, "").with("Location", to);
        }
        match request.method.as_str() {
            "PROPFIND" => self.describe(&path, request),
            "MKCOL" => self.make(path),
            "PUT" => self.put(path, request),
            "MOVE" => self.rename(&path, request),
            "GET" => self.get(&path, request),
            "DELETE" => self.delete(&path),
            _ => Response::new(405, ""),
        }
    }

    fn has_parent(&self, path: &str) -> bool {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.nodes.get(parent) == Some(&Node::Collection)
    }

    fn make(&mut self, path: String) -> Response {
        if self.nodes.contains_key(&path) {
            return Response::new(405, "");
        }
        if !self.has_parent(&path) {
            return Response::new(409, "");
        }
        self.nodes.insert(path, Node::Collection);
        Response::new(201, "")
    }

    /// What is cut off stays, as rclone has it.
    fn put(&mut self, path: String, request: &Request) -> Response {
        if !self.has_parent(&path) {
            return Response::new(409, "");
        }
        self.version += 1;
        let given = request.header("x-oc-mtime").filter(|_| self.customs.keeps_times);
        let modified = given.map_or(3600 + self.version, |given| given.parse().unwrap());
        let node = Node::File { bytes: request.body.clone(), modified, version: self.version };
        self.nodes.insert(path, node);
        Response::new(201, "")
    }

    fn rename(&mut self, path: &str, request: &Request) -> Response {
        let destination = request.header("destination").unwrap();
        let (_, rest) = destination.split_once("://").unwrap();
        let (host, to) = rest.split_once('/').unwrap();
        assert_eq!(Some(host), request.header("host"));
        let to = path_of(&format!("/{to}"));
        if !self.nodes.contains_key(path) {
            return Response::new(404, "");
        }
        if !self.has_parent(&to) {
            return Response::new(409, "");
        }
        let taken = self.nodes.contains_key(&to);
        let refuses = request.header("overwrite") == Some("F") && !self.customs.ignores_overwrite;
        if taken && refuses {
            return Response::new(412, "");
        }
        let node = self.nodes.remove(path).unwrap();
        self.nodes.insert(to, node);
        Response::new(if taken { 204 } else { 201 }, "")
    }

    fn get(&self, path: &str, request: &Request) -> Response {
        let Some(Node::File { bytes, modified, version }) = self.nodes.get(path) else {
            return Response::new(404, "");
        };
        let headed = |response: Response| {
            let response = response.with("Last-Modified", date(*modified));
            if self.customs.has_no_tags {
                response
            } else {
                response.with("ETag", format!("W/\"{version}\""))
            }
        };
        let range = request.header("range").filter(|_| !self.customs.ignores_ranges);
        let Some(range) = range else { return headed(Response::new(200, bytes.clone())) };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        if first >= bytes.len() {
            return Response::new(416, "");
        }
        let end = last.parse::<usize>().map_or(bytes.len(), |last| (last + 1).min(bytes.len()));
        let range = format!("bytes {first}-{}/{}", end - 1, bytes.len());
        headed(Response::new(206, &bytes[first..end]).with("Content-Range", range))
    }

    fn delete(&mut self, path: &str) -> Response {
        if !self.nodes.contains_key(path) {
            return Response::new(404, "");
        }
        if !self.customs.keeps_what_is_deleted {
            self.nodes.remove(path);
        }
        Response::new(204, "")
    }

    fn describe(&self, path: &str, request: &Request) -> Response {
        let depth = request.header("depth").unwrap();
        assert!(depth != "infinity");
        if !self.nodes.contains_key(path) {
            return Response::new(404, "");
        }
        let below = format!("{path}/");
        let listed = self.nodes.iter().filter(|(other, _)| {
            let child = other.strip_prefix(&below).is_some_and(|rest| !rest.contains('/'));
            *other == path || (depth == "1" && child)
        });
        let mut body = "<?xml version=\"1.0\"?>\n<d:multistatus xmlns:d=\"DAV:\">".to_owned();
        for (path, node) in listed {
            body.push_str(&self.response(path, node, request));
        }
        body.push_str("</d:multistatus>");
        Response::new(207, body).with("Content-Type", "application/xml; charset=utf-8")
    }

    fn response(&self, path: &str, node: &Node, request: &Request) -> String {
        let encoded: String = path
            .chars()
            .map(|c| match c {
                '%' => "%25".to_owned(),
                ' ' => "%20".to_owned(),
                other => other.to_string(),
            })
            .collect();
        let host = request.header("host").unwrap();
        let href = match self.customs {
            Customs { answers_with_addresses: true, .. } => format!("http://{host}{encoded}"),
            Customs { answers_with_other_paths: true, .. } => format!("/inner{encoded}"),
            _ => encoded,
        };
        let found = match node {
            Node::Collection => "<d:resourcetype><d:collection/></d:resourcetype>\
                <d:quota-available-bytes>12345</d:quota-available-bytes>"
                .to_owned(),
            Node::File { bytes, modified, .. } => format!(
                "<d:resourcetype/><d:getcontentlength>{}</d:getcontentlength>\
                 <d:getlastmodified>{}</d:getlastmodified>",
                bytes.len(),
                date(*modified)
            ),
        };
        let slash = if *node == Node::Collection { "/" } else { "" };
        format!(
            "<d:response><d:href>{href}{slash}</d:href><d:propstat><d:prop>{found}</d:prop>\
             <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )
    }
}
