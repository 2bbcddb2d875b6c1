//! Looks for files in all backups.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lifeboat_files::{Entry, Patterns};
use lifeboat_repository::{BackupName, Manifest, Source, encode_name};
use lifeboat_restic::{Node, TreeId};

use super::StoredFiles;
use super::list::entry;
use super::restore::RestoreProblem;
use super::stored::unescaped;
use crate::error::chain;
use crate::select::candidates;
use crate::{DatabaseSource, Error, OpenRepository, Progress, Result, Selection};

/// What to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct FindRequest {
    /// Patterns, restic's: one without `/` is for names, one with `/` for paths.
    pub patterns: Vec<String>,
    /// Capital letters are small ones.
    pub ignore_case: bool,
    /// Only this backup.
    pub backup: Option<String>,
    /// Only backups of this host.
    pub host: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Take no lock of the repository.
    pub no_lock: bool,
}

/// Something that was found.
#[derive(Debug)]
pub struct FoundEntry<'a> {
    /// The backup.
    pub backup: &'a BackupName,
    /// The name of the source.
    pub source: &'a str,
    /// What it is.
    pub what: FoundWhat<'a>,
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub enum FoundWhat<'a> {
    /// Something among files.
    Entry(&'a Entry),
    /// A database.
    Database(&'a DatabaseSource),
}

/// What a search did.
#[derive(Debug, Default)]
pub struct FindReport {
    /// Backups that were searched.
    pub backups: u64,
    /// Directories that were read: one that is the same in several backups only once.
    pub directories: u64,
    /// How often something was found.
    pub found: u64,
    /// What could not be read; for a backup, its name.
    pub problems: Vec<RestoreProblem>,
}

/// Tells of everything that fits, backup by backup, the newest first.
///
/// Memory: an entry for each directory that was read, and for each thing that was found.
pub fn find_files(
    opened: &OpenRepository<'_>,
    request: &FindRequest,
    each: &mut dyn FnMut(&FoundEntry<'_>) -> Result<()>,
    progress: &dyn Progress,
) -> Result<FindReport> {
    let wanted = Wanted::new(request)?;
    let mut finder =
        Finder { wanted, files: None, known: HashMap::new(), report: FindReport::default() };
    for backup in backups(opened, request)? {
        let manifest = match opened.manifest(&backup) {
            Ok(manifest) => manifest,
            Err(error) if error.is_damage() => {
                let path = PathBuf::from(format!("backup {}", backup.id.short()));
                finder.report.problems.push(RestoreProblem { path, error: chain(&error) });
                continue;
            }
            Err(error) => return Err(error),
        };
        if finder.files.is_none() && manifest.sources.iter().any(|one| one.stored().is_some()) {
            finder.files = Some(StoredFiles::open(opened, request.no_lock, progress)?);
        }
        finder.report.backups += 1;
        finder.backup(&backup, &manifest, request, each)?;
    }
    Ok(finder.report)
}

fn backups(opened: &OpenRepository<'_>, request: &FindRequest) -> Result<Vec<BackupName>> {
    if request.backup.is_some() {
        let selection =
            Selection { backup: request.backup.clone(), host: request.host.clone(), source: None };
        let mut found = candidates(opened, &selection)?;
        if !selection.names_backup() {
            found.truncate(1);
        }
        if found.is_empty() {
            return Err(crate::select::no_backup(opened, &selection));
        }
        return Ok(found);
    }
    let mut backups = opened.repository().backups()?;
    if let Some(host) = &request.host {
        let host = encode_name(host)?;
        backups.retain(|backup| backup.host == host);
    }
    Ok(backups)
}

/// What is looked for.
struct Wanted {
    names: Patterns,
    paths: Patterns,
}

impl Wanted {
    fn new(request: &FindRequest) -> Result<Self> {
        let list = |for_paths: bool| {
            let patterns = request.patterns.iter();
            let patterns = patterns.filter(move |pattern| pattern.contains('/') == for_paths);
            let made = if request.ignore_case {
                Patterns::ignoring_case(patterns)
            } else {
                Patterns::new(patterns)
            };
            made.map_err(Error::Files)
        };
        Ok(Self { names: list(false)?, paths: list(true)? })
    }

    /// What lies below something that fits does not fit for that.
    fn has(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let above = path.parent().unwrap_or(Path::new("/"));
        self.names.matches(&Path::new("/").join(name))
            || (self.paths.matches(path) && !self.paths.matches(above))
    }
}

/// What was found in a directory, and the directories in it in which something was.
#[derive(Debug, Default)]
struct Matches {
    entries: Vec<Entry>,
    below: Vec<Rc<Matches>>,
}

impl Matches {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.below.is_empty()
    }
}

struct Finder {
    wanted: Wanted,
    files: Option<StoredFiles>,
    /// By tree and its path, on which patterns depend.
    known: HashMap<(TreeId, PathBuf), Rc<Matches>>,
    report: FindReport,
}

/// A directory that is being searched.
struct Frame {
    key: (TreeId, PathBuf),
    rest: std::vec::IntoIter<Node>,
    matches: Matches,
}

impl Finder {
    fn backup(
        &mut self,
        backup: &BackupName,
        manifest: &Manifest,
        request: &FindRequest,
        each: &mut dyn FnMut(&FoundEntry<'_>) -> Result<()>,
    ) -> Result<()> {
        for source in &manifest.sources {
            let Some(name) = source.name() else { continue };
            if request.source.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            match source {
                Source::Database(database) if self.wanted.has(&unescaped(&database.path)) => {
                    self.report.found += 1;
                    let what = FoundWhat::Database(database);
                    each(&FoundEntry { backup, source: name, what })?;
                }
                Source::Files(files) => {
                    let matches = self.search(files.stored.tree);
                    self.tell(&matches, &mut |entry| {
                        let what = FoundWhat::Entry(entry);
                        each(&FoundEntry { backup, source: name, what })
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        matches: &Rc<Matches>,
        each: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let mut pending = vec![matches];
        while let Some(matches) = pending.pop() {
            for entry in &matches.entries {
                self.report.found += 1;
                each(entry)?;
            }
            pending.extend(matches.below.iter().rev());
        }
        Ok(())
    }

    /// What fits in a tree. Directories that were searched before are not read again.
    fn search(&mut self, root: TreeId) -> Rc<Matches> {
        let root = (root, PathBuf::from("/"));
        let mut frames = Vec::new();
        self.open(root.clone(), &mut frames);
        while let Some(frame) = frames.last_mut() {
            if let Some(node) = frame.rest.next() {
                let path = frame.key.1.join(&node.name);
                let subtree = node.subtree;
                if self.wanted.has(&path) {
                    frame.matches.entries.push(entry(path.clone(), node));
                }
                if let Some(subtree) = subtree {
                    self.open((subtree, path), &mut frames);
                }
            } else if let Some(Frame { key, matches, .. }) = frames.pop() {
                let matches = Rc::new(matches);
                attach(&mut frames, &matches);
                self.known.insert(key, matches);
            }
        }
        self.known.get(&root).cloned().unwrap_or_default()
    }

    /// Begins to search a directory, or takes what is known of it.
    fn open(&mut self, key: (TreeId, PathBuf), frames: &mut Vec<Frame>) {
        if let Some(known) = self.known.get(&key) {
            return attach(frames, known);
        }
        let Some(files) = &self.files else { return };
        self.report.directories += 1;
        let problems = &mut self.report.problems;
        let nodes = match files.tree(&key.0) {
            Ok(tree) => {
                problems.extend(tree.unreadable.into_iter().map(|unreadable| RestoreProblem {
                    path: key.1.join(unreadable.name),
                    error: unreadable.problem,
                }));
                tree.nodes
            }
            Err(error) => {
                problems.push(RestoreProblem { path: key.1.clone(), error: chain(&error) });
                Vec::new()
            }
        };
        frames.push(Frame { key, rest: nodes.into_iter(), matches: Matches::default() });
    }
}

fn attach(frames: &mut [Frame], matches: &Rc<Matches>) {
    if let Some(above) = frames.last_mut().filter(|_| !matches.is_empty()) {
        above.matches.below.push(matches.clone());
    }
}
