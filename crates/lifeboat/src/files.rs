//! Files, command output and devices: between the file system and the files part of a repository.

mod among;
mod diff;
mod dump;
mod filter;
mod find;
mod image;
mod list;
mod meant;
mod part;
mod prune;
mod restore;
mod single;
mod store;
mod stored;
mod tree_walk;
mod verify;
mod walk;

pub use self::diff::{
    Change, DatabaseDifference, DiffItem, DiffReport, DiffRequest, Difference, diff,
};
pub use self::dump::{FileDumpReport, dump_file};
pub use self::find::{FindReport, FindRequest, FoundEntry, FoundWhat, find_files};
pub use self::image::{
    ImageRestorePlan, ImageRestoreReport, ImageRestoreRequest, plan_image_restore, restore_image,
};
pub use self::list::{ListRequest, kind_name, list_files};
pub use self::meant::{Meant, StoredSource, meant};
pub(crate) use self::part::{FilesPart, look};
pub use self::prune::plan_files_prune;
pub(crate) use self::prune::prune_files;
pub use self::restore::{
    FilesRestorePlan, FilesRestoreReport, FilesRestoreRequest, PlacedAction, PlacedPlan,
    RestoreProblem, RestoredDatabase, plan_files_restore, restore_files,
};
pub(crate) use self::stored::StoredFiles;
pub(crate) use self::verify::verify_stored;
pub(crate) use self::walk::{Attributes, paths, walk};
