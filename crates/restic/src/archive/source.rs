//! What is archived.

use std::io::{self, Read};
use std::path::PathBuf;

use lifeboat_files::{Entry, FileContent, FoundFile, Problem, Walk, WalkItem};

/// A stream of what is to be archived: depth first, the names of a directory in the order of their bytes, none
/// twice. It begins below `/`, which itself is no item.
pub trait Source {
    /// The next item; `None` at the end.
    fn next(&mut self) -> Option<SourceItem>;

    /// Asked after the last item, when all content was read: whether that is what was meant. An error, such
    /// as that of a command that failed, becomes [`crate::Error::Source`], and no snapshot is made.
    fn finish(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// What a source comes upon.
pub enum SourceItem {
    /// A directory. What is in it follows, up to its [`SourceItem::Leave`].
    Enter(Entry),
    /// The end of the directory that was entered last and not left yet.
    Leave,
    /// A regular file.
    File(Box<dyn SourceFile>),
    /// Anything else.
    Entry(Entry),
    /// Something that is left out because that was asked for.
    LeftOut,
    /// Something that was gone when it was looked at.
    Vanished(PathBuf),
    /// Something that could not be read; what is missing by it is missing in the snapshot.
    Problem(Problem),
}

/// A regular file that is opened only if it must be read.
pub trait SourceFile {
    /// What it is.
    fn entry(&self) -> &Entry;

    /// Opens it; `None` if it is gone.
    fn open(&self) -> Result<Option<Box<dyn SourceContent>>, Problem>;

    /// What it is.
    fn into_entry(self: Box<Self>) -> Entry;
}

/// The content of a file. Its end comes, however fast the file grows.
pub trait SourceContent: Read {
    /// Whether the file was changed since it was found: what was read may be part old and part new. Asked
    /// after the last byte.
    fn changed(&self) -> io::Result<bool>;
}

impl Source for Walk {
    fn next(&mut self) -> Option<SourceItem> {
        Iterator::next(self).map(SourceItem::from)
    }
}

impl From<WalkItem> for SourceItem {
    fn from(item: WalkItem) -> Self {
        match item {
            WalkItem::Enter(entry) => Self::Enter(entry),
            WalkItem::Leave => Self::Leave,
            WalkItem::File(file) => Self::File(Box::new(file)),
            WalkItem::Entry(entry) => Self::Entry(entry),
            WalkItem::LeftOut { .. } => Self::LeftOut,
            WalkItem::Vanished(path) => Self::Vanished(path),
            WalkItem::Problem(problem) => Self::Problem(problem),
        }
    }
}

impl SourceFile for FoundFile {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn open(&self) -> Result<Option<Box<dyn SourceContent>>, Problem> {
        let content = FoundFile::open(self)?;
        Ok(content.map(|content| Box::new(content) as Box<dyn SourceContent>))
    }

    fn into_entry(self: Box<Self>) -> Entry {
        self.entry
    }
}

impl SourceContent for FileContent {
    fn changed(&self) -> io::Result<bool> {
        FileContent::changed(self)
    }
}
