//! Arguments of `lifeboat follow`.

use std::path::PathBuf;

use clap::Args;
use lifeboat::Interval;

#[derive(Debug, Args)]
pub(crate) struct FollowArguments {
    /// The database: its name, or its path on the host it comes from
    #[arg(value_name = "DATABASE")]
    pub(crate) source: String,
    /// Where the copy is, or will be
    #[arg(short, long, value_name = "PATH")]
    pub(crate) target: PathBuf,
    /// How often to look for what is new
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) interval: Interval,
    /// Catch up and end; with 3 if the copy does not hold what is newest
    #[arg(long)]
    pub(crate) once: bool,
    /// Replace what is at the target, whatever it is; it is moved aside, not deleted
    #[arg(long)]
    pub(crate) force: bool,
    /// The host that the database comes from
    #[arg(long)]
    pub(crate) host: Option<String>,
}
