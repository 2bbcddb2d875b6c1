//! Finding databases, and noticing what happens to them.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Engine;
use super::slot::{Phase, Slot};
use crate::destination::suffixed;
use crate::discover::find;
use crate::mount::mount_of;
use crate::replicate::event::Event;
use crate::replicate::watch::Noticed;
use crate::{DatabaseTarget, Interval, Silent};

/// How long a directory is let alone in which something new appeared: it may just be made.
const SETTLE: Duration = Duration::from_millis(500);

/// How often a database is looked for that was asked for and is not there.
const MISSING: Duration = Duration::from_secs(2);

/// What a file is to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The database itself.
    Database,
    /// Its WAL.
    Wal,
    /// What tells nothing: readers write to the index of the WAL too, and who writes to a journal
    /// writes to the database as well.
    Aside,
}

/// The files of a database, by the ends of their names.
const COMPANIONS: [(&str, Kind); 4] =
    [("", Kind::Database), ("-wal", Kind::Wal), ("-shm", Kind::Aside), ("-journal", Kind::Aside)];

impl Engine<'_> {
    /// Takes a database in.
    pub(super) fn join(&mut self, target: DatabaseTarget) {
        let number = self.databases.len();
        for (suffix, kind) in COMPANIONS {
            self.paths.insert(suffixed(&target.path, suffix), (number, kind));
        }
        let directory = target.path.parent();
        let shared = mount_of(&target.path).is_some_and(|mount| mount.is_shared());
        let watched = !shared && directory.is_some_and(|directory| self.watch.add(directory));
        self.events.event(&Event::Joined { database: &target.name, path: &target.path });
        let configured = self.context.config().databases.get(&target.name);
        let interval = configured.and_then(|database| database.replicate).map(Interval::get);
        let interval = self.limits.given_interval.or(interval).unwrap_or(self.limits.interval);
        self.databases.push(Slot::new(target, interval, watched, self.repositories.len()));
    }

    /// Watches the directories that were named, and those in them: databases may appear there.
    pub(super) fn watch_directories(&mut self) {
        let configured = &self.context.config().databases;
        let working_directory = self.context.environment().working_directory();
        let named = self.request.sources.iter().filter(|source| !configured.contains_key(*source));
        let paths = named.map(|source| working_directory.join(crate::path_of_url(source)));
        let paths = paths.filter_map(|path| path.canonicalize().ok());
        self.directories = paths.filter(|path| path.is_dir()).collect();
        let mut waiting = self.directories.clone();
        while let Some(directory) = waiting.pop() {
            self.watch.add(&directory);
            let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
            let is_directory =
                |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            waiting.extend(entries.filter(is_directory).map(|entry| entry.path()));
        }
    }

    pub(super) fn find_due(&mut self, now: Instant) {
        if self.find_again.is_none_or(|at| at > now) {
            return;
        }
        self.find_again = None;
        let Ok(found) = find(self.context, self.request, &Silent) else { return self.find_later() };
        if !found.failures.is_empty() {
            self.find_later();
        }
        for target in found.targets {
            if !self.paths.contains_key(&target.path) {
                self.join(target);
            }
        }
        self.watch_directories();
    }

    pub(super) fn take_notices(&mut self) {
        for noticed in self.watch.read() {
            match noticed {
                Noticed::Written(path) => match self.paths.get(&path) {
                    Some((number, Kind::Database | Kind::Wal)) => self.stir(*number),
                    Some((_, Kind::Aside)) => {}
                    None => self.find_in(&path),
                },
                Noticed::Named(path) => match self.paths.get(&path) {
                    Some((number, Kind::Database)) => self.stir(*number),
                    // A reader of ours makes an empty WAL and removes it: only what is written there
                    // tells of a commit.
                    Some((_, Kind::Wal | Kind::Aside)) => {}
                    None => self.find_in(&path),
                },
                Noticed::Gone(directory) => {
                    for number in 0..self.databases.len() {
                        if self.databases[number].target.path.parent() == Some(&directory) {
                            self.databases[number].watched = self.watch.add(&directory);
                            self.stir(number);
                        }
                    }
                }
                Noticed::Anything => {
                    (0..self.databases.len()).for_each(|number| self.stir(number));
                    self.find_soon();
                }
            }
        }
    }

    /// Something happened to a database.
    ///
    /// It may be the beginning of a commit: the last write to the WAL comes before others see the commit,
    /// and after a sync that may take its time. So it is looked at for a while from here on.
    fn stir(&mut self, number: usize) {
        let slot = &mut self.databases[number];
        slot.stirred = Some(Instant::now());
        if slot.next.is_none() && matches!(slot.phase, Phase::Following(_)) {
            slot.next = Some(Instant::now());
        }
    }

    /// What was asked for and is not there may come.
    pub(super) fn find_later(&mut self) {
        self.find_again.get_or_insert(Instant::now() + MISSING);
    }

    fn find_soon(&mut self) {
        let soon = Instant::now() + SETTLE;
        self.find_again = Some(self.find_again.map_or(soon, |at| at.min(soon)));
    }

    /// Looks for new databases if `path` is where some may appear.
    fn find_in(&mut self, path: &Path) {
        if self.directories.iter().any(|directory| path.starts_with(directory)) {
            self.find_soon();
        }
    }
}
