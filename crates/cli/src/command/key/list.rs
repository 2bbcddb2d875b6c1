//! `lifeboat key list`

use lifeboat::{Error, KeyEntry, KeyHolder, KeyList, PinnedHost, fingerprint, keys};
use serde_json::{Value, json};

use super::super::backups::local;
use crate::command::Session;
use crate::output::{self, chain, table};

pub(super) fn run(session: &Session) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    let list = keys(&opened)?;
    if session.global.json { output::json(&document(&list)) } else { show(&list) }
}

fn show(list: &KeyList) -> Result<(), Error> {
    let mut rows = vec![table::heading(["  ID", "FOR", "GENERATION", "MADE", "LABEL"])];
    rows.extend(list.keys.iter().map(row));
    table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
    match &list.recipient {
        Ok(recipient) => output::line(&format!(
            "sealed for {}, generation {}",
            recipient.recipient, recipient.generation
        ))?,
        Err(error) => output::line(&format!("sealed for nobody knows whom: {}", chain(error)))?,
    }
    let found = list.recipient.as_ref().ok().map(|recipient| &recipient.recipient);
    if let Some(pinned) = list.pinned.as_ref().filter(|pinned| Some(*pinned) != found) {
        output::line(&format!("this machine has sealed for {pinned}"))?;
    }
    for PinnedHost { host, keys, is_own } in &list.hosts {
        let keys: Vec<&str> = keys.iter().map(|key| fingerprint(key)).collect();
        let own = if *is_own { ", this one" } else { "" };
        output::line(&format!("host {host} signs with {}{own}", keys.join(" or ")))?;
    }
    Ok(())
}

fn row(key: &KeyEntry) -> Vec<String> {
    let wrapping = key.wrapping.as_ref();
    let label = match (&key.holder, wrapping) {
        (KeyHolder::Unreadable(error), _) => format!("cannot be read: {}", chain(error)),
        (_, None) => "not known".to_owned(),
        (_, Some(wrapping)) => {
            let texts = [&wrapping.label, &wrapping.recipient];
            texts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("  ")
        }
    };
    vec![
        format!("{} {}", if key.in_use { "*" } else { " " }, key.name.id.short()),
        holder(&key.holder).to_owned(),
        key.name.generation.to_string(),
        local(wrapping.and_then(|wrapping| wrapping.created).unwrap_or(key.stored)),
        label,
    ]
}

pub(super) fn holder(holder: &KeyHolder) -> &'static str {
    match holder {
        KeyHolder::Password => "password",
        KeyHolder::Person => "person",
        KeyHolder::Unreadable(_) => "unreadable",
    }
}

/// What a script gets to see of a key.
pub(super) fn entry(key: &KeyEntry) -> Value {
    let wrapping = key.wrapping.as_ref();
    json!({
        "id": key.name.id,
        "generation": key.name.generation,
        "for": holder(&key.holder),
        "label": wrapping.and_then(|wrapping| wrapping.label.as_ref()),
        "recipient": wrapping.and_then(|wrapping| wrapping.recipient.as_ref()),
        "created": wrapping.and_then(|wrapping| wrapping.created),
        "stored": key.stored,
        "in_use": key.in_use,
    })
}

fn document(list: &KeyList) -> Value {
    let hosts: Vec<_> = list
        .hosts
        .iter()
        .map(|host| json!({ "host": host.host, "keys": host.keys, "own": host.is_own }))
        .collect();
    let recipient = list.recipient.as_ref().ok();
    json!({
        "recipient": recipient.map(|recipient| &recipient.recipient),
        "generation": recipient.map(|recipient| recipient.generation),
        "pinned_recipient": list.pinned,
        "keys": list.keys.iter().map(entry).collect::<Vec<_>>(),
        "hosts": hosts,
    })
}
