//! What other processes ask.

use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageId, Time};
use serde_json::json;

use super::Engine;
use super::slot::{Lane, Phase, Slot, Way};
use crate::error::chain;
use crate::replicate::captures::Look;
use crate::replicate::control::{Conversation, NOT_HERE, Question};
use crate::replicate::event::Event;
use crate::replicate::message::{Order, Upkeep};
use crate::replicate::replica::Replica;
use crate::replicate::status::{Activity, DatabaseStatus, RepositoryStatus};

/// Somebody waits for a capture to be in a repository.
pub(super) struct Asked {
    database: usize,
    repository: usize,
    lineage: LineageId,
    txid: Txid,
    answer: serde_json::Value,
    conversation: Conversation,
}

impl Engine<'_> {
    pub(super) fn take_questions(&mut self) {
        for (database, repository, conversation) in std::mem::take(&mut self.early) {
            self.capture_for(database, repository, conversation);
        }
        while let Some((question, conversation)) = self.control.question() {
            match question {
                Question::Status => conversation.answer(&json!({ "databases": self.status() })),
                Question::Capture { database, repository } => {
                    self.capture_for(database, repository, conversation);
                }
                Question::Yield { database, seconds } => {
                    self.let_go(&database, Duration::from_secs(seconds), &conversation);
                }
            }
        }
    }

    /// Captures a database for somebody, who learns of it when a repository has it.
    fn capture_for(&mut self, name: String, id: String, conversation: Conversation) {
        let Some(number) = self.number_of(&name) else {
            return conversation.refuse(NOT_HERE);
        };
        let lanes = &self.repositories;
        let repository = lanes.iter().position(|lane| lane.id.as_ref() == Some(&id));
        let unopened = |lane: &Lane| lane.id.is_none() && lane.trouble.is_none();
        if repository.is_none() && !lanes.iter().any(unopened) {
            return conversation.refuse("its replication does not write to this repository");
        }
        let slot = &mut self.databases[number];
        if let Some(trouble) = &slot.trouble {
            return conversation.refuse(trouble);
        }
        let (Some(repository), Phase::Following(replica)) = (repository, &mut slot.phase) else {
            // It is about to start.
            return self.early.push((name, id, conversation));
        };
        let (look, source) = match replica.look_closely() {
            Ok(looked) => looked,
            Err(error) => {
                self.failed(number, &error);
                return conversation.refuse(&chain(&error));
            }
        };
        match look {
            Look::Captured => self.spread(number),
            Look::Nothing => {}
            Look::NewLineage(reason) => {
                let database = self.databases[number].target.name.as_str();
                self.events.event(&Event::NewLineage { database, reason: &reason });
                self.store(number, repository);
                return self.early.push((name, id, conversation));
            }
        }
        let _ = self.uploaders[repository].send(Order::Hurry { database: number });
        let (lineage, txid) = (source.lineage, source.txid);
        self.tell_keeper(Upkeep::Wanted { database: number, repository, txid });
        let answer = json!({ "source": source });
        let database = number;
        self.asked.push(Asked { database, repository, lineage, txid, answer, conversation });
        self.answer();
    }

    /// Answers those whose capture has come through.
    pub(super) fn answer(&mut self) {
        let (databases, repositories) = (&self.databases, &self.repositories);
        self.asked.retain(|asked| {
            let way = &databases[asked.database].ways[asked.repository];
            if way.protected.is_some_and(|(txid, _)| txid >= asked.txid) {
                asked.conversation.answer(&asked.answer);
                return false;
            }
            match repositories[asked.repository].trouble.as_ref().or(way.trouble.as_ref()) {
                Some(trouble) => asked.conversation.refuse(trouble),
                None => return true,
            }
            false
        });
    }

    /// A database has this lineage now: who waits for a point of another one waits in vain.
    pub(super) fn refuse_former(&mut self, number: usize, lineage: LineageId) {
        self.asked.retain(|asked| {
            let former = asked.database == number && asked.lineage != lineage;
            if former {
                asked.conversation.refuse("a new lineage began meanwhile");
            }
            !former
        });
    }

    /// Lets go of a database, so that its application can do what no reader may see.
    fn let_go(&mut self, name: &str, time: Duration, conversation: &Conversation) {
        let Some(number) = self.number_of(name) else {
            return conversation.refuse(NOT_HERE);
        };
        let slot = &mut self.databases[number];
        let Phase::Following(replica) = &mut slot.phase else {
            return conversation.refuse("its replication is just starting, or cannot read it");
        };
        replica.rest();
        slot.next = Some(Instant::now() + time);
        conversation.answer(&json!({ "database": name, "seconds": time.as_secs() }));
    }

    fn number_of(&self, name: &str) -> Option<usize> {
        self.databases.iter().position(|slot| slot.target.name == name)
    }

    /// How everything stands.
    pub(super) fn status(&self) -> Vec<DatabaseStatus> {
        self.databases.iter().map(|slot| slot.status(&self.repositories)).collect()
    }
}

impl Slot {
    fn status(&self, lanes: &[Lane]) -> DatabaseStatus {
        let replica = match &self.phase {
            Phase::Following(replica) => Some(replica.as_ref()),
            _ => None,
        };
        let activity = match (replica, self.next) {
            _ if self.trouble.is_some() => Activity::Failing,
            (None, _) => Activity::Starting,
            (Some(_), None) => Activity::Idle,
            (Some(_), Some(_)) => Activity::Following,
        };
        let ways = self.ways.iter().zip(lanes);
        DatabaseStatus {
            name: self.target.name.clone(),
            path: self.target.path.clone(),
            activity,
            problem: self.trouble.clone(),
            lineage: replica.map(|replica| replica.captures.state.lineage),
            txid: replica.and_then(|replica| replica.captured().0),
            captured: replica.map(|replica| replica.captured().1),
            wal_bytes: replica.map_or(0, Replica::wal_bytes),
            spool_files: replica.map_or(0, |replica| replica.captures.waiting.len() as u64),
            spool_bytes: replica.map_or(0, |replica| replica.captures.waiting_bytes(None)),
            repositories: ways.map(|(way, lane)| way.status(lane, replica)).collect(),
        }
    }
}

impl Way {
    fn status(&self, lane: &Lane, replica: Option<&Replica>) -> RepositoryStatus {
        let protected = self.protected.map(|(txid, _)| txid);
        let since = replica.and_then(|replica| replica.captures.oldest_waiting(protected));
        let lag = since.map_or(0, |since| Time::now().millis().saturating_sub(since.millis()));
        RepositoryStatus {
            id: lane.id.clone(),
            location: lane.location.clone(),
            protected_txid: protected,
            protected: self.protected.map(|(_, time)| time),
            lag_seconds: lag.max(0).unsigned_abs() / 1000,
            lag_bytes: replica.map_or(0, |replica| replica.captures.waiting_bytes(protected)),
            problem: lane.trouble.clone().or_else(|| self.trouble.clone()),
            upkeep: Some(self.upkeep.clone()),
            ..RepositoryStatus::default()
        }
    }
}
