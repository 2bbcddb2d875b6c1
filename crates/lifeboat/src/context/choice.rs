//! Which repository is meant, and how it is opened.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_repository::KeepRules;
use lifeboat_storage::Storage;

use super::{Context, Overrides};
use crate::append_only::AppendOnly;
use crate::config::{Interval, RepositoryConfig, StoreConfig};
use crate::credential::{KeySource, parse_recipient};
use crate::location::{Location, Means};
use crate::password::PasswordSource;
use crate::{Error, Result};

/// How a repository is opened.
#[derive(Debug)]
pub(crate) struct Access {
    /// What opens it.
    pub(crate) key: Option<KeySource>,
    /// Nobody named the key: it is the default password file.
    pub(crate) by_default: bool,
    /// The only recipient that may be written for.
    pub(crate) recipient: Option<String>,
}

impl Access {
    /// Whether somebody said how it is opened, and so takes it for encrypted.
    pub(crate) fn is_given(&self) -> bool {
        self.recipient.is_some() || (self.key.is_some() && !self.by_default)
    }
}

/// Which repository is meant, and how it is opened.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// What the configuration calls it.
    pub(crate) name: Option<String>,
    pub(crate) location: Location,
    pub(crate) access: Access,
    /// How long captures are gathered before they are stored there.
    pub(crate) interval: Option<Duration>,
    /// Which backups stay there, where that is configured.
    pub(crate) keep: Option<KeepRules>,
    /// Nothing in it is removed by this host.
    pub(crate) append_only: bool,
    /// Neither named nor configured: made at first use.
    pub(crate) is_default: bool,
}

impl Chosen {
    /// The storage, which must be there.
    pub(crate) fn open(&self) -> Result<Arc<dyn Storage>> {
        let storage = self.location.open()?;
        Ok(if self.append_only { Arc::new(AppendOnly::new(storage)) } else { storage })
    }

    /// What it is called in the configuration, else where it is.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.location.to_string())
    }
}

impl Context {
    /// Which repository the user names, by URL or name.
    fn given(&self) -> Option<&str> {
        self.overrides.repository.as_deref().or_else(|| self.environment.setting("REPOSITORY"))
    }

    pub(super) fn chosen(&self) -> Result<Chosen> {
        self.choose(self.given())
    }

    /// The repository that is named, else all of the configuration, else the default one.
    pub(crate) fn every_chosen(&self) -> Vec<Result<Chosen>> {
        match (self.given(), &self.config().repositories) {
            (None, configured) if !configured.is_empty() => {
                configured.keys().map(|name| self.choose(Some(name))).collect()
            }
            (given, _) => vec![self.choose(given)],
        }
    }

    /// The same, those of this machine first: they are the quickest.
    pub(crate) fn in_order(&self) -> Vec<Result<Chosen>> {
        let mut chosen = self.every_chosen();
        let is_far = |chosen: &Chosen| chosen.location.local_path().is_none();
        chosen.sort_by_key(|chosen| chosen.as_ref().is_ok_and(is_far));
        chosen
    }

    fn choose(&self, given: Option<&str>) -> Result<Chosen> {
        self.choose_with(given, |entry| self.access(entry))
    }

    /// A second repository, by URL or name, to copy to. What opens the first one opens it if nothing else is
    /// said, here or in the configuration.
    pub(crate) fn choose_target(&self, to: &str, key: Option<KeySource>) -> Result<Chosen> {
        self.choose_with(Some(to), |entry| {
            let key = key.or_else(|| entry.and_then(RepositoryConfig::key));
            let recipient = entry.and_then(|entry| entry.recipient.clone());
            match key {
                Some(key) => Ok(Access { key: Some(key), by_default: false, recipient }),
                // Nobody has said that it is this repository's.
                None => Ok(Access { by_default: true, recipient, ..self.access(None)? }),
            }
        })
    }

    fn choose_with(
        &self,
        given: Option<&str>,
        access: impl FnOnce(Option<&RepositoryConfig>) -> Result<Access>,
    ) -> Result<Chosen> {
        let configured = &self.config().repositories;
        let (url, entry) = match given {
            Some(given) => {
                let named = configured.get_key_value(given);
                let entry =
                    named.or_else(|| configured.iter().find(|(_, entry)| entry.url == given));
                (entry.map_or_else(|| given.to_owned(), |(_, entry)| entry.url.clone()), entry)
            }
            None => match configured.iter().collect::<Vec<_>>().as_slice() {
                [] => (self.default_repository().display().to_string(), None),
                [only] => (only.1.url.clone(), Some(*only)),
                _ => {
                    let names: Vec<_> = configured.keys().map(String::as_str).collect();
                    return Err(Error::usage(
                        "several repositories are configured",
                        format!("choose one with --repository: {}", names.join(", ")),
                    ));
                }
            },
        };
        let is_default = given.is_none() && configured.is_empty();
        let (name, entry) = (entry.map(|(name, _)| name.clone()), entry.map(|(_, entry)| entry));
        let store = self.store_of(entry);
        let means = Means { environment: &self.environment, store: &store, state: &self.state };
        let location = Location::parse(&url, means)?;
        let keep = entry.and_then(|entry| entry.keep.clone());
        let interval = entry.and_then(|entry| entry.interval).map(Interval::get);
        let append_only = entry.is_some_and(|entry| entry.append_only);
        Ok(Chosen {
            name,
            location,
            access: access(entry)?,
            interval,
            keep,
            append_only,
            is_default,
        })
    }

    /// How a repository over a network is reached: as the command line says, else the entry.
    fn store_of(&self, entry: Option<&RepositoryConfig>) -> StoreConfig {
        let mut store = entry.map(|entry| entry.store.clone()).unwrap_or_default();
        let given = &self.overrides.store;
        store.endpoint = given.endpoint.clone().or(store.endpoint);
        store.region = given.region.clone().or(store.region);
        store.access_key = given.access_key.clone().or(store.access_key);
        store.secret_key = given.secret_key.clone().or(store.secret_key);
        store
    }

    /// How the repository of an entry of the configuration is opened: as the command line says, else
    /// the environment, else the entry, else with the default password. A repository whose recipient
    /// the configuration names is for a host that is meant to have none.
    fn access(&self, entry: Option<&RepositoryConfig>) -> Result<Access> {
        let Overrides { key, recipient, .. } = &self.overrides;
        let recipient = recipient.as_ref().or(entry.and_then(|entry| entry.recipient.as_ref()));
        recipient.map_or(Ok(()), |recipient| parse_recipient(recipient).map(drop))?;
        let key = key
            .clone()
            .or_else(|| KeySource::of_environment(&self.environment))
            .or_else(|| entry.and_then(RepositoryConfig::key));
        let default = self.default_password_file();
        let by_default = key.is_none() && recipient.is_none() && default.exists();
        let password = || KeySource::Password(PasswordSource::File(default.clone()));
        Ok(Access {
            key: key.or_else(|| by_default.then(password)),
            by_default,
            recipient: recipient.cloned(),
        })
    }
}
