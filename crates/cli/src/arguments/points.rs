//! Points: which to list, and which to take.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PointsArguments {
    /// The database: its name or path; without it, all
    #[arg(value_name = "DATABASE")]
    pub(crate) source: Option<String>,
    /// The host whose databases are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only this lineage: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub(crate) lineage: Option<String>,
    /// Show every range; with --json, every point
    #[arg(long)]
    pub(crate) all: bool,
}

/// A point instead of a backup.
#[derive(Debug, Args)]
pub(crate) struct PointArguments {
    /// The newest point at or before a time: "2026-11-21 14:30:05", RFC 3339, a date (its first
    /// moment), "15m ago" or now
    #[arg(long, value_name = "TIME", group = "point", conflicts_with = "backup")]
    pub(crate) at: Option<String>,
    /// The point with this transaction number, in hex as `points` shows it
    #[arg(long, value_name = "N", group = "point", conflicts_with = "backup")]
    pub(crate) txid: Option<String>,
    /// The lineage of that point: its id, or the beginning of it
    #[arg(long, value_name = "ID", requires = "point")]
    pub(crate) lineage: Option<String>,
}
