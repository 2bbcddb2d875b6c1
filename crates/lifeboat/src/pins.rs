//! Which keys may sign for which host: remembered per repository at first sight.
//!
//! Who can write to a repository can make manifests: objects are encrypted for a public key. What
//! they cannot do is sign as a host did before.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_repository::{BackupName, HostTrust, Judgement};

use crate::Result;
use crate::state::StateDirectory;

/// The keys of hosts in one repository.
#[derive(Debug)]
pub(crate) struct Pins {
    state: StateDirectory,
    repository: String,
    /// The public key of this machine.
    own: String,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    hosts: BTreeMap<String, Vec<String>>,
    /// Seen for the first time, and not written down yet.
    first: Vec<(String, String)>,
}

impl Pins {
    pub(crate) fn load(state: &StateDirectory, repository: &str, own: String) -> Result<Self> {
        let hosts = state.repository(repository)?.hosts;
        Ok(Self {
            state: state.clone(),
            repository: repository.to_owned(),
            own,
            known: Mutex::new(Known { hosts, first: Vec::new() }),
        })
    }

    /// Writes down what was seen for the first time, and returns it: host and key. Where another
    /// process was first with another key, that one stays.
    pub(crate) fn keep(&self) -> Result<Vec<(String, String)>> {
        let first = std::mem::take(&mut self.known().first);
        if first.is_empty() {
            return Ok(first);
        }
        self.state.update_repository(&self.repository, |state| {
            first.iter().for_each(|(host, public)| state.pin_first(host, public));
            Ok(())
        })?;
        Ok(first)
    }

    /// Lets one more key sign for a host.
    pub(crate) fn accept(&self, host: &str, public: &str) -> Result<()> {
        self.state.update_repository(&self.repository, |state| {
            state.pin(host, public);
            self.known().hosts.clone_from(&state.hosts);
            Ok(())
        })
    }

    /// Hosts and their keys.
    pub(crate) fn hosts(&self) -> BTreeMap<String, Vec<String>> {
        self.known().hosts.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostTrust for Pins {
    fn judge(&self, name: &BackupName, public: &str) -> Judgement {
        let mut known = self.known();
        let host = &name.host;
        // The key of whoever wrote a later revision says nothing about the host: it is not pinned,
        // and any that is known here will do.
        let later = name.revision > 1;
        let is_known =
            || public == self.own || known.hosts.values().flatten().any(|known| known == public);
        match known.hosts.get(host) {
            Some(keys) if keys.iter().any(|key| key == public) => Judgement::Trusted,
            Some(keys) if !(later && is_known()) => Judgement::Refused(keys.clone()),
            None if !later => {
                known.hosts.insert(host.clone(), vec![public.to_owned()]);
                known.first.push((host.clone(), public.to_owned()));
                Judgement::Trusted
            }
            _ => Judgement::Trusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::{BackupId, BackupName, Form, HostTrust, Judgement, Time};

    use super::Pins;
    use crate::state::StateDirectory;

    fn load(state: &StateDirectory, repository: &str) -> Pins {
        Pins::load(state, repository, "own".to_owned()).unwrap()
    }

    fn verdict(pins: &Pins, host: &str, revision: u32, key: &str) -> Judgement {
        let (started, id) = (Time::from_millis(0), BackupId::random());
        let (host, form) = (host.to_owned(), Form::Sealed);
        pins.judge(&BackupName { started, id, revision, host, form }, key)
    }

    fn judged(pins: &Pins, host: &str, key: &str) -> bool {
        verdict(pins, host, 1, key) == Judgement::Trusted
    }

    #[test]
    fn the_first_key_counts_until_another_is_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        let pins = load(&state, "r");
        assert!(judged(&pins, "pi", "aa") && judged(&pins, "pi", "aa"));
        assert_eq!(verdict(&pins, "pi", 1, "bb"), Judgement::Refused(vec!["aa".to_owned()]));
        assert!(judged(&pins, "nas", "bb"));
        assert_eq!(pins.keep().unwrap().len(), 2);
        assert!(pins.keep().unwrap().is_empty());

        let again = load(&state, "r");
        assert!(!judged(&again, "pi", "bb"));
        again.accept("pi", "bb").unwrap();
        let later = load(&state, "r");
        for pins in [&again, &later] {
            // What the host signed before stays readable.
            assert!(judged(pins, "pi", "bb") && judged(pins, "pi", "aa"));
        }
        assert!(judged(&load(&state, "other"), "pi", "cc"));
    }

    #[test]
    fn a_later_revision_may_come_from_any_host_that_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        let pins = load(&state, "r");
        let later = |key| verdict(&pins, "pi", 2, key) == Judgement::Trusted;
        // At first sight of the host, and without taking it for the host's.
        assert!(later("cc") && pins.hosts().is_empty());
        assert!(judged(&pins, "pi", "aa") && judged(&pins, "nas", "bb"));
        for (key, trusted) in [("aa", true), ("bb", true), ("own", true), ("cc", false)] {
            assert_eq!(later(key), trusted, "{key}");
        }
        assert!(!judged(&pins, "pi", "bb") && !judged(&pins, "pi", "own"));
    }

    #[test]
    fn of_two_that_save_at_once_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let state = state.clone();
                scope.spawn(move || {
                    for number in 0..10 {
                        let pins = load(&state, "r");
                        assert!(judged(&pins, &format!("host-{thread}-{number}"), "aa"));
                        pins.keep().unwrap();
                    }
                });
            }
        });
        assert_eq!(load(&state, "r").hosts().len(), 80);
        // Of two first keys the one that was written down first stays.
        let (one, other) = (load(&state, "q"), load(&state, "q"));
        assert!(judged(&one, "pi", "aa") && judged(&other, "pi", "bb"));
        one.keep().unwrap();
        other.keep().unwrap();
        assert!(!judged(&load(&state, "q"), "pi", "bb"));
    }
}
