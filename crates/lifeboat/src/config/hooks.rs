//! `[hooks]`, and `hooks` of a source.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Interval;

/// How long a hook may take, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What is run around a backup, or around one of its sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HooksConfig {
    /// First. With status 75 it says that there is nothing to do now; with another that is not 0, that
    /// there can be no backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<CommandLine>,
    /// Whenever `before` succeeded, whatever came of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<CommandLine>,
    /// Last, if something failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<CommandLine>,
    /// How long each of them may take; else ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
}

impl HooksConfig {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.map_or(TIMEOUT, Interval::get)
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Words")]
pub enum CommandLine {
    /// For the shell.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// A command as it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a command: \"a | b\" for the shell, or [\"a\", \"b\"]")]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Words> for CommandLine {
    type Error = &'static str;

    fn try_from(words: Words) -> Result<Self, Self::Error> {
        match words {
            Words::One(text) if !text.trim().is_empty() => Ok(Self::Shell(text)),
            Words::Several(words) if !words.is_empty() => Ok(Self::Program(words)),
            _ => Err("a command may not be empty"),
        }
    }
}

impl CommandLine {
    /// The command, to be run.
    pub(crate) fn command(&self) -> Command {
        let (program, arguments) = match self {
            Self::Shell(text) => ("sh", &["-c".to_owned(), text.clone()][..]),
            Self::Program(words) => match words.split_first() {
                Some((program, arguments)) => (program.as_str(), arguments),
                // Refused where the configuration is read.
                None => ("false", &[][..]),
            },
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(text) => formatter.write_str(text),
            Self::Program(words) => formatter.write_str(&words.join(" ")),
        }
    }
}
