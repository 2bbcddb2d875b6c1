//! Stores files, command output and devices for a backup.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_files::Problem as PathProblem;
use lifeboat_repository::{
    BackupId, CommandSource, DeviceSource, FilesSource, Problem, Source as Stored, StoredTree,
    Time, snapshot_tags,
};
use lifeboat_restic::{ArchiveOptions, ArchiveProgress, Archived, SnapshotId, Source, escape};

use super::among::Among;
use super::single::{Origin, SingleFile};
use super::{Attributes, FilesPart, walk};
use crate::backup::{TOOL, Taken};
use crate::error::chain;
use crate::sources::command::RunningCommand;
use crate::{
    CommandTarget, DeviceTarget, Error, FilesTarget, Note, OpenRepository, Progress, Result,
    Sources,
};

/// So many manifests are asked for the last snapshot of a source, where the state does not know it.
const ASKED: usize = 20;

/// A backup of files that is under way.
pub(crate) struct Store<'a> {
    opened: &'a OpenRepository<'a>,
    part: FilesPart,
    backup: BackupId,
    progress: &'a dyn Progress,
}

impl Taken {
    /// Stores what is not a database. What is returned must live until the manifest is written.
    pub(crate) fn files(
        &mut self,
        opened: &OpenRepository<'_>,
        found: &Sources,
        backup: BackupId,
        progress: &dyn Progress,
    ) -> Option<FilesPart> {
        if !found.need_files() {
            return None;
        }
        let part = match FilesPart::to_write(opened) {
            Ok(part) => part,
            Err(error) => {
                self.fail_all(found, error);
                return None;
            }
        };
        let mut store = Store { opened, part, backup, progress };
        for target in &found.files {
            let path = target.config.paths.first().filter(|_| target.config.paths.len() == 1);
            self.take(opened.context(), &target.name, path.cloned(), progress, |taken| {
                store.files(target, taken)
            });
        }
        for target in &found.commands {
            let work = |_: &mut Self| store.command(target);
            self.take(opened.context(), &target.name, None, progress, work);
        }
        for target in &found.devices {
            let path = Some(target.path.clone());
            let work = |_: &mut Self| store.device(target);
            self.take(opened.context(), &target.name, path, progress, work);
        }
        Some(store.part)
    }

    /// None of them can be stored, for one reason.
    fn fail_all(&mut self, found: &Sources, error: Error) {
        let files = found.files.iter().map(|target| &target.name);
        let commands = found.commands.iter().map(|target| &target.name);
        let devices = found.devices.iter().map(|target| &target.name);
        let error = Arc::new(error);
        for name in files.chain(commands).chain(devices) {
            self.fail(name, Error::Shared(error.clone()));
        }
    }
}

impl Store<'_> {
    fn files(&mut self, target: &FilesTarget, taken: &mut Taken) -> Result<Stored> {
        let (began, time) = (Instant::now(), Time::now());
        let paths: Vec<String> =
            target.paths().iter().map(|path| escape(path.as_os_str())).collect();
        let among = Among::of(target, taken);
        let context = self.opened.context();
        let walk = walk(context, &target.config, Attributes::Read, Some(among.skip()))?;
        let mut source = among.source(walk, target.config.databases != Some(false));
        let parent = self.parent(&target.name)?;
        let archived = self.archive(&mut source, &target.name, paths.clone(), parent, time)?;
        let problems = archived.problems.first().iter();
        taken.problems.extend(problems.map(|problem| at_path(&target.name, problem)));
        self.remember(&target.name, &paths, archived.snapshot)?;
        Ok(Stored::Files(Box::new(FilesSource {
            name: target.name.clone(),
            paths,
            files: archived.files,
            directories: archived.directories,
            others: archived.others,
            size_bytes: archived.size_bytes,
            new_files: archived.files_new,
            changed_files: archived.files_changed,
            unchanged_files: archived.files_unmodified,
            excluded: source.excluded,
            problem_count: archived.problems.count(),
            databases: among.placed,
            stored: stored(&archived, began),
        })))
    }

    fn command(&mut self, target: &CommandTarget) -> Result<Stored> {
        let (began, time) = (Instant::now(), Time::now());
        let command = target.config.run.to_string();
        let failed = |problem: std::io::Error| Error::Command {
            name: target.name.clone(),
            command: command.clone(),
            problem: problem.to_string(),
        };
        let running = RunningCommand::start(&target.config).map_err(failed)?;
        let file_name = target.config.file_name.clone().unwrap_or_else(|| target.name.clone());
        let mut source = SingleFile::new(&file_name, Origin::Command(running));
        let archived = self
            .archive(&mut source, &target.name, vec![format!("/{file_name}")], None, time)
            .map_err(|error| match error.of_source() {
                Some(problem) => {
                    Error::Command { name: target.name.clone(), command: command.clone(), problem }
                }
                None => error,
            })?;
        let read = source.end();
        Ok(Stored::Command(Box::new(CommandSource {
            name: target.name.clone(),
            command,
            file_name,
            size_bytes: read.bytes,
            sha256: read.sha256,
            exit_status: 0,
            stderr_lines: read.error_lines,
            stored: stored(&archived, began),
        })))
    }

    fn device(&mut self, target: &DeviceTarget) -> Result<Stored> {
        let (began, time) = (Instant::now(), Time::now());
        let mut source = SingleFile::new(&target.name, Origin::device(&target.path)?);
        let archived = self
            .archive(&mut source, &target.name, vec![format!("/{}", target.name)], None, time)
            .map_err(|error| match error.of_source() {
                Some(problem) => Error::file("read", &target.path)(std::io::Error::other(problem)),
                None => error,
            })?;
        let read = source.end();
        Ok(Stored::Device(Box::new(DeviceSource {
            name: target.name.clone(),
            path: escape(target.path.as_os_str()),
            file_name: target.name.clone(),
            size_bytes: read.bytes,
            sha256: read.sha256,
            stored: stored(&archived, began),
        })))
    }

    fn archive(
        &mut self,
        source: &mut dyn Source,
        name: &str,
        paths: Vec<String>,
        parent: Option<SnapshotId>,
        time: Time,
    ) -> Result<Archived> {
        let mut tags = snapshot_tags(self.backup);
        tags.push(format!("source-{name}"));
        let options = ArchiveOptions {
            time: time.timestamp(),
            host: self.opened.context().host_name(),
            user: lifeboat_restic::username(),
            paths,
            tags,
            parent,
            program_version: TOOL.to_owned(),
            ..ArchiveOptions::default()
        };
        self.progress.begin(&format!("storing {name}"), None);
        let archived = self.part.archive(source, &options, &Told(self.progress));
        self.progress.end();
        archived
    }

    /// The last snapshot of a source, to compare with.
    fn parent(&self, name: &str) -> Result<Option<SnapshotId>> {
        let state = self.opened.context().state().files(name).ok().flatten();
        let known = state.and_then(|state| state.snapshots.get(&self.opened.id()).copied());
        if known.is_some_and(|known| self.part.repository.snapshot(&known).is_ok()) {
            return Ok(known);
        }
        let host = self.opened.context().host_name();
        let names = crate::backups::backup_names(self.opened)?;
        let manifests = names.iter().take(ASKED).filter_map(|name| self.opened.manifest(name).ok());
        for manifest in manifests.filter(|manifest| manifest.host == host) {
            let sources = manifest.sources.iter().filter_map(Stored::files);
            if let Some(files) = sources.into_iter().find(|files| files.name == name) {
                return Ok(Some(files.stored.snapshot));
            }
        }
        Ok(None)
    }

    fn remember(&self, name: &str, paths: &[String], snapshot: SnapshotId) -> Result<()> {
        let state = self.opened.context().state();
        // What cannot be read is made anew: it only spares work.
        let mut files = state.files(name).ok().flatten().unwrap_or_default();
        files.name = name.to_owned();
        files.paths = paths.to_vec();
        files.snapshots.insert(self.opened.id(), snapshot);
        state.remember_files(&files)
    }
}

fn stored(archived: &Archived, began: Instant) -> StoredTree {
    StoredTree {
        snapshot: archived.snapshot,
        tree: archived.tree,
        stored_bytes: archived.stored_bytes,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

fn at_path(source: &str, problem: &PathProblem) -> Problem {
    Problem {
        source: source.to_owned(),
        path: Some(escape(problem.path.as_os_str())),
        error: chain(problem),
    }
}

struct Told<'a>(&'a dyn Progress);

impl ArchiveProgress for Told<'_> {
    fn problem(&self, problem: &PathProblem) {
        self.0.note(&Note::Unreadable { problem: chain(problem) });
    }

    fn content(&self, bytes: u64) {
        self.0.advance(bytes);
    }
}
