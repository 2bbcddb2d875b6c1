//! Believes what has changed: whom backups are sealed for, and with which keys hosts sign.

use std::collections::BTreeMap;

use lifeboat_repository::{HostTrust, Judgement, Time, encode_name};

use crate::{Error, OpenRepository, Result};

/// What may be accepted; nothing named means all of it.
#[derive(Debug, Clone, Default)]
pub struct Acceptable {
    /// The recipient.
    pub recipient: bool,
    /// Hosts.
    pub hosts: Vec<String>,
}

/// What has changed.
#[derive(Debug, Default)]
pub struct Acceptance {
    /// The recipient, if it is another one.
    pub recipient: Option<ChangedRecipient>,
    /// Keys of hosts that were refused so far.
    pub hosts: Vec<ChangedHost>,
}

/// Another recipient than the one that this machine has sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRecipient {
    /// The one so far; `None` if there was none.
    pub expected: Option<String>,
    /// The one that stands in the repository.
    pub found: String,
}

/// Another key than those that are known of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedHost {
    /// The host, as it stands in keys.
    pub host: String,
    /// Its public keys so far.
    pub expected: Vec<String>,
    /// The public key that was refused.
    pub found: String,
    /// How many backups it signed.
    pub backups: u64,
    /// When the newest of them began.
    pub newest: Time,
}

/// Finds what has changed and is asked for.
///
/// Keys of hosts can be compared only by who can read manifests: without password and identity they
/// are left out, unless a host is named.
pub fn plan_acceptance(opened: &OpenRepository<'_>, wanted: &Acceptable) -> Result<Acceptance> {
    let all = !wanted.recipient && wanted.hosts.is_empty();
    let mut plan = Acceptance::default();
    if all || wanted.recipient {
        // Where none was used so far none has changed: it is pinned at first use, or by name.
        let known = |changed: &ChangedRecipient| wanted.recipient || changed.expected.is_some();
        plan.recipient = changed_recipient(opened)?.filter(known);
    }
    if !wanted.hosts.is_empty() || all && opened.can_read() {
        let hosts = wanted.hosts.iter().map(|host| Ok(encode_name(host)?));
        plan.hosts = changed_hosts(opened, &hosts.collect::<Result<Vec<_>>>()?)?;
    }
    Ok(plan)
}

/// Takes it over.
pub fn accept(opened: &OpenRepository<'_>, plan: &Acceptance) -> Result<()> {
    if let Some(recipient) = &plan.recipient {
        opened.remember(recipient.found.clone())?;
    }
    plan.hosts.iter().try_for_each(|changed| opened.pins().accept(&changed.host, &changed.found))
}

fn changed_recipient(opened: &OpenRepository<'_>) -> Result<Option<ChangedRecipient>> {
    let found = opened.repository().recipient()?.recipient.clone();
    if let Some(given) = opened.given_recipient().filter(|given| *given != found) {
        return Err(Error::usage(
            format!("the recipient is {found}, and {given} was given"),
            "change `recipient` in the configuration, or leave it out",
        ));
    }
    let expected = opened.state()?.recipient;
    let changed = expected.as_ref() != Some(&found);
    Ok(changed.then_some(ChangedRecipient { expected, found }))
}

/// Reads all manifests of these hosts, or of all, whoever signed them.
fn changed_hosts(opened: &OpenRepository<'_>, hosts: &[String]) -> Result<Vec<ChangedHost>> {
    let names = opened.repository().backups()?;
    if let Some(host) = hosts.iter().find(|host| names.iter().all(|name| name.host != **host)) {
        return Err(Error::NoBackup {
            wanted: format!("of host {host}"),
            location: opened.repository().location(),
        });
    }
    let mut changed: BTreeMap<(String, String), ChangedHost> = BTreeMap::new();
    for name in names {
        if !hosts.is_empty() && !hosts.contains(&name.host) {
            continue;
        }
        let signed = match opened.repository().manifest_of_anyone(&name, opened.secrets()?) {
            Ok(signed) => signed,
            // The storage failed.
            Err(error) if error.key().is_none() => return Err(error.into()),
            // Damaged: nobody signed it.
            Err(_) => continue,
        };
        let Judgement::Refused(expected) = opened.pins().judge(&name, &signed.key) else {
            continue;
        };
        let (host, newest) = (name.host, name.started);
        let entry = changed.entry((host.clone(), signed.key.clone()));
        let found = signed.key;
        entry.or_insert(ChangedHost { host, expected, found, backups: 0, newest }).backups += 1;
    }
    opened.pins().keep()?;
    Ok(changed.into_values().collect())
}
