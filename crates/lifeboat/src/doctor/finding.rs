//! What an examination finds.

use std::fmt;

use crate::Error;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Backups work, but something is not as it should be, or will not stay so.
    Warning,
    /// Backup or restore does not work, or data is in danger.
    Problem,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// One finding.
#[derive(Debug)]
pub struct Diagnosis {
    /// How much it matters.
    pub severity: Severity,
    /// What was examined, in a word or two that stay the same.
    pub examined: &'static str,
    /// What was found.
    pub found: String,
    /// What to do: a command or a step.
    pub remedy: Option<String>,
    /// The error that a backup or restore would end with, where there is one.
    pub error: Option<Box<Error>>,
}

impl Diagnosis {
    pub(super) fn ok(examined: &'static str, found: impl Into<String>) -> Self {
        let found = found.into();
        Self { severity: Severity::Ok, examined, found, remedy: None, error: None }
    }

    pub(super) fn warning(
        examined: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (severity, remedy) = (Severity::Warning, Some(remedy.into()));
        Self { severity, remedy, ..Self::ok(examined, found) }
    }

    pub(super) fn problem(
        examined: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Problem, ..Self::warning(examined, found, remedy) }
    }

    /// A problem that is an error.
    pub(super) fn failed(examined: &'static str, error: impl Into<Error>) -> Self {
        let error = error.into();
        let found = crate::error::chain(&error);
        let (severity, error) = (Severity::Problem, Some(Box::new(error)));
        Self { severity, error, ..Self::ok(examined, found) }
    }

    /// With this remedy.
    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Said less loudly.
    pub(super) fn only_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

/// What is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The SQLite library in this program.
    Engine,
    /// The configuration file.
    Configuration,
    /// The state directory.
    State,
    /// The clock of this machine.
    Clock,
    /// A repository.
    Repository,
    /// A database.
    Database,
    /// Files to be backed up.
    Files,
}

impl fmt::Display for Area {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Engine => "engine",
            Self::Configuration => "configuration",
            Self::State => "state",
            Self::Clock => "clock",
            Self::Repository => "repository",
            Self::Database => "database",
            Self::Files => "files",
        })
    }
}

/// The findings about one thing.
#[derive(Debug)]
pub struct Examination {
    /// What kind of thing.
    pub area: Area,
    /// Which one: a name or path; empty where there is one only.
    pub subject: String,
    /// What was found, in the order of looking.
    pub findings: Vec<Diagnosis>,
}

impl Examination {
    pub(super) fn new(area: Area, subject: impl Into<String>) -> Self {
        Self { area, subject: subject.into(), findings: Vec::new() }
    }

    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Diagnosis>) {
        self.findings.extend(findings);
    }
}
