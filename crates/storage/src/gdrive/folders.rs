//! The folders that mirror the directories of keys.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::address::Address;
use super::client::Client;
use super::file::{self, DriveFile, FOLDER};
use super::{expect_success, refusal};
use crate::http::{Body, Request};
use crate::remote::Attempt;
use crate::{Cause, Failure, Key};

/// As long a folder is used without being looked for again: the owner may move it, another host make another.
const TRUSTED: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Folders {
    /// The id of what the names of the address begin below, or of the folder itself.
    root: String,
    names: Vec<String>,
    /// By their path from the root: all folders of one name, the one that stands first.
    known: Mutex<HashMap<String, Known>>,
    /// Held while one is made, so that this process makes none twice.
    making: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Known {
    ids: Vec<String>,
    since: Instant,
}

impl Folders {
    pub(super) fn new(address: Address, shared_drive: Option<&str>) -> Self {
        let (root, names) = match address {
            Address::Id(id) => (id, Vec::new()),
            Address::Names(names) => (shared_drive.unwrap_or("root").to_owned(), names),
        };
        Self { root, names, known: Mutex::default(), making: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After Drive said that one is missing, none of them is known any more.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// The names that lead from the root to a directory.
    fn path<'a>(&'a self, directory: Option<&'a Key>) -> Vec<&'a str> {
        let below = directory.map_or("", Key::as_str).split('/').filter(|name| !name.is_empty());
        self.names.iter().map(String::as_str).chain(below).collect()
    }

    /// The folders of a directory, the one that stands first; none if there is none.
    pub(super) fn find(&self, client: &Client, directory: Option<&Key>) -> Attempt<Vec<String>> {
        let path = self.path(directory);
        let mut ids = vec![self.root.clone()];
        for depth in 1..=path.len() {
            if ids.is_empty() {
                break;
            }
            ids = self.look(client, &path[..depth], &ids)?;
        }
        Ok(ids)
    }

    /// The folder of a directory that files are put into, made with those above it where there is none.
    pub(super) fn make(&self, client: &Client, directory: Option<&Key>) -> Attempt<String> {
        let path = self.path(directory);
        let mut ids = vec![self.root.clone()];
        for depth in 1..=path.len() {
            let found = self.look(client, &path[..depth], &ids)?;
            ids = if found.is_empty() { self.create(client, &path[..depth], &ids)? } else { found };
        }
        ids.into_iter().next().ok_or_else(|| Failure::new(Cause::NoContainer, "no folder"))
    }

    /// The folders of a path, of whose parent these are the folders.
    fn look(&self, client: &Client, path: &[&str], parents: &[String]) -> Attempt<Vec<String>> {
        let known = self.known().get(&path.join("/")).cloned();
        match known.filter(|known| known.since.elapsed() < TRUSTED) {
            Some(known) => Ok(known.ids),
            None => self.search(client, path, parents, None),
        }
    }

    /// With a folder that was just made, which a search need not find at once.
    fn search(
        &self,
        client: &Client,
        path: &[&str],
        parents: &[String],
        made: Option<DriveFile>,
    ) -> Attempt<Vec<String>> {
        let name = path.last().copied().unwrap_or_default();
        let mut found =
            client.named(name, parents).map_err(|failure| self.missing(parents, failure))?;
        found.retain(DriveFile::is_folder);
        if let Some(made) = made.filter(|made| found.iter().all(|file| file.id != made.id)) {
            found.push(made);
        }
        let ids: Vec<String> = file::in_order(found).into_iter().map(|file| file.id).collect();
        if !ids.is_empty() {
            self.keep(path, &ids);
        }
        Ok(ids)
    }

    fn keep(&self, path: &[&str], ids: &[String]) {
        let known = Known { ids: ids.to_vec(), since: Instant::now() };
        self.known().insert(path.join("/"), known);
    }

    fn create(&self, client: &Client, path: &[&str], parents: &[String]) -> Attempt<Vec<String>> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.look(client, path, parents)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let parent = parents.first().map(String::as_str).unwrap_or_default();
        let made = self.create_in(client, path.last().copied().unwrap_or_default(), parent)?;
        let id = made.id.clone();
        // Another host may have made one at the same moment: the one that stands is used by all.
        let mut ids = self.search(client, path, parents, Some(made))?;
        if ids.first() != Some(&id) {
            expect_gone(client, &id)?;
            ids.retain(|other| *other != id);
            self.keep(path, &ids);
        }
        Ok(ids)
    }

    fn create_in(&self, client: &Client, name: &str, parent: &str) -> Attempt<DriveFile> {
        let document = json!({ "name": name, "mimeType": FOLDER, "parents": [parent] });
        let request = Request::new("POST", client.files())
            .header("content-type", "application/json; charset=UTF-8")
            .body(Body::Bytes(document.to_string().into_bytes()));
        let response = client.send(&request)?;
        if response.status() == 404 && parent != self.root {
            return Err(self.removed_meanwhile(refusal::failure(response)));
        }
        super::client::parse(expect_success(response)?)
    }

    /// A failure of a search within folders: Drive refuses it if one of them is gone.
    pub(super) fn missing(&self, folders: &[String], failure: Failure) -> Failure {
        if failure.cause != Cause::NoContainer || folders.contains(&self.root) {
            return failure;
        }
        self.removed_meanwhile(failure)
    }

    /// A folder that was there before is missing: the next attempt looks for it, or makes it again.
    pub(super) fn removed_meanwhile(&self, failure: Failure) -> Failure {
        self.forget();
        Failure { cause: Cause::Unavailable, ..failure }
    }
}

/// Deletes a folder that nothing was put into.
fn expect_gone(client: &Client, id: &str) -> Attempt<()> {
    let response = client.send(&Request::new("DELETE", client.file(id, None)))?;
    if response.status() != 404 {
        expect_success(response)?;
    }
    Ok(())
}
