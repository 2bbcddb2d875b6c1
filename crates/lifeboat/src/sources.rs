//! What a backup covers: databases, files, commands and devices, by configuration or by path.

pub(crate) mod command;
pub(crate) mod inside;

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::BackupType;
use lifeboat_sqlite::read_header;

use self::inside::{FoundDatabase, databases_among};
use crate::config::{CommandConfig, FilesConfig};
use crate::discover::{Discovered, Finder, path_of_url};
use crate::names::{hashed, stem_of};
use crate::{Context, DatabaseTarget, Error, Progress, Request, Result, SourceReport};

/// Suffixes of which nobody expects anything but a database.
const DATABASE_SUFFIXES: [&str; 4] = ["db", "db3", "sqlite", "sqlite3"];

/// Files to protect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesTarget {
    /// Its name.
    pub name: String,
    /// What is meant, and what is left out.
    pub config: FilesConfig,
    /// The databases among them.
    pub(crate) databases: Vec<PlacedTarget>,
}

/// A database among the files of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedTarget {
    pub(crate) name: String,
    /// Its path as a walk finds it.
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FilesTarget {
    /// What is meant.
    pub fn paths(&self) -> Vec<PathBuf> {
        crate::files::paths(&self.config)
    }
}

/// A program whose output is to be protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTarget {
    /// Its name.
    pub name: String,
    /// What is to be run.
    pub config: CommandConfig,
}

/// A device to protect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTarget {
    /// Its name.
    pub name: String,
    /// The device, or an image of one.
    pub path: PathBuf,
}

/// All that a backup covers, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Sources {
    /// Databases, those among files included.
    pub databases: Vec<DatabaseTarget>,
    /// Files.
    pub files: Vec<FilesTarget>,
    /// Commands.
    pub commands: Vec<CommandTarget>,
    /// Devices.
    pub devices: Vec<DeviceTarget>,
    /// What could not be looked at.
    pub failures: Vec<SourceReport>,
}

impl Sources {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { databases, files, commands, devices, .. } = self;
        databases.is_empty() && files.is_empty() && commands.is_empty() && devices.is_empty()
    }

    /// Whether something of it belongs into the files part of a repository.
    pub(crate) fn need_files(&self) -> bool {
        !(self.files.is_empty() && self.commands.is_empty() && self.devices.is_empty())
    }
}

/// Finds what is asked for. Sources that are named but cannot be looked at are failures; if nothing is left,
/// that is for the caller to tell.
pub fn sources(
    context: &Context,
    request: &Request,
    backup_type: Option<&BackupType>,
    progress: &dyn Progress,
) -> Result<Sources> {
    let mut chooser = Chooser {
        context,
        progress,
        finder: Finder::new(context, progress),
        found: Sources::default(),
        unnamed: Vec::new(),
    };
    let configured = chooser.meant(request, backup_type)?;
    for name in &configured {
        chooser.configured(name);
    }
    for source in request.sources.iter().filter(|source| !configured.contains(source)) {
        chooser.named(source, request.databases_only);
    }
    chooser.end(&request.sources)
}

struct Chooser<'a> {
    context: &'a Context,
    progress: &'a dyn Progress,
    finder: Finder<'a>,
    found: Sources,
    /// Paths whose sources get their names when those of the databases are known.
    unnamed: Vec<Unnamed>,
}

enum Unnamed {
    Files(PathBuf),
    Device(PathBuf),
}

impl Chooser<'_> {
    /// The sources of the configuration that are meant.
    fn meant(&self, request: &Request, backup_type: Option<&BackupType>) -> Result<Vec<String>> {
        let config = self.context.config();
        let all: BTreeSet<&String> = config.source_names().map(|(_, name)| name).collect();
        if !request.sources.is_empty() {
            let named = request.sources.iter().filter(|source| all.contains(source));
            return Ok(named.cloned().collect());
        }
        if all.is_empty() {
            return Err(Error::usage(
                "nothing to back up",
                "name a database, a file or a directory: lifeboat backup PATH, or put [database.NAME] or \
                 [files.NAME] into lifeboat.toml",
            ));
        }
        let meant = config.sources_of_type(backup_type.map_or("full", BackupType::as_str));
        if meant.is_empty() {
            let of_type = backup_type.map(BackupType::as_str).unwrap_or_default();
            return Err(Error::usage(
                format!("no source of the configuration belongs to a backup of type {of_type}"),
                format!(
                    "name them: [type.{of_type}] sources = [\"NAME\"], or on-change = true in [files.NAME]"
                ),
            ));
        }
        Ok(meant)
    }

    fn configured(&mut self, name: &str) {
        let config = self.context.config();
        if let Some(database) = config.databases.get(name) {
            self.finder.configured(name, &database.path);
        } else if let Some(files) = config.files.get(name) {
            let directory = self.context.environment().working_directory();
            let paths = files.paths.iter().map(|path| directory.join(path)).collect();
            let config = FilesConfig { paths, ..files.clone() };
            self.files(name.to_owned(), config);
        } else if let Some(command) = config.commands.get(name) {
            let config = command.clone();
            self.found.commands.push(CommandTarget { name: name.to_owned(), config });
        } else if let Some(device) = config.devices.get(name) {
            let path = self.context.environment().working_directory().join(&device.path);
            self.found.devices.push(DeviceTarget { name: name.to_owned(), path });
        }
    }

    /// A path of the command line.
    fn named(&mut self, source: &str, databases_only: bool) {
        let path = self.context.environment().working_directory().join(path_of_url(source));
        let Ok(found) = path.symlink_metadata() else { return self.finder.named(source) };
        let is_url = source.starts_with("sqlite:");
        if found.file_type().is_block_device() {
            self.unnamed.push(Unnamed::Device(path));
        } else if databases_only || is_url || is_database(&path) {
            self.finder.named(source);
        } else {
            self.unnamed.push(Unnamed::Files(path));
        }
    }

    /// Takes files, and finds the databases among them.
    fn files(&mut self, name: String, config: FilesConfig) {
        match databases_among(self.context, &config, self.progress) {
            Ok(found) => {
                let databases = self.place(found);
                self.found.files.push(FilesTarget { name, config, databases });
            }
            Err(error) => self.fail(name, error),
        }
    }

    /// Makes sources of the databases that lie among files.
    fn place(&mut self, databases: Vec<FoundDatabase>) -> Vec<PlacedTarget> {
        let mut placed = Vec::new();
        for found in databases {
            let added = found
                .path
                .canonicalize()
                .map_err(Error::file("resolve", &found.path))
                .and_then(|path| self.finder.add_once(&path));
            match added {
                Ok(name) => {
                    let (path, device, inode) = (found.path, found.device, found.inode);
                    placed.push(PlacedTarget { name, path, device, inode });
                }
                Err(error) => self.fail(found.path.display().to_string(), error),
            }
        }
        placed
    }

    fn fail(&mut self, source: String, error: Error) {
        self.found.failures.push(SourceReport { source, error });
    }

    fn end(mut self, named: &[String]) -> Result<Sources> {
        let unnamed = std::mem::take(&mut self.unnamed);
        let mut walked = Vec::new();
        for one in unnamed {
            match one {
                Unnamed::Device(path) => {
                    let name = self.name_of(&path)?;
                    self.found.devices.push(DeviceTarget { name, path });
                }
                Unnamed::Files(path) => {
                    let config = FilesConfig::of(vec![path.clone()]);
                    match databases_among(self.context, &config, self.progress) {
                        Ok(found) => walked.push((path, config, self.place(found))),
                        Err(error) => self.fail(path.display().to_string(), error),
                    }
                }
            }
        }
        for (path, config, databases) in walked {
            let name = self.name_of(&path)?;
            self.found.files.push(FilesTarget { name, config, databases });
        }
        let Discovered { targets, failures } = self.finder.into_found();
        self.found.databases = targets;
        self.found.failures.extend(failures);
        if self.found.is_empty() && self.found.failures.is_empty() {
            return Err(Error::usage(
                format!("no sqlite database in {}", named.join(", ")),
                "databases are recognised by their content, whatever their name",
            ));
        }
        Ok(self.found)
    }

    /// The name of files or of a device that were given none: the one that the path had before, else its last
    /// component, else that and a hash of the path.
    fn name_of(&self, path: &Path) -> Result<String> {
        let text = lifeboat_restic::escape(path.as_os_str());
        let known = self.context.state().known_files()?;
        if let Some(known) = known.iter().find(|known| known.paths == [text.as_str()]) {
            return Ok(known.name.clone());
        }
        let config = self.context.config();
        let mut taken: BTreeSet<&str> =
            config.source_names().map(|(_, name)| name.as_str()).collect();
        taken.extend(known.iter().map(|known| known.name.as_str()));
        taken.extend(self.finder.targets().iter().map(|target| target.name.as_str()));
        taken.extend(self.found.files.iter().map(|target| target.name.as_str()));
        taken.extend(self.found.devices.iter().map(|target| target.name.as_str()));
        let stem = stem_of(path);
        let files = format!("{stem}-files");
        let free = [stem, files].into_iter().find(|name| !taken.contains(name.as_str()));
        Ok(free.unwrap_or_else(|| hashed(&stem_of(path), path)))
    }
}

/// Whether a path is meant as a database: it is one, or is called like one, as one may be that is still empty.
fn is_database(path: &Path) -> bool {
    let Ok(found) = path.metadata() else { return false };
    if !found.is_file() {
        return false;
    }
    let suffix = path.extension().and_then(std::ffi::OsStr::to_str);
    suffix.is_some_and(|suffix| DATABASE_SUFFIXES.contains(&suffix))
        || read_header(path).is_ok_and(|header| header.is_some())
}
