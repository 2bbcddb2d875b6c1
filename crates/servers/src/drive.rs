//! Google Drive's API and its tokens, as far as they are used.

mod authorization;
pub mod query;
mod uploads;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lifeboat_storage::{
    DriveEndpoints, DriveOptions, GoogleDrive, HttpOptions, Patience, RemoteOptions, TokenFile,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::query::Query;
use self::uploads::Session;
use crate::http::{Request, Response, Server};

const FOLDER: &str = "application/vnd.google-apps.folder";
const FILE_FIELDS: [&str; 10] = [
    "id",
    "name",
    "mimeType",
    "size",
    "createdTime",
    "modifiedTime",
    "md5Checksum",
    "headRevisionId",
    "trashed",
    "webViewLink",
];

#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    pub name: String,
    pub parent: String,
    pub mime_type: String,
    pub created_ms: u64,
    pub modified: Option<String>,
    pub bytes: Vec<u8>,
    pub trashed: bool,
}

pub struct State {
    pub files: Vec<Stored>,
    sessions: HashMap<String, Session>,
    pub access_token: String,
    pub refresh_token: String,
    /// Codes that were given, with their challenges and addresses.
    codes: HashMap<String, (String, String)>,
    pub page_size: usize,
    pub full: bool,
    pub forgets_sessions: u32,
    pub takes_half: bool,
    next: u64,
}

pub struct Emulator {
    pub server: Server,
    state: Arc<Mutex<State>>,
    pub directory: TempDir,
}

impl Emulator {
    pub fn start() -> Self {
        let state = State {
            files: Vec::new(),
            sessions: HashMap::new(),
            access_token: "access-token-1".to_owned(),
            refresh_token: "refresh-token-1".to_owned(),
            codes: HashMap::new(),
            page_size: 1000,
            full: false,
            forgets_sessions: 0,
            takes_half: false,
            next: 1,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.answer(request)
        });
        Self { server, state, directory: tempfile::tempdir().unwrap() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn token_file(&self) -> PathBuf {
        self.directory.path().join("tokens.json")
    }

    pub fn endpoints(&self) -> DriveEndpoints {
        DriveEndpoints {
            api: self.server.url(),
            authorization: format!("{}/auth", self.server.url()),
            token: format!("{}/token", self.server.url()),
        }
    }

    pub fn http() -> HttpOptions {
        HttpOptions { proxy_from_environment: false, ..HttpOptions::default() }
    }

    pub fn options(&self) -> DriveOptions {
        let patience = Patience {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(20),
            total: Duration::from_secs(60),
        };
        DriveOptions {
            requests_per_second: None,
            chunk_bytes: 1 << 20,
            endpoints: self.endpoints(),
            http: Self::http(),
            remote: RemoteOptions { patience, ..RemoteOptions::default() },
            ..DriveOptions::new(self.token_file())
        }
    }

    /// Access that holds for an hour.
    pub fn grant(&self) -> TokenFile {
        let tokens = TokenFile {
            client_id: "client-id".to_owned(),
            client_secret: "client-secret".to_owned().into(),
            refresh_token: "refresh-token-1".to_owned().into(),
            access_token: Some("access-token-1".to_owned().into()),
            access_expires: Some(SystemTime::now() + Duration::from_secs(3600)),
            scope: "https://www.googleapis.com/auth/drive.file".to_owned(),
            granted: None,
            refresh_expires: None,
        };
        tokens.save(&self.token_file()).unwrap();
        tokens
    }

    pub fn open(&self, url: &str) -> GoogleDrive {
        if !self.token_file().exists() {
            self.grant();
        }
        GoogleDrive::open(url, &self.options()).unwrap()
    }

    /// Names of all that is no folder.
    pub fn names(&self) -> Vec<String> {
        let state = self.state();
        let files = state.files.iter().filter(|file| file.mime_type != FOLDER);
        files.map(|file| file.name.clone()).collect()
    }
}

fn refuse(status: u16, reason: &str) -> Response {
    let error = json!({ "code": status, "message": format!("It says {reason}."),
        "errors": [{ "domain": "global", "reason": reason, "message": reason }] });
    Response::new(status, json!({ "error": error }).to_string())
        .with("Content-Type", "application/json; charset=UTF-8")
}

fn answer_json(value: &Value) -> Response {
    Response::new(200, value.to_string()).with("Content-Type", "application/json; charset=UTF-8")
}

/// RFC 3339 of milliseconds of the epoch, within one day of 2026.
fn time(ms: u64) -> String {
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("2026-11-22T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60)
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/token") => return self.token(request),
            ("GET", "/auth") => return self.authorize(request),
            _ => {}
        }
        if request.header("authorization") != Some(&format!("Bearer {}", self.access_token)) {
            return refuse(401, "authError");
        }
        let known = [
            "supportsAllDrives",
            "fields",
            "q",
            "pageSize",
            "includeItemsFromAllDrives",
            "orderBy",
            "pageToken",
            "corpora",
            "driveId",
            "uploadType",
            "alt",
            "upload_id",
        ];
        if request.query.iter().any(|(name, _)| !known.contains(&name.as_str())) {
            return refuse(400, "invalidParameter");
        }
        let id = request.path.strip_prefix("/drive/v3/files/");
        match (request.method.as_str(), request.path.as_str(), id) {
            ("GET", "/drive/v3/files", _) => self.search(request),
            ("POST", "/drive/v3/files", _) => self.make_folder(request),
            ("GET", "/drive/v3/about", _) => answer_json(
                &json!({ "storageQuota": { "limit": "15000000000", "usage": "5000000000" } }),
            ),
            ("POST", "/upload/drive/v3/files", _) => match request.parameter("uploadType") {
                Some("multipart") => self.multipart(request),
                Some("resumable") => self.begin(request),
                _ => refuse(400, "invalidParameter"),
            },
            ("PUT", "/upload/drive/v3/files", _) => self.chunk(request),
            ("GET", _, Some(id)) => self.get(id, request),
            ("DELETE", _, Some(id)) => self.delete(id),
            _ => refuse(404, "notFound"),
        }
    }

    fn find(&self, id: &str) -> Option<&Stored> {
        self.files.iter().find(|file| file.id == id)
    }

    /// Itself, or with its folder.
    pub fn is_trashed(&self, file: &Stored) -> bool {
        file.trashed || self.find(&file.parent).is_some_and(|parent| self.is_trashed(parent))
    }

    fn describe(&self, file: &Stored) -> Value {
        let created = time(file.created_ms);
        let mut value = json!({
            "id": file.id, "name": file.name, "mimeType": file.mime_type, "createdTime": created,
            "modifiedTime": file.modified.clone().unwrap_or(created),
            "trashed": self.is_trashed(file),
        });
        if file.mime_type != FOLDER {
            value["size"] = file.bytes.len().to_string().into();
            value["headRevisionId"] = format!("revision of {}", file.id).into();
        }
        value
    }

    fn search(&self, request: &Request) -> Response {
        let query = request.parameter("q").and_then(Query::parse);
        let Some(query) = query else { return refuse(400, "invalid") };
        if query.parents().iter().any(|id| *id != "root" && self.find(id).is_none()) {
            return refuse(404, "notFound");
        }
        let fields = request.parameter("fields").unwrap_or_default();
        let inner =
            fields.strip_prefix("nextPageToken,files(").and_then(|rest| rest.strip_suffix(')'));
        if !inner.is_some_and(|inner| inner.split(',').all(|field| FILE_FIELDS.contains(&field))) {
            return refuse(400, "invalidParameter");
        }
        let size: usize = request.parameter("pageSize").unwrap().parse().unwrap();
        if size == 0 || size > 1000 {
            return refuse(400, "invalidParameter");
        }
        let start: usize = match request.parameter("pageToken") {
            None => 0,
            Some(token) => token.strip_prefix("page-").unwrap().parse().unwrap(),
        };
        let mut found: Vec<&Stored> =
            self.files.iter().filter(|file| query.matches(file, self.is_trashed(file))).collect();
        match request.parameter("orderBy") {
            // In no order at all.
            None => found.reverse(),
            Some("folder,createdTime") => {
                found.sort_by_key(|file| (file.mime_type != FOLDER, file.created_ms));
            }
            Some(_) => return refuse(400, "invalidParameter"),
        }
        let end = (start + size.min(self.page_size)).min(found.len());
        let files: Vec<Value> = found[start..end].iter().map(|file| self.describe(file)).collect();
        let mut list = json!({ "files": files });
        if end < found.len() {
            list["nextPageToken"] = format!("page-{end}").into();
        }
        answer_json(&list)
    }

    fn add(&mut self, description: &Value, bytes: Vec<u8>) -> Result<String, Response> {
        let Value::Object(fields) = description else { return Err(refuse(400, "parseError")) };
        let known = ["name", "mimeType", "parents", "modifiedTime"];
        if fields.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(refuse(400, "invalid"));
        }
        let parent = description["parents"][0].as_str().unwrap().to_owned();
        if parent != "root" && self.find(&parent).is_none_or(|file| file.mime_type != FOLDER) {
            return Err(refuse(404, "notFound"));
        }
        if self.full {
            return Err(refuse(403, "storageQuotaExceeded"));
        }
        let number = self.next;
        self.next += 1;
        let id = format!("id-{number:06}");
        self.files.push(Stored {
            id: id.clone(),
            name: description["name"].as_str().unwrap().to_owned(),
            parent,
            mime_type: description["mimeType"].as_str().unwrap().to_owned(),
            created_ms: 7_200_000 + number,
            modified: description["modifiedTime"].as_str().map(str::to_owned),
            bytes,
            trashed: false,
        });
        Ok(id)
    }

    fn added(&mut self, description: &Value, bytes: Vec<u8>) -> Response {
        match self.add(description, bytes) {
            Ok(id) => {
                let mut value = self.describe(self.find(&id).unwrap());
                if value["modifiedTime"] == value["createdTime"] {
                    // Now, as the clock of this host has it: listings are compared with it.
                    let now = format!("{:.3}", jiff::Timestamp::now());
                    self.files.last_mut().unwrap().modified = Some(now.clone());
                    value["modifiedTime"] = now.into();
                }
                answer_json(&value)
            }
            Err(refusal) => refusal,
        }
    }

    fn make_folder(&mut self, request: &Request) -> Response {
        let Ok(description) = serde_json::from_slice::<Value>(&request.body) else {
            return refuse(400, "parseError");
        };
        if description["mimeType"] != FOLDER {
            return refuse(400, "invalid");
        }
        self.added(&description, Vec::new())
    }

    fn get(&self, id: &str, request: &Request) -> Response {
        let Some(file) = self.find(id) else { return refuse(404, "notFound") };
        if request.parameter("alt") != Some("media") {
            let fields = request.parameter("fields").unwrap_or("id");
            if !fields.split(',').all(|field| FILE_FIELDS.contains(&field)) {
                return refuse(400, "invalidParameter");
            }
            return answer_json(&json!({ "id": file.id,
                "webViewLink": format!("https://drive.google.com/drive/folders/{}", file.id) }));
        }
        if file.mime_type == FOLDER {
            return refuse(403, "fileNotDownloadable");
        }
        let Some(range) = request.header("range") else {
            return Response::new(200, file.bytes.clone());
        };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        if first >= file.bytes.len() {
            return refuse(416, "requestedRangeNotSatisfiable");
        }
        let end = (last + 1).min(file.bytes.len());
        let range = format!("bytes {first}-{}/{}", end - 1, file.bytes.len());
        Response::new(206, &file.bytes[first..end]).with("Content-Range", range)
    }

    fn delete(&mut self, id: &str) -> Response {
        if self.find(id).is_none() {
            return refuse(404, "notFound");
        }
        let mut gone = vec![id.to_owned()];
        while let Some(id) = gone.pop() {
            self.files.retain(|file| file.id != id);
            let below = self.files.iter().filter(|file| file.parent == id);
            gone.extend(below.map(|file| file.id.clone()));
        }
        Response::new(204, "")
    }
}
