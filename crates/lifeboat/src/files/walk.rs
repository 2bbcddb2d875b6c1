//! From the configuration of a source to a walk through its files.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_files::{
    DEFAULT_EXCLUDES, Entry, ExcludeOptions, Excludes, SYSTEM_EXCLUDES, Skip, SourcePaths, Walk,
    WalkOptions,
};

use crate::config::{ByteLimit, FilesConfig, Preset};
use crate::{Context, Error, Result};

/// Whether a walk reads extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    Read,
    Leave,
}

/// A walk through the files of a source, without what rules leave out, without what `skip` does, and without
/// what belongs to Lifeboat.
pub(crate) fn walk(
    context: &Context,
    config: &FilesConfig,
    attributes: Attributes,
    skip: Option<Skip>,
) -> Result<Walk> {
    let paths = SourcePaths::new(&paths(config)).map_err(Error::Files)?;
    let own = own_inodes(context);
    let skip: Skip = Arc::new(move |entry: &Entry| {
        own.contains(&(entry.metadata.device, entry.metadata.inode))
            || skip.as_ref().is_some_and(|skip| skip(entry))
    });
    let options = WalkOptions {
        one_file_system: config.one_file_system,
        attributes: attributes == Attributes::Read,
        excludes: excludes(context, config)?,
        skip: Some(skip),
    };
    Ok(Walk::new(&paths, options))
}

/// The paths of a source.
pub(crate) fn paths(config: &FilesConfig) -> Vec<PathBuf> {
    match config.preset {
        Some(Preset::System) => vec![PathBuf::from("/")],
        None => config.paths.clone(),
    }
}

/// What is left out of a source.
fn excludes(context: &Context, config: &FilesConfig) -> Result<Excludes> {
    let usual = config.default_excludes.unwrap_or(true);
    let usual = DEFAULT_EXCLUDES.iter().filter(|_| usual);
    let of_preset = SYSTEM_EXCLUDES.iter().filter(|_| config.preset == Some(Preset::System));
    let built_in = usual.chain(of_preset).map(|pattern| (*pattern).to_owned());
    let directory = context.environment().working_directory();
    let options = ExcludeOptions {
        // Last, so that what is configured may take something in again.
        patterns: built_in.chain(config.exclude.iter().cloned()).collect(),
        patterns_ignoring_case: config.iexclude.clone(),
        files: config.exclude_file.iter().map(|file| directory.join(file)).collect(),
        files_ignoring_case: Vec::new(),
        caches: config.exclude_caches.unwrap_or(true),
        if_present: config.exclude_if_present.clone(),
        larger_than: config.exclude_larger_than.and_then(ByteLimit::get),
    };
    Excludes::new(&options).map_err(Error::Files)
}

/// The directories of Lifeboat, however they are called.
fn own_inodes(context: &Context) -> HashSet<(u64, u64)> {
    let own = context.own_directories().into_iter().filter_map(|path| path.metadata().ok());
    own.map(|found| (found.dev(), found.ino())).collect()
}
