//! Reads all of a stored tree, and keeps nothing of it.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lifeboat_files::Kind;
use lifeboat_repository::Source;
use lifeboat_restic::{BlobHandle, BlobId, BlobKind, Error as ResticError, Node, ReadOptions};

use super::StoredFiles;
use super::filter::Filter;
use super::tree_walk::{Step, TreeWalk};
use crate::{Error, OpenRepository, Progress, Result};

/// Verifies every directory and every piece of every file of a source that is no database; each piece once.
///
/// Memory: 32 bytes for each piece, beside those of its index.
pub(crate) fn verify_stored(
    opened: &OpenRepository<'_>,
    source: &Source,
    progress: &dyn Progress,
) -> Result<()> {
    let (Some(stored), Some(name)) = (source.stored(), source.name()) else { return Ok(()) };
    progress.begin(&format!("checking {name}"), Some(source.size_bytes()));
    let read = StoredFiles::open(opened, false, progress)
        .and_then(|files| read_all(&files, name, &stored.tree, progress));
    progress.end();
    read
}

fn read_all(
    files: &StoredFiles,
    name: &str,
    tree: &lifeboat_restic::TreeId,
    progress: &dyn Progress,
) -> Result<()> {
    let walk = TreeWalk::new(files, tree, Path::new("/"), Filter::default())?;
    let state = Rc::new(RefCell::new(State::default()));
    let pieces = Pieces {
        files,
        walk,
        seen: HashSet::new(),
        pieces: Vec::new().into_iter(),
        file: Rc::from(Path::new("/")),
        state: state.clone(),
    };
    let failed = |path: &Path, error: ResticError| Error::NotReadable {
        path: path.to_owned(),
        source_name: name.to_owned(),
        source: Box::new(error.into()),
    };
    for piece in files.repository.read_blobs(&files.index, pieces, &ReadOptions::default())? {
        let file = state.borrow_mut().files.pop_front();
        match piece {
            Ok(piece) => progress.advance(piece.len() as u64),
            Err(error) => return Err(failed(file.as_deref().unwrap_or(Path::new("/")), error)),
        }
    }
    match state.borrow_mut().problem.take() {
        Some((path, error)) => Err(failed(&path, error)),
        None => Ok(()),
    }
}

/// What those who ask for pieces know of them.
#[derive(Default)]
struct State {
    /// The file of each piece that was asked for.
    files: VecDeque<Rc<Path>>,
    /// What ended the walk.
    problem: Option<(PathBuf, ResticError)>,
}

/// The pieces of a tree, each once.
struct Pieces<'a> {
    files: &'a StoredFiles,
    walk: TreeWalk<'a>,
    seen: HashSet<BlobId>,
    pieces: std::vec::IntoIter<BlobId>,
    file: Rc<Path>,
    state: Rc<RefCell<State>>,
}

impl Pieces<'_> {
    fn has_its_size(&self, node: &Node) -> bool {
        let lengths = node.content.iter().map(|id| {
            let location = self.files.index.find(&BlobHandle { kind: BlobKind::Data, id: *id })?;
            Some(u64::from(location.extent.plain_length()))
        });
        // A piece that is missing is told when it is read.
        lengths.sum::<Option<u64>>().is_none_or(|length| length == node.metadata.size)
    }

    fn problem(&self, path: PathBuf, error: ResticError) {
        self.state.borrow_mut().problem = Some((path, error));
    }
}

impl Iterator for Pieces<'_> {
    type Item = BlobId;

    fn next(&mut self) -> Option<BlobId> {
        loop {
            if let Some(id) = self.pieces.next() {
                if !self.seen.insert(id) {
                    continue;
                }
                self.state.borrow_mut().files.push_back(self.file.clone());
                return Some(id);
            }
            if self.state.borrow().problem.is_some() {
                return None;
            }
            match self.walk.next()? {
                Step::Entry { path, node } if node.kind == Kind::File => {
                    if !self.has_its_size(&node) {
                        let problem = "its pieces are not as long as it should be".to_owned();
                        let object = node.name.display().to_string();
                        self.problem(path, ResticError::Corrupt { object, problem });
                        return None;
                    }
                    (self.pieces, self.file) = (node.content.into_iter(), Rc::from(path));
                }
                Step::Problem { path, error } => self.problem(path, error),
                _ => {}
            }
        }
    }
}
