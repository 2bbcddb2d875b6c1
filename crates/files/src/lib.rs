//! The file system side of backing up files: what is there, what of it is meant, its content and metadata;
//! and putting it back without leaving the directory that it is put into.
//!
//! This crate knows nothing of how files are stored.

mod attributes;
mod directory;
mod entry;
mod error;
mod excludes;
mod metadata;
mod owners;
mod paths;
mod pattern;
mod problem;
mod put;
mod reader;
mod walk;

pub use entry::{Attribute, Entry, FileTime, Kind, Metadata};
pub use error::{Error, Result};
pub use excludes::{DEFAULT_EXCLUDES, ExcludeOptions, Excludes, Exclusion, SYSTEM_EXCLUDES};
pub use owners::OwnerNames;
pub use paths::{SourcePaths, clean};
pub use pattern::Patterns;
pub use problem::Problem;
pub use put::{
    Decision, Durability, FileInPlace, FileInProgress, Outcome, Overwrite, Owners, Put, PutOptions,
    PutReport,
};
pub use reader::{FileContent, FoundFile};
pub use walk::{OPEN_DIRECTORIES, Skip, Walk, WalkItem, WalkOptions};
