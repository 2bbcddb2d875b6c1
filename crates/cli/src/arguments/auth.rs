use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Get the permission to keep backups in your Google Drive
    ///
    /// With an OAuth client of your own, of the kind "Desktop app": it sees only what it has put there itself.
    /// A browser opens and asks; --headless is for a machine without one.
    Gdrive(GdriveArguments),
}

#[derive(Debug, Args)]
pub(crate) struct GdriveArguments {
    /// The client's JSON file, as Google's console gives it [env: GOOGLE_APPLICATION_CREDENTIALS]
    #[arg(long, value_name = "FILE", conflicts_with = "client_id")]
    pub(crate) client: Option<PathBuf>,
    /// The client's id; its secret is read from LIFEBOAT_GDRIVE_CLIENT_SECRET
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Print the address, to be opened on another machine, and read what its browser shows then
    #[arg(long)]
    pub(crate) headless: bool,
    /// Take over the permission of a remote of rclone's
    #[arg(long, value_name = "REMOTE", conflicts_with_all = ["client", "client_id", "headless"])]
    pub(crate) import_rclone: Option<String>,
    /// rclone's configuration [env: RCLONE_CONFIG]
    #[arg(long, value_name = "FILE", requires = "import_rclone")]
    pub(crate) rclone_config: Option<PathBuf>,
}
