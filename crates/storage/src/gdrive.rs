//! Objects in a folder of Google Drive, over its API (version 3).
//!
//! An object is a file, its key the path below the folder, so that the owner sees a sensible tree. With the
//! scope `drive.file` only what this application made is seen, and nothing else can be touched.
//!
//! Drive allows several files, and folders, of one name in one folder, and has no condition that would
//! refuse a taken one: [`CreateNew::Checked`]. Duplicates are settled by a rule that all hosts apply alike:
//! the oldest stands, of those of one instant the one with the smallest id. Whoever created a file looks
//! afterwards, and if another one stands, removes its own and reports the key as taken. Folders of one
//! name are read as one.
//!
//! A file appears when its upload is complete, whole; what was begun and not finished is never visible,
//! and Drive forgets it after a week. So nothing needs a temporary name, and there is nothing to sweep.
//!
//! Requests of each operation, once the folders are known (they are asked for again after a minute):
//!
//! | operation | requests |
//! |---|---|
//! | an object of up to 4 MiB | 3: look, upload, look again |
//! | a larger one | 3, and one for each chunk of 8 MiB |
//! | read | 1; 2 if it was not listed before |
//! | stat | 1 |
//! | listing | 1 for each folder, or 1,000 of what is in it |
//! | removal | 4 |
//! | a new folder | 3 |

mod address;
mod authorization;
mod client;
mod endpoints;
mod file;
mod folders;
mod listing;
mod loopback;
mod oauth;
mod options;
mod pace;
mod query;
mod rclone_config;
mod refusal;
mod resumable;
mod token_file;
mod tokens;
mod upload;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub use self::authorization::{Authorization, AuthorizationOptions, OAuthClient};
pub use self::endpoints::DriveEndpoints;
pub use self::options::DriveOptions;
pub use self::rclone_config::{ImportedDrive, import_rclone_drive};
pub use self::token_file::TokenFile;

use self::address::Address;
use self::client::{Client, expect_success};
use self::file::DriveFile;
use self::folders::Folders;
use crate::http::Request;
use crate::remote::{Attempt, Depth, NewObject, Opened, Page, Remote, RemoteStorage};
use crate::{Cause, CreateNew, Entry, Error, Failure, Key, Patience, Result, Storage};

/// As many files are remembered, to be read without being looked for.
const REMEMBERED: usize = 10_000;

/// A folder of Google Drive.
#[derive(Clone, Debug)]
pub struct GoogleDrive {
    drive: Arc<Drive>,
    storage: Arc<RemoteStorage<Shared>>,
}

impl GoogleDrive {
    /// The folder at `gdrive://Folder Name/Sub`, below the root of the drive, or `gdrive:id:FOLDERID`. It is made
    /// when something is put into it. Nothing is sent yet.
    ///
    /// [`Cause::Invalid`] for an address that is none, [`Cause::Unauthenticated`] if there is no file of tokens.
    pub fn open(url: &str, options: &DriveOptions) -> Result<Self> {
        let failed = |failure: Failure| Error::Storage {
            operation: "open",
            object: "the folder".to_owned(),
            location: url.to_owned(),
            source: failure.into(),
        };
        let drive = Arc::new(Drive::new(url, options).map_err(failed)?);
        let storage = RemoteStorage::new(Shared(Arc::clone(&drive)), options.remote.clone());
        Ok(Self { drive, storage: Arc::new(storage) })
    }

    /// The objects.
    #[must_use]
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage) as Arc<dyn Storage>
    }

    /// Where the owner sees the folder in a browser; `None` as long as there is none.
    pub fn link(&self) -> Result<Option<String>> {
        self.drive.link().map_err(|failure| Error::Storage {
            operation: "look at",
            object: "the folder".to_owned(),
            location: self.drive.location.clone(),
            source: failure.into(),
        })
    }

    /// When access ends unless it is granted again, as far as Google told; see [`TokenFile::expires`].
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.drive.client.expires()
    }
}

/// The drive, as all requests see it.
#[derive(Debug)]
struct Drive {
    client: Client,
    folders: Folders,
    location: String,
    chunk_bytes: u64,
    /// Files that were seen under a key.
    seen: Mutex<HashMap<Key, DriveFile>>,
}

impl Drive {
    fn new(url: &str, options: &DriveOptions) -> Attempt<Self> {
        let address = Address::parse(url)?;
        let location = address.to_string();
        let client = Client::new(options)?;
        let folders = Folders::new(address, options.shared_drive.as_deref());
        let chunk_bytes = resumable::whole_units(options.chunk_bytes);
        Ok(Self { client, folders, location, chunk_bytes, seen: Mutex::default() })
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Key, DriveFile>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: &Key, file: &DriveFile) {
        self.room_for_one().insert(key.clone(), file.clone());
    }

    /// A listing goes through its pages from the file that stands to its duplicates.
    fn remember_listed(&self, key: Key, file: DriveFile) {
        self.room_for_one().entry(key).or_insert(file);
    }

    fn room_for_one(&self) -> MutexGuard<'_, HashMap<Key, DriveFile>> {
        let mut seen = self.seen();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen
    }

    /// All files under a key; the first is the one that stands.
    fn files(&self, key: &Key) -> Attempt<Vec<DriveFile>> {
        let folders = self.folders.find(&self.client, key.parent().as_ref())?;
        if folders.is_empty() {
            return Ok(Vec::new());
        }
        let named = self.client.named(key.file_name(), &folders);
        let named = named.map_err(|failure| self.folders.missing(&folders, failure))?;
        Ok(file::in_order(named.into_iter().filter(DriveFile::is_object).collect()))
    }

    fn file(&self, key: &Key) -> Attempt<Option<DriveFile>> {
        let file = self.files(key)?.into_iter().next();
        match &file {
            Some(file) => self.remember(key, file),
            None => drop(self.seen().remove(key)),
        }
        Ok(file)
    }

    fn open_file(
        &self,
        file: &DriveFile,
        range: &Range<u64>,
        version: Option<&str>,
    ) -> Attempt<Option<Opened>> {
        let now = file.version();
        if version.is_some_and(|version| version != now) {
            return Ok(None);
        }
        let range = range.start..range.end.min(file.size()?);
        if range.is_empty() {
            return Ok(Some(Opened { reader: Box::new(io::empty()), version: Some(now) }));
        }
        let mut request = Request::new("GET", self.client.media(&file.id)).without_redirects();
        let is_whole = range == (0..file.size()?);
        if !is_whole {
            request = request.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        let response = self.client.send(&request)?;
        match response.status() {
            404 => return Ok(None),
            200 if is_whole => {}
            206 if !is_whole => {}
            200 | 206 => {
                return Err(Failure::new(Cause::Protocol, "another range than was asked for"));
            }
            _ => return Err(refusal::failure(response)),
        }
        Ok(Some(Opened { reader: response.into_reader(), version: Some(now) }))
    }

    /// Deletes a file for good, if it is there.
    fn delete(&self, id: &str) -> Attempt<()> {
        let request = Request::new("DELETE", self.client.file(id, None));
        match self.client.send(&request)? {
            response if response.status() == 404 => Ok(()),
            response => expect_success(response).map(drop),
        }
    }

    fn link(&self) -> Attempt<Option<String>> {
        let Some(id) = self.folders.find(&self.client, None)?.into_iter().next() else {
            return Ok(None);
        };
        let request = Request::new("GET", self.client.file(&id, Some("webViewLink")));
        let found: file::Linked = self.client.json(&request)?;
        Ok(found.web_view_link)
    }
}

/// What a storage and its [`GoogleDrive`] have in common.
#[derive(Debug)]
struct Shared(Arc<Drive>);

impl Remote for Shared {
    fn location(&self) -> String {
        self.0.location.clone()
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Checked
    }

    fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        self.0.create(object, patience)
    }

    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>> {
        // A file never changes, but another one may have taken its place: then it is looked for.
        let seen = self.0.seen().get(key).cloned();
        if let Some(file) = seen
            && !range.is_empty()
            && let Some(opened) = self.0.open_file(&file, &range, version)?
        {
            return Ok(Some(opened));
        }
        match self.0.file(key)? {
            Some(file) => self.0.open_file(&file, &range, version),
            None => Ok(None),
        }
    }

    fn stat(&self, key: &Key) -> Attempt<Option<Entry>> {
        let file = self.0.file(key)?;
        file.map(|file| file.entry(key.clone())).transpose()
    }

    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page> {
        self.0.page(directory, depth, from)
    }

    fn remove(&self, key: &Key) -> Attempt<()> {
        // The one that stands goes last: without it, another of the same name would take its place.
        self.0.files(key)?.iter().rev().try_for_each(|file| self.0.delete(&file.id))
    }

    fn free_bytes(&self) -> Attempt<Option<u64>> {
        self.0.client.free_bytes()
    }
}
