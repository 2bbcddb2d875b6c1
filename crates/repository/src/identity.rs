//! The secrets of a repository, and the age identity file that holds them.

use std::str::FromStr;

use lifeboat_storage::secrecy::ExposeSecret;
use lifeboat_storage::{Key, x25519};

use crate::wrapping::{Wrapping, WrappingName};
use crate::{Error, Result, Time};

/// The secrets that open the objects of a repository.
pub struct Secrets {
    /// One for each generation, oldest first; then those of generations that were begun and never
    /// came to be. Objects may be sealed for any of them.
    identities: Vec<x25519::Identity>,
    generations: usize,
    opened: Option<Wrapping>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Secrets({})", self.generations)
    }
}

/// The content of one wrapping.
pub(crate) struct Unwrapped {
    pub(crate) wrapping: Wrapping,
    pub(crate) identities: Vec<x25519::Identity>,
}

impl Secrets {
    /// The secret of a first generation.
    pub(crate) fn generate() -> Self {
        Self { identities: vec![x25519::Identity::generate()], generations: 1, opened: None }
    }

    /// What reading a repository needs that is not sealed: nothing.
    pub const fn none() -> Self {
        Self { identities: Vec::new(), generations: 0, opened: None }
    }

    /// Those of all wrappings that were opened, the newest first; at least one. `current` is the
    /// recipient in use.
    ///
    /// A rotation that did not come to its end leaves wrappings with a secret that no recipient
    /// names. So the one that holds the secret of the recipient in use says which are the
    /// generations; what the others hold besides is kept for reading.
    pub(crate) fn of(mut unwrapped: Vec<Unwrapped>, current: Option<&str>) -> Option<Self> {
        let place = |unwrapped: &Unwrapped| {
            current.and_then(|current| position(&unwrapped.identities, current))
        };
        let at = unwrapped.iter().position(|unwrapped| place(unwrapped).is_some()).unwrap_or(0);
        if unwrapped.is_empty() {
            return None;
        }
        let main = unwrapped.remove(at);
        let named = main.wrapping.name.generation as usize;
        let generations = place(&main).map_or(named, |at| at + 1);
        let mut secrets =
            Self { identities: main.identities, generations, opened: Some(main.wrapping) };
        for identity in unwrapped.into_iter().flat_map(|unwrapped| unwrapped.identities) {
            if !secrets.hold(&identity.to_public().to_string()) {
                secrets.identities.push(identity);
            }
        }
        Some(secrets)
    }

    /// The same with the secret of one more generation.
    pub(crate) fn next(&self) -> Self {
        let mut identities = self.identities.clone();
        identities.insert(self.generations, x25519::Identity::generate());
        Self { identities, generations: self.generations + 1, opened: None }
    }

    /// How many generations they open.
    pub fn generations(&self) -> usize {
        self.generations
    }

    /// What they were unwrapped from.
    pub fn opened(&self) -> Option<&Wrapping> {
        self.opened.as_ref()
    }

    /// Whether they hold the secret of a recipient.
    pub fn hold(&self, recipient: &str) -> bool {
        position(&self.identities, recipient).is_some()
    }

    /// Whether a recipient is that of one of the generations. These secrets lie in one wrapping: who
    /// made it had all of them.
    pub(crate) fn has_generation(&self, recipient: &str) -> bool {
        position(&self.identities[..self.generations], recipient).is_some()
    }

    /// Whether they hold all these.
    pub(crate) fn hold_all(&self, identities: &[x25519::Identity]) -> bool {
        identities.iter().all(|identity| self.hold(&identity.to_public().to_string()))
    }

    pub(crate) fn identities(&self) -> &[x25519::Identity] {
        &self.identities
    }

    /// The secret of the newest generation.
    pub(crate) fn newest(&self) -> &x25519::Identity {
        &self.identities[self.generations - 1]
    }

    /// Whether a wrapping for a person was made by someone who had these secrets. Anyone can
    /// encrypt for a public key: only the secrets inside show that the comments beside them are the
    /// owner's.
    pub(crate) fn vouch_for(&self, unwrapped: &Unwrapped) -> bool {
        let found = &unwrapped.identities[..unwrapped.wrapping.name.generation as usize];
        let same = |(own, found): (&x25519::Identity, &x25519::Identity)| {
            own.to_public().to_string() == found.to_public().to_string()
        };
        let own = &self.identities[..self.generations];
        own.iter().zip(found).all(same) && self.hold_all(found)
    }

    /// The age identity file: comments, then the secrets.
    pub(crate) fn to_text(&self, wrapping: &Wrapping) -> String {
        let mut text = String::new();
        let mut comment = |name: &str, value: &str| {
            let value = value.replace(['\n', '\r'], " ");
            text.push_str(&format!("# {name}: {value}\n"));
        };
        comment("label", wrapping.label.as_deref().unwrap_or_default());
        if let Some(created) = wrapping.created {
            comment("created", &created.to_string());
        }
        if let Some(recipient) = &wrapping.recipient {
            comment("recipient", recipient);
        }
        for identity in &self.identities {
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        text
    }
}

impl Unwrapped {
    /// Reads an age identity file of ours.
    pub(crate) fn parse(key: &Key, name: WrappingName, text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| Error::corrupt(key, "it is not text"))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Vec<x25519::Identity> = lines
            .map(|line| line.parse().map_err(|reason: &str| Error::corrupt(key, reason)))
            .collect::<Result<_>>()?;
        if identities.len() < name.generation as usize {
            let found = identities.len();
            let detail = format!("expected {} secrets, found {found}", name.generation);
            return Err(Error::corrupt(key, detail));
        }
        let comment = |name: &str| {
            let mut comments = text.lines().filter_map(|line| line.strip_prefix("# "));
            let value = comments.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let created = comment("created").and_then(|text| Time::from_str(&text).ok());
        let (label, recipient) = (comment("label"), comment("recipient"));
        Ok(Self { wrapping: Wrapping { name, label, recipient, created }, identities })
    }
}

/// Where the secret of a recipient stands.
fn position(identities: &[x25519::Identity], recipient: &str) -> Option<usize> {
    identities.iter().position(|identity| identity.to_public().to_string() == recipient)
}
