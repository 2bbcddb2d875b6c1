//! What the starter and the uploaders tell.

use lifeboat_repository::{DatabaseAddress, LineageId};

use super::Engine;
use super::slot::Phase;
use crate::Error;
use crate::error::chain;
use crate::replicate::event::Event;
use crate::replicate::message::{Attach, Message, Order, Upkeep, UploadNews};
use crate::replicate::replica::Replica;

/// How often a repository is brought up before that is taken for a failure.
const MOST_IN_A_ROW: u32 = 3;

impl Engine<'_> {
    pub(super) fn take_messages(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Ready { database, replica: Ok(replica) } => self.ready(database, replica),
            Message::Ready { database, replica: Err(error) } => self.failed(database, &error),
            Message::Upload { repository, news } => self.learn(repository, news),
            Message::Keeper { database, repository, news } => {
                self.learn_upkeep(database, repository, news);
            }
            Message::Merged { database, lineage, txid } => self.merged(database, lineage, txid),
        }
    }

    fn ready(&mut self, number: usize, mut replica: Box<Replica>) {
        let slot = &mut self.databases[number];
        for (way, lane) in slot.ways.iter_mut().zip(&self.repositories) {
            let stored = way.stored.take();
            if let (Some((lineage, position)), Some(id)) = (stored, &lane.id)
                && lineage == replica.captures.state.lineage
            {
                replica.captures.reached(id, position);
            }
        }
        slot.spread = replica.captured().0;
        let lineage = replica.captures.state.lineage;
        slot.phase = Phase::Following(replica);
        slot.next = Some(std::time::Instant::now());
        self.refuse_former(number, lineage);
        self.attach_keeper(number);
        (0..self.repositories.len()).for_each(|repository| self.attach(number, repository));
    }

    /// Tells an uploader to take a database over.
    pub(super) fn attach(&mut self, number: usize, repository: usize) {
        let slot = &self.databases[number];
        let Phase::Following(replica) = &slot.phase else { return };
        let Some(id) = &self.repositories[repository].id else { return };
        let address = DatabaseAddress::new(&self.context.host_name(), &slot.target.name);
        let lineage = address.and_then(|address| address.lineage(replica.captures.state.lineage));
        let Ok(lineage) = lineage else { return };
        let position = replica.captures.state.positions.get(id).copied();
        let attach = Attach {
            database: number,
            name: slot.target.name.clone(),
            lineage,
            position,
            behind: position
                .is_some_and(|position| replica.captures.files.is_behind(id, &position)),
            highest: replica.captures.state.highest(),
            waiting: replica.captures.waiting.iter().cloned().collect(),
            outbox: replica.captures.files.outbox(id),
            ledger: replica.captures.files.ledger(id),
        };
        if let Some(uploader) = self.uploaders.get(repository) {
            let _ = uploader.send(Order::Attach(Box::new(attach)));
        }
        // What it holds it tells anew: the numbers of another lineage say nothing of this one.
        let way = &mut self.databases[number].ways[repository];
        (way.attached, way.protected) = (false, None);
    }

    /// Whether a database has another lineage by now than the one that an uploader tells of.
    fn is_former(&self, number: usize, lineage: LineageId) -> bool {
        match &self.databases[number].phase {
            Phase::Following(replica) => replica.captures.state.lineage != lineage,
            _ => false,
        }
    }

    fn learn(&mut self, repository: usize, news: UploadNews) {
        let location = self.repositories[repository].location.clone();
        match news {
            UploadNews::Opened { id, location } => {
                let lane = &mut self.repositories[repository];
                (lane.id, lane.location) = (Some(id), location);
                self.works(None, repository);
                for number in 0..self.databases.len() {
                    self.attach(number, repository);
                }
            }
            UploadNews::Failing { database, error } => {
                let error = chain(&error);
                let (name, trouble) = self.trouble(database, repository);
                if trouble.as_ref() != Some(&error) {
                    *trouble = Some(error.clone());
                    let (database, repository) = (name.as_deref(), Some(location.as_str()));
                    self.events.event(&Event::Failing { database, repository, error: &error });
                }
                self.answer();
            }
            UploadNews::Working { database } => self.works(database, repository),
            UploadNews::Attached { database, lineage, .. }
            | UploadNews::Stored { database, lineage, .. }
                if self.is_former(database, lineage) => {}
            UploadNews::Attached { database, lineage, position, time, names, waiting } => {
                self.works(None, repository);
                self.works(Some(database), repository);
                self.tell_keeper(Upkeep::Holds { database, repository, lineage, names, waiting });
                let way = &mut self.databases[database].ways[repository];
                (way.attached, way.lacked) = (true, 0);
                way.protected = Some((position.txid, time));
                self.answer();
            }
            UploadNews::Stored { database, lineage, name, position, sent_bytes, waiting } => {
                self.works(None, repository);
                self.works(Some(database), repository);
                self.tell_keeper(Upkeep::Stored { database, repository, lineage, name, waiting });
                let slot = &mut self.databases[database];
                let way = &mut slot.ways[repository];
                way.protected = Some((position.txid, name.time));
                let id = self.repositories[repository].id.as_deref().unwrap_or_default();
                match &mut slot.phase {
                    Phase::Following(replica) => replica.captures.reached(id, position),
                    _ => way.stored = Some((lineage, position)),
                }
                self.events.event(&Event::Protected {
                    database: &slot.target.name,
                    repository: &location,
                    txid: position.txid,
                    time: name.time,
                    bytes: sent_bytes,
                });
                self.answer();
            }
            UploadNews::Lacks { database, reason } => {
                let slot = &mut self.databases[database];
                let name = slot.target.name.clone();
                self.events.event(&Event::Lacking {
                    database: &name,
                    repository: &location,
                    reason: &reason,
                });
                let way = &mut slot.ways[repository];
                way.lacked = way.lacked.saturating_add(1);
                if way.lacked <= MOST_IN_A_ROW {
                    return self.store(database, repository);
                }
                // It does not help: that is a failure, and tried again as one.
                way.lacked = 0;
                self.failed(database, &Error::Replication { name, problem: reason });
            }
        }
    }

    /// A repository works, with all that failed or with one database. What came through shows it as
    /// well as an uploader that says so: one that was told to begin anew, or to end, knows of no failure.
    fn works(&mut self, database: Option<usize>, repository: usize) {
        let location = self.repositories[repository].location.clone();
        let (name, trouble) = self.trouble(database, repository);
        if trouble.take().is_some() {
            let (database, repository) = (name.as_deref(), Some(location.as_str()));
            self.events.event(&Event::Working { database, repository });
        }
    }

    /// Where the trouble of a repository stands, with one database or with all.
    fn trouble(
        &mut self,
        database: Option<usize>,
        repository: usize,
    ) -> (Option<String>, &mut Option<String>) {
        match database {
            Some(number) => {
                let slot = &mut self.databases[number];
                (Some(slot.target.name.clone()), &mut slot.ways[repository].trouble)
            }
            None => (None, &mut self.repositories[repository].trouble),
        }
    }
}
