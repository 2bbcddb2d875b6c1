//! `lifeboat unlock`

use std::time::SystemTime;

use lifeboat::{Error, Lock, OpenRepository, Unlock, Unlocked, unlock};
use serde_json::{Value, json};

use super::Session;
use super::files_prune::document_of_lock;
use crate::arguments::UnlockArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size};

pub(super) fn run(session: &Session, arguments: &UnlockArguments) -> Result<Exit, Error> {
    let which = if arguments.all { Unlock::All } else { Unlock::Stale };
    session.each_repository(|opened| unlock_in(session, opened, which))
}

fn unlock_in(session: &Session, opened: &OpenRepository<'_>, which: Unlock) -> Result<Exit, Error> {
    let unlocked = unlock(opened, which)?;
    if session.global.json {
        output::json(&document(&unlocked))?;
    } else {
        show(session, &unlocked)?;
    }
    // Whoever asked for it wants to go on, and cannot.
    Ok(if unlocked.unreadable.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn show(session: &Session, unlocked: &Unlocked) -> Result<(), Error> {
    let Unlocked { removed, kept, unreadable } = unlocked;
    for (id, lock) in removed {
        let whose = lock.as_ref().map_or_else(|| format!("lock {id}"), describe);
        session.say(&format!("removed: {whose}"))?;
    }
    for (_, lock) in kept {
        output::line(&format!("held: {}", describe(lock)))?;
    }
    for (_, error) in unreadable {
        output::note(&format!("left alone: {}", chain(error)));
    }
    let (removed, kept) = (removed.len() as u64, kept.len() as u64);
    session.say(&format!("{} removed, {kept} held", size::count(removed, "lock")))
}

fn describe(lock: &Lock) -> String {
    let exclusive = if lock.exclusive { ", alone" } else { "" };
    format!("by {lock}{exclusive}, {} seconds ago", age_seconds(lock))
}

/// By the clock of this host.
fn age_seconds(lock: &Lock) -> u64 {
    let taken = SystemTime::from(lock.time);
    SystemTime::now().duration_since(taken).map_or(0, |age| age.as_secs())
}

fn document(unlocked: &Unlocked) -> Value {
    let of_lock = |lock: &Lock| document_of_lock(lock, age_seconds(lock));
    let removed: Vec<_> = unlocked
        .removed
        .iter()
        .map(|(id, lock)| json!({ "id": id.to_string(), "lock": lock.as_ref().map(of_lock) }))
        .collect();
    let kept: Vec<_> = unlocked
        .kept
        .iter()
        .map(|(id, lock)| json!({ "id": id.to_string(), "lock": of_lock(lock) }))
        .collect();
    let unreadable: Vec<_> = unlocked
        .unreadable
        .iter()
        .map(|(id, error)| json!({ "id": id.to_string(), "error": chain(error) }))
        .collect();
    json!({
        "message_type": "summary", "removed": removed, "held": kept, "unreadable": unreadable,
    })
}
