//! The commands: each asks the application and shows what it answers.

mod auth;
mod backup;
pub(crate) mod backups;
mod check;
mod config;
mod copy;
mod diff;
mod doctor;
mod dump;
mod files_prune;
mod find;
mod follow;
mod forget;
mod init;
mod key;
mod ls;
mod merges;
pub(crate) mod points;
mod prune;
mod replicate;
pub(crate) mod restore;
mod restore_all;
mod restore_files;
mod restore_image;
pub(crate) mod restore_point;
mod stats;
mod status;
mod undelete;
mod unlock;

use clap::CommandFactory;
use lifeboat::{
    Context, Environment, Error, KeySource, OpenRepository, Overrides, PasswordSource, PointChoice,
    PointSelection, Selection, parse_time, parse_txid,
};

use crate::arguments::{
    Arguments, Command, ConfigCommand, Global, PointArguments, SelectArguments,
};
use crate::exit::{self, Exit};
use crate::output;
use crate::progress::Reporter;
use serde_json::json;

/// What every command has.
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) progress: Reporter,
    pub(crate) global: Global,
}

/// Runs a command.
pub(crate) fn run(arguments: Arguments) -> Result<Exit, Error> {
    let Arguments { global, command } = arguments;
    if let Command::Completions { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "lifeboat", &mut script);
        crate::output::line(String::from_utf8_lossy(&script).trim_end())?;
        return Ok(Exit::Ok);
    }
    if let Command::Doctor(arguments) = &command {
        return doctor::run(&global, arguments);
    }
    let recipient = match &command {
        Command::Backup(arguments) => arguments.recipient.clone(),
        _ => None,
    };
    let session = Session::open(global, recipient, &command)?;
    match &command {
        Command::Init(arguments) => init::run(&session, arguments),
        Command::Backup(arguments) => backup::run(&session, arguments),
        Command::Backups(arguments) => backups::run(&session, arguments),
        Command::Points(arguments) => points::run(&session, arguments),
        Command::Restore(arguments) => restore::run(&session, arguments),
        Command::Dump(arguments) => dump::run(&session, arguments),
        Command::Follow(arguments) => follow::run(&session, arguments),
        Command::Ls(arguments) => ls::run(&session, arguments),
        Command::Find(arguments) => find::run(&session, arguments),
        Command::Diff(arguments) => diff::run(&session, arguments),
        Command::Copy(arguments) => copy::run(&session, arguments),
        Command::Forget(arguments) => forget::run(&session, arguments),
        Command::Undelete(arguments) => undelete::run(&session, arguments),
        Command::Prune(arguments) => prune::run(&session, arguments),
        Command::Check(arguments) => check::run(&session, arguments),
        Command::Unlock(arguments) => unlock::run(&session, arguments),
        Command::Replicate(arguments) => replicate::run(&session, arguments),
        Command::Status(arguments) => status::run(&session, arguments),
        Command::Stats => stats::run(&session),
        Command::Key { command } => key::run(&session, command),
        Command::Auth { command } => auth::run(&session, command),
        Command::Config { command: ConfigCommand::Show } => config::show(&session),
        Command::Completions { .. } | Command::Doctor(_) => Ok(Exit::Ok),
    }
}

impl Session {
    fn open(global: Global, recipient: Option<String>, command: &Command) -> Result<Self, Error> {
        if global.s3.shows_a_secret() {
            output::note(
                "warning: every user of this machine can see the secret key on the command line; \
                 put it into AWS_SECRET_ACCESS_KEY",
            );
        }
        let overrides = overrides(&global, recipient);
        // All others either write, or remember whose signatures they have seen.
        let looks = matches!(command, Command::Status(_));
        let load = if looks { Context::for_looking } else { Context::load };
        let context = load(Environment::of_process(), overrides)?;
        let progress = Reporter::new(global.json, global.quiet, global.verbose);
        Ok(Self { context, progress, global })
    }

    /// Opens the repository to read from it. Where several would do, it is said which one is read.
    pub(crate) fn open_repository(&self) -> Result<OpenRepository<'_>, Error> {
        let opened = self.context.open_repository()?;
        if self.context.has_several_repositories() && !self.global.quiet && !self.global.json {
            output::note(&format!("reading {}; -r NAME reads another", opened.name()));
        }
        Ok(opened)
    }

    /// Does something with each repository that is meant. One that fails keeps no other from it; then the exit
    /// code is that of the first failure.
    pub(crate) fn each_repository(
        &self,
        act: impl Fn(&OpenRepository<'_>) -> Result<Exit, Error>,
    ) -> Result<Exit, Error> {
        if !self.context.has_several_repositories() {
            return self.context.open_only_repository().and_then(|opened| act(&opened));
        }
        let mut exit = Ok(Exit::Ok);
        self.context.each_repository(
            |_| true,
            |name, opened| {
                let Ok(before) = exit else { return };
                exit = self.head(&name).map(|()| {
                    let done = opened.and_then(|opened| act(&opened)).unwrap_or_else(|error| {
                        let exit = exit::of_error(&error);
                        output::error(&error, exit, self.global.json);
                        exit
                    });
                    if before == Exit::Ok { done } else { before }
                });
            },
        );
        exit
    }

    /// Says which repository the next lines are of.
    fn head(&self, name: &str) -> Result<(), Error> {
        if self.global.json {
            return output::json(&json!({ "message_type": "repository", "name": name }));
        }
        self.say(&format!("{name}:"))
    }

    /// Writes a line unless `--quiet`.
    pub(crate) fn say(&self, text: &str) -> Result<(), Error> {
        if self.global.quiet { Ok(()) } else { crate::output::line(text) }
    }
}

/// What the command line says over configuration and environment.
fn overrides(global: &Global, recipient: Option<String>) -> Overrides {
    let file = global.password_file.clone().map(PasswordSource::File);
    let command = || global.password_command.clone().map(PasswordSource::Command);
    let password = file.or_else(command).map(KeySource::Password);
    Overrides {
        repository: global.s3.url().or_else(|| global.repository.clone()),
        key: password.or_else(|| global.identity.clone().map(KeySource::Identity)),
        recipient,
        config: global.config.clone(),
        store: global.s3.store(),
    }
}

fn selection(arguments: &SelectArguments) -> Selection {
    Selection {
        source: arguments.source.clone(),
        backup: arguments.backup.clone(),
        host: arguments.host.clone(),
    }
}

/// The point that is meant, if it is one and no backup. Litestream knows no backups: of what it
/// wrote by itself the newest point is meant.
fn point_selection(
    opened: &OpenRepository<'_>,
    arguments: &SelectArguments,
) -> Result<Option<PointSelection>, Error> {
    let PointArguments { at, txid, lineage } = &arguments.point;
    let point = match (at, txid) {
        (Some(time), _) => PointChoice::At(parse_time(time)?),
        (None, Some(txid)) => PointChoice::Txid(parse_txid(txid)?),
        (None, None) if opened.repository().is_replica() && arguments.backup.is_none() => {
            PointChoice::Newest
        }
        (None, None) => return Ok(None),
    };
    let (source, host) = (arguments.source.clone(), arguments.host.clone());
    Ok(Some(PointSelection { source, host, lineage: lineage.clone(), point }))
}
