//! Whom an entry belongs to, and giving it its metadata.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use super::found::Found;
use super::metadata::{self, Owner};
use super::{Owners, Put};
use crate::Metadata;

impl Put {
    /// Whom an entry belongs to on this host.
    pub(super) fn owner(&mut self, metadata: &Metadata) -> Owner {
        let set = self.is_root && self.options.owners != Owners::Mine;
        let (mut user_id, mut group_id) = (metadata.user_id, metadata.group_id);
        if self.options.owners == Owners::ByName {
            match self.owner_names.user_id(&metadata.user) {
                Some(number) => user_id = number,
                None if set && !metadata.user.is_empty() => {
                    self.report.unknown_owner(&metadata.user);
                }
                None => {}
            }
            match self.owner_names.group_id(&metadata.group) {
                Some(number) => group_id = number,
                None if set && !metadata.group.is_empty() => {
                    self.report.unknown_owner(&metadata.group);
                }
                None => {}
            }
        }
        Owner { user_id, group_id, set }
    }

    /// Gives metadata to what has the name; `file` is the inode itself.
    pub(super) fn apply(
        &mut self,
        name: &OsStr,
        file: impl AsFd,
        metadata: &Metadata,
        fresh: bool,
    ) {
        let owner = self.owner(metadata);
        let applied = match metadata::apply(file, metadata, owner, fresh) {
            Ok(applied) => applied,
            Err(error) => return self.problem(name, "set the metadata of", error),
        };
        for (operation, error) in applied.failures {
            self.problem(name, operation, error);
        }
        self.report.set_id_dropped += u64::from(applied.set_id_dropped);
        self.report.owners_skipped += u64::from(applied.owner_skipped);
    }

    /// Whether something that is there may get the metadata of an entry, as it is.
    ///
    /// What has more names than the entry would change under those as well. And where others may
    /// write, they may have put it there: a file of theirs must not become a program with the
    /// rights of someone else, as they may still have it open for writing; and another name for a
    /// file of someone else must not give them that file.
    pub(super) fn may_stay(&mut self, found: &Found, metadata: &Metadata) -> bool {
        if found.links > 1 && (metadata.links <= 1 || self.links.is_taken(found.identity)) {
            return false;
        }
        let owner = self.owner(metadata);
        let privileged = metadata.permissions & (metadata::SET_USER | metadata::SET_GROUP) != 0
            || metadata.attributes.iter().any(|attribute| attribute.name == metadata::CAPABILITY);
        !owner.set || owner.is_of(found) || (found.links == 1 && !privileged)
    }
}
