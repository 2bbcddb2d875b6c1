//! Makes repositories.

use lifeboat_repository::{Holder, Repository};

use super::{Access, Chosen, Context};
use crate::credential::{KeySource, parse_recipient};
use crate::opened::OpenRepository;
use crate::password::PasswordSource;
use crate::state::hostname;
use crate::{Environment, Error, Note, Progress, Result};

impl Context {
    /// Makes the repository. Without a password one is generated into the default password file.
    pub fn init(&self, progress: &dyn Progress) -> Result<OpenRepository<'_>> {
        let mut chosen = self.chosen()?;
        let Chosen { location, access, .. } = &mut chosen;
        location.refuse_replica()?;
        self.refuse_recipient(access)?;
        let password = match access.key.take() {
            Some(KeySource::Password(password)) => password,
            Some(KeySource::Identity(_)) => {
                return Err(Error::usage(
                    "a repository cannot be made with --identity",
                    "name the public key of whoever may read it: --recipient age1…",
                ));
            }
            None => {
                let path = self.default_password_file();
                // First the place: a password for a repository that cannot be made helps nobody.
                location.create()?;
                crate::password::generate(&path)?;
                progress.note(&Note::PasswordMade { path: path.clone() });
                PasswordSource::File(path)
            }
        };
        let secret = password.get()?;
        let label = self.key_label();
        access.key = Some(KeySource::Password(password));
        self.make(chosen, &[(Holder::Password(&secret), &label)], progress)
    }

    /// Makes the repository for persons alone, named by their age recipients: nobody on this host
    /// can read what it writes, and there is no password.
    pub fn init_for(
        &self,
        persons: &[String],
        progress: &dyn Progress,
    ) -> Result<OpenRepository<'_>> {
        let mut chosen = self.chosen()?;
        chosen.location.refuse_replica()?;
        self.refuse_recipient(&chosen.access)?;
        if self.overrides.key.is_some() {
            return Err(Error::usage(
                "a repository for recipients has no password",
                "make it with one of both; `lifeboat key add` adds the other",
            ));
        }
        let persons = persons.iter().map(|person| parse_recipient(person));
        let persons = persons.collect::<Result<Vec<_>>>()?;
        let holders: Vec<_> = persons.iter().map(|person| (Holder::Person(person), "")).collect();
        chosen.access.key = None;
        self.make(chosen, &holders, progress)
    }

    /// A repository that is being made has a recipient that nobody can know beforehand.
    fn refuse_recipient(&self, access: &Access) -> Result<()> {
        access.recipient.as_ref().map_or(Ok(()), |recipient| {
            Err(Error::usage(
                format!("a new repository cannot have the recipient {recipient}"),
                "make it first, then put the recipient that it gets into the configuration",
            ))
        })
    }

    fn make(
        &self,
        chosen: Chosen,
        holders: &[(Holder<'_>, &str)],
        progress: &dyn Progress,
    ) -> Result<OpenRepository<'_>> {
        let storage = self.wrap(chosen.location.create()?);
        Repository::init_for(storage.clone(), holders)?;
        let opened = OpenRepository::open(self, storage, chosen)?;
        // Nobody else has had a chance to put another recipient there.
        opened.remember(opened.repository().recipient()?.recipient.clone())?;
        progress.note(&Note::RepositoryMade { location: opened.repository().location() });
        Ok(opened)
    }

    /// Makes a repository of form `litestream`, which has no password.
    ///
    /// [`Error::NotEncrypted`] if one is given: whoever gives it expects what this form does not do.
    pub fn init_litestream(&self, progress: &dyn Progress) -> Result<OpenRepository<'_>> {
        let chosen = self.chosen()?;
        if chosen.access.is_given() {
            return Err(Error::NotEncrypted { location: chosen.location.to_string() });
        }
        if chosen.location.local_path().is_none() {
            // Litestream has other names in each of these stores.
            return Err(Error::usage(
                format!("form litestream cannot be kept at {}", chosen.location),
                "keep it in a directory, or use form sealed",
            ));
        }
        chosen.location.refuse_replica()?;
        let storage = self.wrap(chosen.location.create()?);
        Repository::init_litestream(storage.clone())?;
        let opened = OpenRepository::open(self, storage, chosen)?;
        progress.note(&Note::RepositoryMade { location: opened.repository().location() });
        opened.remember_plain()?;
        progress.note(&Note::NotEncrypted { location: opened.repository().location() });
        Ok(opened)
    }

    /// What a password of this user on this machine is called in listings.
    pub(crate) fn key_label(&self) -> String {
        format!("{} on {}", whoami(&self.environment), hostname())
    }
}

fn whoami(environment: &Environment) -> String {
    environment.text("USER").unwrap_or("root").to_owned()
}
