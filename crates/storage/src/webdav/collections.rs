//! Makes the collections that files are put into.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::address::Address;
use super::{Levels, WebDav, refused};
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// Those that this process knows to be there, by their addresses. Held while one is made, so that a process
/// does not contend with itself for the server's lock on it.
#[derive(Debug, Default)]
pub(super) struct Collections {
    known: Mutex<HashSet<String>>,
}

impl Collections {
    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a server said that one is missing, none of them is known any more.
    pub(super) fn forget(&self) {
        self.known().clear();
    }
}

impl WebDav {
    /// Makes the collection `below` the address with those above it, where they are missing.
    pub(super) fn make_collection(&self, below: &str) -> Attempt<()> {
        let mut known = self.collections.known();
        // From the deepest on: usually only that is missing, and servers refuse to look at what is above
        // the part that belongs to a user.
        let mut address = self.address.below(below);
        let mut missing = Vec::new();
        while !known.contains(&address.collection("")) {
            if self.make(&address)? {
                known.insert(address.collection(""));
                break;
            }
            if address.depth() == 0 {
                let message = "the server has no collection at this path, and makes none";
                return Err(Failure::new(Cause::NoContainer, message));
            }
            let parent = address.ancestor(address.depth() - 1);
            missing.push(std::mem::replace(&mut address, parent));
        }
        for address in missing.into_iter().rev() {
            if !self.make(&address)? {
                // Removed since: the next attempt makes it again.
                known.clear();
                let message = format!("{address} was removed while it was used");
                return Err(Failure::new(Cause::Unavailable, message));
            }
            known.insert(address.collection(""));
        }
        Ok(())
    }

    /// `false` if the collection above it is missing.
    fn make(&self, address: &Address) -> Attempt<bool> {
        let url = address.collection("");
        if address.depth() == 0 {
            return Ok(self.properties(url, Levels::Itself)?.is_some());
        }
        let response = self.http.send(self.request("MKCOL", url.clone()))?;
        match response.status() {
            // 405: it is there.
            200 | 201 | 204 | 405 => Ok(true),
            404 | 409 => Ok(false),
            423 => Err(refused(response)),
            _ => {
                let failure = refused(response);
                // Some refuse to make what is there.
                match self.properties(url, Levels::Itself) {
                    Ok(Some(_)) => Ok(true),
                    _ => Err(failure),
                }
            }
        }
    }
}
