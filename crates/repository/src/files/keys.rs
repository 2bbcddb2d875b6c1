//! `keys/`: a file for each password that opens the repository, so that restic opens the files part with it, too.

use std::collections::BTreeSet;

use lifeboat_restic::{
    KEY_FILE_USERNAME, KeyFileInfo, ResticRepository, list_key_files, remove_key_file,
    write_key_file,
};
use lifeboat_storage::secrecy::SecretString;

use crate::wrapping::{WrappingName, list};
use crate::{Repository, Result, Secrets};

impl Repository {
    /// Sees to it that restic opens the files part with this password, from which the secrets came, and with
    /// none that was taken away since.
    pub fn tend_restic_keys(
        &self,
        files: &ResticRepository,
        secrets: &Secrets,
        password: Option<&SecretString>,
    ) -> Result<()> {
        // Listed before the wrappings: another host writes the wrapping of a password first, and then its file.
        let files_there = list_key_files(self.storage())?;
        let names = list(self.storage())?;
        let wrappings: BTreeSet<String> =
            names.iter().map(|(name, _)| name.id.to_string()).collect();
        let mut held = BTreeSet::new();
        for file in files_there {
            if file.username != KEY_FILE_USERNAME {
                continue;
            }
            if wrappings.contains(&file.hostname) {
                held.insert(file.hostname);
            } else {
                remove_key_file(self.storage(), &file.id)?;
            }
        }
        let (Some(password), Some(opened)) = (password, secrets.opened()) else { return Ok(()) };
        let wrapping = opened.name.id.to_string();
        if opened.recipient.is_none() && !held.contains(&wrapping) {
            write_key_file(self.storage(), files.key(), password, &wrapping)?;
        }
        Ok(())
    }

    /// Has restic open the files part with a password that has this wrapping.
    pub fn add_restic_key(
        &self,
        files: &ResticRepository,
        password: &SecretString,
        wrapping: WrappingName,
    ) -> Result<()> {
        self.require_writable()?;
        write_key_file(self.storage(), files.key(), password, &wrapping.id.to_string())?;
        Ok(())
    }

    /// Whether restic opens the files part with the password from which the secrets came; `None` if they came
    /// from a person's key, of which restic knows nothing.
    pub fn has_restic_key(&self, secrets: &Secrets) -> Result<Option<bool>> {
        let Some(opened) = secrets.opened().filter(|opened| opened.recipient.is_none()) else {
            return Ok(None);
        };
        let wrapping = opened.name.id.to_string();
        let is_its =
            |file: &KeyFileInfo| file.username == KEY_FILE_USERNAME && file.hostname == wrapping;
        Ok(Some(list_key_files(self.storage())?.iter().any(is_its)))
    }
}
