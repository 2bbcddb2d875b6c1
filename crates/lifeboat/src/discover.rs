//! Finds the databases that a backup covers.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_sqlite::read_header;

use crate::names::name_of;
use crate::{Context, Error, Note, Progress, Result, SourceReport};

/// A database to protect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseTarget {
    /// Its name.
    pub name: String,
    /// Its file, without symbolic links.
    pub path: PathBuf,
}

/// What a user asked to back up.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Files, directories, `sqlite:` URLs, or names of the configuration. Empty: all of the
    /// configuration.
    pub sources: Vec<String>,
    /// Of directories, take the databases alone.
    pub databases_only: bool,
}

impl Request {
    /// These sources.
    pub fn of(sources: Vec<String>) -> Self {
        Self { sources, databases_only: false }
    }

    /// The databases of these sources.
    pub fn databases(sources: Vec<String>) -> Self {
        Self { sources, databases_only: true }
    }
}

/// What is to be backed up, and what could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    pub(crate) targets: Vec<DatabaseTarget>,
    pub(crate) failures: Vec<SourceReport>,
}

/// Finds the databases of a request.
///
/// A path that is named and not there is an error; in a directory, what is not a database is left
/// alone. One database under two names, by a hard or symbolic link, is one source.
pub fn discover(
    context: &Context,
    request: &Request,
    progress: &dyn Progress,
) -> Result<Vec<DatabaseTarget>> {
    Ok(find(context, request, progress)?.targets)
}

pub(crate) fn find(
    context: &Context,
    request: &Request,
    progress: &dyn Progress,
) -> Result<Discovered> {
    let mut finder = Finder::new(context, progress);
    let configured = &context.config().databases;
    if request.sources.is_empty() {
        for (name, database) in configured {
            finder.configured(name, &database.path);
        }
        if configured.is_empty() {
            return Err(Error::usage(
                "nothing to back up",
                "name a database: lifeboat backup PATH, or put [database.NAME] into lifeboat.toml",
            ));
        }
    }
    for source in &request.sources {
        match configured.get(source) {
            Some(database) => finder.configured(source, &database.path),
            None => finder.named(source),
        }
    }
    let Finder { found, .. } = finder;
    if found.targets.is_empty() && found.failures.is_empty() {
        return Err(Error::usage(
            format!("no sqlite database in {}", request.sources.join(", ")),
            "databases are recognised by their content, whatever their name",
        ));
    }
    Ok(found)
}

/// The path that a `sqlite:` URL means, in the spelling of SQLAlchemy and others
/// (`sqlite:///relative.db`, `sqlite:////absolute.db`); any other text is a path.
pub fn path_of_url(text: &str) -> PathBuf {
    let Some(rest) = text.strip_prefix("sqlite:") else { return PathBuf::from(text) };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    PathBuf::from(path)
}

/// Finds databases one after the other, each once.
pub(crate) struct Finder<'a> {
    context: &'a Context,
    progress: &'a dyn Progress,
    found: Discovered,
    /// The place among the targets by device and inode.
    inodes: HashMap<(u64, u64), usize>,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(context: &'a Context, progress: &'a dyn Progress) -> Self {
        Self { context, progress, found: Discovered::default(), inodes: HashMap::new() }
    }

    /// Those that were found so far.
    pub(crate) fn targets(&self) -> &[DatabaseTarget] {
        &self.found.targets
    }

    pub(crate) fn into_found(self) -> Discovered {
        self.found
    }

    pub(crate) fn configured(&mut self, name: &str, path: &str) {
        let path = self.absolute(path);
        if let Err(error) = self.take_file(&path, Some(name)) {
            self.fail(name, error);
        }
    }

    pub(crate) fn named(&mut self, source: &str) {
        let path = self.absolute(source);
        let result = if path.is_dir() { self.walk(&path) } else { self.take_file(&path, None) };
        if let Err(error) = result {
            self.fail(source, error);
        }
    }

    fn absolute(&self, text: &str) -> PathBuf {
        self.context.environment().working_directory().join(path_of_url(text))
    }

    fn fail(&mut self, source: &str, error: Error) {
        self.found.failures.push(SourceReport { source: source.to_owned(), error });
    }

    /// A file that the user named: must be a database, or empty (SQLite's empty database).
    fn take_file(&mut self, path: &Path, name: Option<&str>) -> Result<()> {
        let missing = |_| lifeboat_sqlite::Error::Missing { path: path.to_owned() };
        let real = path.canonicalize().map_err(missing)?;
        let empty = real.metadata().is_ok_and(|file| file.is_file() && file.len() == 0);
        if !empty && read_header(&real)?.is_none() {
            return Err(lifeboat_sqlite::Error::NotADatabase { path: path.to_owned() }.into());
        }
        self.add(real, name)
    }

    /// Takes the databases below a directory. Symbolic links are not followed.
    fn walk(&mut self, directory: &Path) -> Result<()> {
        if self.context.is_ours(directory) {
            return Ok(());
        }
        let mut entries = std::fs::read_dir(directory)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(Error::file("read", directory))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let result = match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.walk(&path),
                Ok(kind) if kind.is_file() => self.take_if_database(&path),
                _ => Ok(()),
            };
            if let Err(error) = result {
                self.fail(&path.display().to_string(), error);
            }
        }
        Ok(())
    }

    fn take_if_database(&mut self, path: &Path) -> Result<()> {
        match read_header(path) {
            Ok(Some(_)) => {
                self.add(path.canonicalize().map_err(Error::file("resolve", path))?, None)
            }
            // A file that went away between listing and reading was none of ours.
            Ok(None) | Err(lifeboat_sqlite::Error::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn add(&mut self, path: PathBuf, name: Option<&str>) -> Result<()> {
        let before = self.found.targets.len();
        let target = self.place(&path, name)?;
        if target < before {
            let other = self.found.targets[target].path.clone();
            self.progress.note(&Note::SameDatabase { path, other });
        }
        Ok(())
    }

    /// The name of the database at a path, which is taken unless it is among the targets already.
    pub(crate) fn add_once(&mut self, path: &Path) -> Result<String> {
        let target = self.place(path, None)?;
        Ok(self.found.targets[target].name.clone())
    }

    fn place(&mut self, path: &Path, name: Option<&str>) -> Result<usize> {
        let metadata = path.metadata().map_err(Error::file("look at", path))?;
        let inode = (metadata.dev(), metadata.ino());
        if let Some(target) = self.inodes.get(&inode) {
            return Ok(*target);
        }
        let targets = &mut self.found.targets;
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let taken: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
                name_of(self.context.state(), path, &taken)?
            }
        };
        targets.push(DatabaseTarget { name, path: path.to_owned() });
        self.inodes.insert(inode, targets.len() - 1);
        Ok(targets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::path_of_url;

    #[test]
    fn database_urls_are_paths() {
        for (text, path) in [
            ("app.db", "app.db"),
            ("sqlite:///app.db", "app.db"),
            ("sqlite:///../ai-assistant.db", "../ai-assistant.db"),
            ("sqlite:////var/lib/app.db", "/var/lib/app.db"),
            ("sqlite:////var/lib/app.db?mode=rwc", "/var/lib/app.db"),
            ("sqlite:app.db", "app.db"),
            ("sqlite://app.db", "app.db"),
        ] {
            assert_eq!(path_of_url(text), Path::new(path), "{text}");
        }
    }
}
