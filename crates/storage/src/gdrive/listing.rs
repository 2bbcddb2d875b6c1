//! Walks through folders, each asked for by itself.
//!
//! One request for many would cost less, and is not to be had: of several folders Drive finds less than there is
//! (`query.rs`). A search by `appProperties` finds what was marked when it was written, which nothing in the
//! repositories of today is. A search for all that this client has put there has those of its other repositories, and
//! new files only after a while. What a listing lacks a prune takes for gone.

use std::collections::BTreeMap;
use std::thread;

use serde::{Deserialize, Serialize};

use super::client::Wanted;
use super::file::{self, DriveFile, FileList};
use super::{Drive, query};
use crate::remote::{Attempt, Depth, Page};
use crate::{Cause, Failure, Key};

/// As many folders are asked for at once.
const AT_ONCE: usize = 4;
/// The one that stands comes before its duplicates.
const ORDER: &str = "folder,createdTime";

/// A directory, or the rest of one, that is still to be asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    directory: Option<String>,
    folders: Vec<String>,
    page: Option<String>,
}

/// What was found in a directory.
#[derive(Default)]
struct Listed {
    page: Page,
    below: Vec<Waiting>,
    rest: Option<Waiting>,
}

impl Drive {
    /// The next folders of a listing; `from` holds those that are still to be asked for.
    pub(super) fn page(
        &self,
        directory: Option<&Key>,
        depth: Depth,
        from: Option<&str>,
    ) -> Attempt<Page> {
        let mut waiting = match from {
            Some(from) => serde_json::from_str(from).map_err(|error| {
                Failure::new(Cause::Invalid, format!("no place in a listing: {error}"))
            })?,
            None => self.first(directory)?,
        };
        let now = waiting.split_off(waiting.len().saturating_sub(AT_ONCE));
        let mut page = Page::default();
        for (listed, waiting_for) in self.list_at_once(&now).into_iter().zip(&now) {
            let listed = match listed {
                // Found a moment ago and gone by now, with all that was in it.
                Err(failure) if failure.cause == Cause::NoContainer && from.is_some() => continue,
                listed => {
                    listed.map_err(|failure| self.folders.missing(&waiting_for.folders, failure))?
                }
            };
            page.entries.extend(listed.page.entries);
            page.directories.extend(listed.page.directories);
            waiting.extend(listed.rest);
            if depth == Depth::All {
                waiting.extend(listed.below);
            }
        }
        if depth == Depth::All {
            page.directories.clear();
        }
        if !waiting.is_empty() {
            let text = serde_json::to_string(&waiting).map_err(|error| {
                Failure::new(Cause::Local, format!("a place in a listing: {error}"))
            })?;
            page.next = Some(text);
        }
        Ok(page)
    }

    fn first(&self, directory: Option<&Key>) -> Attempt<Vec<Waiting>> {
        let folders = self.folders.find(&self.client, directory)?;
        if folders.is_empty() {
            return Ok(Vec::new());
        }
        let directory = directory.map(Key::to_string);
        Ok(vec![Waiting { directory, folders, page: None }])
    }

    fn list_at_once(&self, waiting: &[Waiting]) -> Vec<Attempt<Listed>> {
        thread::scope(|scope| {
            let ask = |waiting: &Waiting| self.list_folders(waiting);
            let others: Vec<_> =
                waiting.iter().skip(1).map(|one| scope.spawn(move || ask(one))).collect();
            let first: Vec<_> = waiting.iter().take(1).map(ask).collect();
            let join = |other: thread::ScopedJoinHandle<'_, Attempt<Listed>>| match other.join() {
                Ok(listed) => listed,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            first.into_iter().chain(others.into_iter().map(join)).collect()
        })
    }

    /// A page of a folder. Of several of one name, which is rare, all: which of two files stands is known only then.
    fn search_in(&self, waiting: &Waiting) -> Attempt<FileList> {
        if let [folder] = &waiting.folders[..] {
            let wanted = Wanted { page: waiting.page.as_deref(), order: Some(ORDER) };
            return self.client.search(&query::within(folder), wanted);
        }
        let mut files = Vec::new();
        for folder in &waiting.folders {
            files.extend(self.client.search_all(&query::within(folder), Some(ORDER))?);
        }
        Ok(FileList { files, next_page_token: None })
    }

    fn list_folders(&self, waiting: &Waiting) -> Attempt<Listed> {
        let FileList { files, next_page_token } = self.search_in(waiting)?;
        let directory: Option<Key> =
            waiting.directory.as_deref().and_then(|text| text.parse().ok());
        let mut listed = Listed::default();
        let mut below: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        let mut objects: BTreeMap<Key, DriveFile> = BTreeMap::new();
        for file in file::in_order(files) {
            // A name that is no key belongs to somebody else.
            let Ok(key) = Key::below(directory.as_ref(), &file.name) else { continue };
            if file.is_folder() {
                below.entry(key).or_default().push(file.id);
            } else if file.is_object() {
                objects.entry(key).or_insert(file);
            }
        }
        for (key, file) in objects {
            listed.page.entries.push(file.entry(key.clone())?);
            self.remember_listed(key, file);
        }
        for (key, folders) in below {
            let directory = Some(key.to_string());
            listed.below.push(Waiting { directory, folders, page: None });
            listed.page.directories.push(key);
        }
        listed.rest = next_page_token.map(|token| Waiting {
            directory: waiting.directory.clone(),
            folders: waiting.folders.clone(),
            page: Some(token),
        });
        Ok(listed)
    }
}
