//! Requests to Drive, with a token, at a pace.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::file::{DriveFile, FIELDS, FileList};
use super::pace::Pace;
use super::tokens::Tokens;
use super::{DriveOptions, query, refusal};
use crate::http::{Http, Request, Response};
use crate::remote::Attempt;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, Failure, percent};

/// The largest answer that is read: a page of 1,000 files is smaller.
const MAX_ANSWER: u64 = 8 << 20;
/// Of a search; Drive gives no more.
const PAGE: &str = "1000";

#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    tokens: Tokens,
    pace: Pace,
    api: String,
    shared_drive: Option<String>,
}

/// Which page of a search, and in which order.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) page: Option<&'a str>,
    pub(super) order: Option<&'a str>,
}

impl Client {
    pub(super) fn new(options: &DriveOptions) -> Attempt<Self> {
        let http = Http::new(&options.http)?;
        Ok(Self {
            tokens: Tokens::load(&options.token_file, &options.endpoints.token, http.clone())?,
            http,
            pace: Pace::new(options.requests_per_second),
            api: options.endpoints.api.trim_end_matches('/').to_owned(),
            shared_drive: options.shared_drive.clone(),
        })
    }

    pub(super) fn expires(&self) -> Option<std::time::SystemTime> {
        self.tokens.expires()
    }

    /// An address of the API with these parameters, and those that open shared drives.
    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}?supportsAllDrives=true", self.api);
        for (name, value) in parameters {
            url.push_str(&format!("&{name}={}", percent::encode(value, b"")));
        }
        url
    }

    /// The address of a file's description, or of the file where no fields are named.
    pub(super) fn file(&self, id: &str, fields: Option<&str>) -> String {
        let path = format!("/drive/v3/files/{}", percent::encode(id, b""));
        match fields {
            Some(fields) => self.url(&path, &[("fields", fields)]),
            None => self.url(&path, &[]),
        }
    }

    /// The address of a file's bytes.
    pub(super) fn media(&self, id: &str) -> String {
        self.url(&format!("/drive/v3/files/{}", percent::encode(id, b"")), &[("alt", "media")])
    }

    /// The address that makes a folder.
    pub(super) fn files(&self) -> String {
        self.url("/drive/v3/files", &[("fields", FIELDS)])
    }

    /// The address that takes a file; of `uploadType`.
    pub(super) fn uploads(&self, upload_type: &str) -> String {
        let parameters = [("uploadType", upload_type), ("fields", FIELDS)];
        self.url("/upload/drive/v3/files", &parameters)
    }

    /// Whether an address is one of the API, so that it may see the token.
    pub(super) fn owns(&self, url: &str) -> bool {
        url.strip_prefix(&self.api).is_some_and(|path| path.starts_with('/'))
    }

    /// Sends a request; once more if its token was refused, with another one.
    pub(super) fn send(&self, request: &Request<'_>) -> Attempt<Response> {
        let token = self.tokens.get()?;
        let response = self.send_with(request, &token)?;
        if response.status() != 401 {
            return Ok(response);
        }
        self.send_with(request, &self.tokens.instead_of(&token)?)
    }

    fn send_with(&self, request: &Request<'_>, token: &SecretString) -> Attempt<Response> {
        self.pace.pass();
        let value = format!("Bearer {}", token.expose_secret());
        self.http.send(request.clone().secret_header("authorization", value))
    }

    /// The document that a request is answered with.
    pub(super) fn json<T: DeserializeOwned>(&self, request: &Request<'_>) -> Attempt<T> {
        parse(expect_success(self.send(request)?)?)
    }

    /// A page of a search.
    pub(super) fn search(&self, query: &str, wanted: Wanted<'_>) -> Attempt<FileList> {
        let fields = format!("nextPageToken,files({FIELDS})");
        let mut parameters = vec![
            ("q", query),
            ("pageSize", PAGE),
            ("fields", &fields),
            ("includeItemsFromAllDrives", "true"),
        ];
        parameters.extend(wanted.order.map(|order| ("orderBy", order)));
        parameters.extend(wanted.page.map(|page| ("pageToken", page)));
        if let Some(drive) = &self.shared_drive {
            parameters.extend([("corpora", "drive"), ("driveId", drive)]);
        }
        self.json(&Request::new("GET", self.url("/drive/v3/files", &parameters)))
    }

    /// What has exactly this name in any of these folders.
    pub(super) fn named(&self, name: &str, folders: &[String]) -> Attempt<Vec<DriveFile>> {
        let mut found = Vec::new();
        for folder in folders {
            found.extend(self.search_all(&query::named(name, folder), None)?);
        }
        found.retain(|file| file.name == name);
        Ok(found)
    }

    /// All pages of a search.
    pub(super) fn search_all(&self, query: &str, order: Option<&str>) -> Attempt<Vec<DriveFile>> {
        let mut found = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let list = self.search(query, Wanted { page: page.as_deref(), order })?;
            found.extend(list.files);
            page = list.next_page_token;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// What is left of the owner's quota; `None` where there is none, and in a shared drive.
    pub(super) fn free_bytes(&self) -> Attempt<Option<u64>> {
        if self.shared_drive.is_some() {
            return Ok(None);
        }
        let url = format!("{}/drive/v3/about?fields=storageQuota", self.api);
        let about: About = self.json(&Request::new("GET", url))?;
        let parsed = |text: Option<String>| text?.parse::<u64>().ok();
        let (limit, usage) = (parsed(about.storage_quota.limit), parsed(about.storage_quota.usage));
        Ok(limit.zip(usage).map(|(limit, usage)| limit.saturating_sub(usage)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    storage_quota: Quota,
}

#[derive(Deserialize)]
struct Quota {
    limit: Option<String>,
    usage: Option<String>,
}

pub(super) fn expect_success(response: Response) -> Attempt<Response> {
    if response.is_success() { Ok(response) } else { Err(refusal::failure(response)) }
}

pub(super) fn parse<T: DeserializeOwned>(response: Response) -> Attempt<T> {
    let bytes = response.bytes(MAX_ANSWER)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Cause::Protocol, format!("Drive answers something else than it says: {error}"))
    })
}
