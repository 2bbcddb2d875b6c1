//! The commands: each asks the application and shows what it answers.

mod backup;
mod backups;
mod check;
mod config;
mod dump;
mod init;
mod ls;
mod restore;
mod stats;

use clap::CommandFactory;
use lifeboat::{Context, Environment, Error, Overrides, PasswordSource, Selection};

use crate::arguments::{Arguments, Command, ConfigCommand, Global, SelectArguments};
use crate::exit::Exit;
use crate::progress::Reporter;

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
    let session = Session::open(global)?;
    match &command {
        Command::Init => init::run(&session),
        Command::Backup(arguments) => backup::run(&session, arguments),
        Command::Backups(arguments) => backups::run(&session, arguments),
        Command::Restore(arguments) => restore::run(&session, arguments),
        Command::Dump(arguments) => dump::run(&session, arguments),
        Command::Ls(arguments) => ls::run(&session, arguments),
        Command::Check(arguments) => check::run(&session, arguments),
        Command::Stats => stats::run(&session),
        Command::Config { command: ConfigCommand::Show } => config::show(&session),
        Command::Completions { .. } => Ok(Exit::Ok),
    }
}

impl Session {
    fn open(global: Global) -> Result<Self, Error> {
        let password = global
            .password_file
            .clone()
            .map(PasswordSource::File)
            .or_else(|| global.password_command.clone().map(PasswordSource::Command));
        let overrides = Overrides {
            repository: global.repository.clone(),
            password,
            config: global.config.clone(),
        };
        let context = Context::load(Environment::of_process(), overrides)?;
        let progress = Reporter::new(global.json, global.quiet, global.verbose);
        Ok(Self { context, progress, global })
    }

    /// Writes a line unless `--quiet`.
    pub(crate) fn say(&self, text: &str) -> Result<(), Error> {
        if self.global.quiet { Ok(()) } else { crate::output::line(text) }
    }
}

fn selection(arguments: &SelectArguments) -> Selection {
    Selection {
        source: arguments.source.clone(),
        backup: arguments.backup.clone(),
        host: arguments.host.clone(),
    }
}
