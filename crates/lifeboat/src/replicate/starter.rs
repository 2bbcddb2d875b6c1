//! Begins with databases, and brings repositories up to them where the spool does not lead there, on a
//! thread of its own: it may take long, and the captures of the others go on meanwhile.

mod base;

use std::sync::mpsc::{Receiver, Sender};

use lifeboat_repository::DatabaseAddress;
use lifeboat_sqlite::pin;

use super::captures::Look;
use super::message::{Message, Start};
use super::replica::Replica;
use super::wake::Wake;
use crate::capture::store;
use crate::lease::hold;
use crate::names::directory_of;
use crate::state::DatabaseStateFile;
use crate::{Context, DatabaseTarget, Error, OpenRepository, Progress, Result};

/// The thread that begins.
pub(super) struct Starter<'a> {
    pub(super) context: &'a Context,
    /// How many repositories there are.
    pub(super) repositories: usize,
    /// Whether the user says that no other host writes.
    pub(super) take_over: bool,
    pub(super) work: Receiver<Start>,
    pub(super) messages: Sender<Message>,
    pub(super) wake: Wake,
    pub(super) progress: &'a dyn Progress,
}

impl Starter<'_> {
    /// Works until nobody can ask any more.
    pub(super) fn run(self) {
        while let Ok(start) = self.work.recv() {
            match start {
                Start::Begin { database, target } => self.ready(database, self.begin(target)),
                Start::Store { database, replica, repository } => {
                    self.ready(database, self.store(*replica, repository));
                }
                Start::Base { database, replica, repository } => {
                    self.base(database, *replica, repository);
                }
            }
        }
    }

    fn ready(&self, database: usize, replica: Result<Replica>) {
        self.tell(Message::Ready { database, replica: replica.map(Box::new) });
    }

    fn tell(&self, message: Message) {
        // Without an engine there is nobody to be told, and nobody who asks any more.
        let _ = self.messages.send(message);
        self.wake.ring();
    }

    /// Goes on from the local state; without any, a first capture into the first repository that can
    /// be opened makes it.
    fn begin(&self, target: DatabaseTarget) -> Result<Replica> {
        let directory = directory_of(self.context.state(), &target.name, &target.path)?;
        let files = DatabaseStateFile::lock(&directory, &target.name)?;
        match Replica::resume(target.clone(), files)? {
            Ok(replica) => Ok(replica),
            Err(files) => self.first(target, files),
        }
    }

    fn first(&self, target: DatabaseTarget, files: DatabaseStateFile) -> Result<Replica> {
        let opened = self.any_repository()?;
        self.capture(&opened, target, files)
    }

    fn any_repository(&self) -> Result<OpenRepository<'_>> {
        let mut failed = None;
        for repository in 0..self.repositories {
            match self.context.open_one_of_several(repository) {
                Ok(opened) => return Ok(opened),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| Error::usage("no repository", "name one with --repository")))
    }

    /// What changed since the last capture goes into the spool first, so that every other repository
    /// gets it in its turn; then this one is brought up to the same state.
    fn store(&self, mut replica: Replica, repository: usize) -> Result<Replica> {
        let opened = self.context.open_one_of_several(repository)?;
        let pin = pin(&replica.target.path, &replica.captures.files.scratch())?;
        replica.rest();
        let look = replica.captures.capture(&pin)?;
        replica.captures.save()?;
        let (target, files) = replica.into_parts();
        match look {
            Look::Nothing | Look::Captured => {
                opened.require_writable()?;
                store(&opened, &target, &files, pin, self.progress)?;
                self.resume(target, files)
            }
            Look::NewLineage(_) => self.capture(&opened, target, files),
        }
    }

    fn capture(
        &self,
        opened: &OpenRepository<'_>,
        target: DatabaseTarget,
        files: DatabaseStateFile,
    ) -> Result<Replica> {
        opened.require_writable()?;
        let (repository, node) = (opened.repository(), &self.context.host().node);
        let address = DatabaseAddress::new(&self.context.host_name(), &target.name)?;
        let own = files.peek().map(|state| state.lineage);
        hold(repository, &address, &target.name, node, own, self.take_over)?;
        let pin = pin(&target.path, &files.scratch())?;
        store(opened, &target, &files, pin, self.progress)?;
        self.resume(target, files)
    }

    fn resume(&self, target: DatabaseTarget, files: DatabaseStateFile) -> Result<Replica> {
        let path = target.path.clone();
        let detail = || "it is not what was just written".to_owned();
        Replica::resume(target, files)?.map_err(|_| Error::State { path, detail: detail() })
    }
}
