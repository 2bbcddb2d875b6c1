//! Arguments of `lifeboat replicate` and `lifeboat status`.

use clap::Args;
use lifeboat::Interval;

#[derive(Debug, Args)]
pub(crate) struct ReplicateArguments {
    /// Databases, directories with databases (new ones join by themselves), sqlite:/// URLs, or names
    /// of the configuration; none: all databases of the configuration
    #[arg(value_name = "DATABASE")]
    pub(crate) sources: Vec<String>,
    /// How often a database that is written to is captured [default: as configured, else 1s]
    #[arg(long, value_name = "TIME")]
    pub(crate) interval: Option<Interval>,
    /// Capture what there is now, store it in every repository, and end; with 3 if that was not
    /// possible everywhere
    #[arg(long, conflicts_with_all = ["exec", "yields"])]
    pub(crate) once: bool,
    /// Run the application as well, pass signals on to it, and end with its exit code when it ends
    #[arg(long, value_name = "COMMAND", conflicts_with = "yields")]
    pub(crate) exec: Option<String>,
    /// No other host writes any more: take over from the one that did
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Have the replication that runs let go of these databases for some seconds, so that their
    /// applications can leave WAL mode or truncate the WAL
    #[arg(long = "yield", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10")]
    pub(crate) yields: Option<u64>,
}
