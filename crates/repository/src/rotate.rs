//! Starts a generation: a new secret, for which everything is sealed from then on.
//!
//! Wrappings first, recipient last. A crash before the recipient leaves wrappings whose newest
//! secret no recipient names: they open what they opened before, `Secrets::of` tells them from the
//! others, and the next rotation takes that secret along, so that nothing sealed could be lost.

use lifeboat_storage::x25519;

use crate::keys::{KeyEntry, KeyHolder};
use crate::wrapping::{Credential, Holder, Wrapping, WrappingName};
use crate::{Error, Recipient, Repository, Result, Secrets};

/// The names have four digits.
const MAX_GENERATION: u32 = 9999;

/// A person for whom the secrets are wrapped again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What their key is called.
    pub label: String,
    /// Their age recipient.
    pub recipient: String,
}

/// What a rotation will do.
#[derive(Debug)]
pub struct RotatePlan {
    /// The generation that begins.
    pub generation: u32,
    /// What the password's key is called; `None` where a person rotates.
    pub password: Option<String>,
    /// The persons who keep access.
    pub persons: Vec<Person>,
    /// Keys that open what was stored so far and nothing later: passwords that are not at hand,
    /// persons whose recipient is not known.
    pub left_behind: Vec<KeyEntry>,
    /// Keys that are removed, because new ones open all that they open.
    pub replaced: Vec<WrappingName>,
}

impl Repository {
    /// Decides who keeps access. `secrets` and `opened` are all that the credential opens.
    ///
    /// [`Error::RecipientChanged`] for secrets that are not of the current generation.
    pub fn plan_rotation(
        &self,
        secrets: &Secrets,
        opened: &[WrappingName],
        credential: Credential<'_>,
    ) -> Result<RotatePlan> {
        self.require_own_recipient(secrets)?;
        let current = self.recipient()?.generation;
        let generation = current + 1;
        if generation > MAX_GENERATION {
            let detail = format!("there is no generation after {current}");
            return Err(Error::corrupt(&Recipient::key(current)?, detail));
        }
        let own = secrets.opened().and_then(|own| own.label.clone()).unwrap_or_default();
        let mut plan = RotatePlan {
            generation,
            password: None,
            persons: Vec::new(),
            left_behind: Vec::new(),
            replaced: Vec::new(),
        };
        match credential {
            Credential::Password(_) => plan.password = Some(own),
            Credential::Identities(identities) => {
                let recipient = own_recipient(secrets.opened(), identities);
                plan.persons.extend(recipient.map(|recipient| Person { label: own, recipient }));
            }
        }
        for key in self.keys(Some(secrets))? {
            let is_own = opened.contains(&key.name);
            match person(&key) {
                // One of a former generation was left out before, or put back by someone.
                Some(person) if key.name.generation >= current || is_own => {
                    plan.replaced.push(key.name);
                    plan.add(person);
                }
                _ if is_own => plan.replaced.push(key.name),
                _ => plan.left_behind.push(key),
            }
        }
        Ok(plan)
    }

    /// Carries a plan out. What is sealed from now on is for the new generation.
    ///
    /// [`Error::GenerationTaken`] if someone else rotated meanwhile: nothing is changed then.
    pub fn rotate(
        &self,
        plan: &RotatePlan,
        secrets: &Secrets,
        credential: Credential<'_>,
    ) -> Result<Recipient> {
        self.require_writable()?;
        let next = secrets.next();
        let mut made = Vec::new();
        if let (Some(label), Credential::Password(password)) = (&plan.password, credential) {
            made.push(next.wrap(self.storage(), Holder::Password(password), label)?);
        }
        for Person { label, recipient } in &plan.persons {
            let recipient: x25519::Recipient = recipient.parse().map_err(|_| Error::Parse {
                expected: "an age recipient",
                found: recipient.clone(),
            })?;
            made.push(next.wrap(self.storage(), Holder::Person(&recipient), label)?);
        }
        let recipient = Recipient::new(plan.generation, &next.newest().to_public());
        if let Err(error) = recipient.begin(self.storage()) {
            if matches!(error, Error::GenerationTaken { .. }) {
                made.iter().try_for_each(|wrapping| self.remove_key(wrapping.name))?;
            }
            return Err(error);
        }
        plan.replaced.iter().try_for_each(|name| self.remove_key(*name))?;
        Ok(recipient)
    }
}

impl RotatePlan {
    fn add(&mut self, person: Person) {
        if !self.persons.iter().any(|known| known.recipient == person.recipient) {
            self.persons.push(person);
        }
    }
}

/// The person of a key for whom the secrets can be wrapped again.
fn person(key: &KeyEntry) -> Option<Person> {
    let KeyHolder::Person = key.holder else { return None };
    let wrapping = key.wrapping.as_ref()?;
    let recipient = wrapping.recipient.clone()?;
    Some(Person { label: wrapping.label.clone().unwrap_or_default(), recipient })
}

/// The recipient of whoever rotates with a secret key: as the key says, or if it was made by hand
/// and says nothing, that of the first secret key.
fn own_recipient(opened: Option<&Wrapping>, identities: &[x25519::Identity]) -> Option<String> {
    let own: Vec<String> =
        identities.iter().map(|identity| identity.to_public().to_string()).collect();
    let said = opened.and_then(|opened| opened.recipient.clone());
    said.filter(|said| own.contains(said)).or_else(|| own.first().cloned())
}
