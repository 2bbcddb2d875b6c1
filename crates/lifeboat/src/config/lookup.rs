//! What a configuration says of a source, by its name.

use std::collections::BTreeMap;

use lifeboat_repository::{KeepRules, Ladder};

use super::{Config, HooksConfig};

/// What the tables of all kinds of sources have in common.
struct SourceConfig<'a> {
    kind: &'static str,
    name: &'a String,
    hooks: &'a HooksConfig,
    keep: Option<&'a KeepRules>,
}

/// The sources of one kind.
fn of_kind<'a, T>(
    kind: &'static str,
    tables: &'a BTreeMap<String, T>,
    parts: fn(&'a T) -> (&'a HooksConfig, Option<&'a KeepRules>),
) -> impl Iterator<Item = SourceConfig<'a>> {
    tables.iter().map(move |(name, table)| {
        let (hooks, keep) = parts(table);
        SourceConfig { kind, name, hooks, keep }
    })
}

impl Config {
    /// How long the points of a database stay, where that is configured.
    pub fn points_of(&self, database: &str) -> Option<&Ladder> {
        let own = self.databases.get(database).and_then(|database| database.points.as_ref());
        own.or(self.points.ladder.as_ref())
    }

    /// Whether nothing is to be run around backups.
    pub fn hooks_are_none(&self) -> bool {
        self.hooks.is_default() && self.sources().all(|source| source.hooks.is_default())
    }

    /// What is run around a source.
    pub(crate) fn hooks_of(&self, source: &str) -> Option<&HooksConfig> {
        self.source(source).map(|found| found.hooks)
    }

    /// In which backups a source stays, where that is configured for it.
    pub(crate) fn keep_of(&self, source: &str) -> Option<&KeepRules> {
        self.source(source)?.keep
    }

    /// The names of all sources, each with its kind.
    pub(crate) fn source_names(&self) -> impl Iterator<Item = (&'static str, &String)> {
        self.sources().map(|source| (source.kind, source.name))
    }

    fn source(&self, name: &str) -> Option<SourceConfig<'_>> {
        self.sources().find(|source| source.name == name)
    }

    fn sources(&self) -> impl Iterator<Item = SourceConfig<'_>> {
        let databases = of_kind("database", &self.databases, |one| (&one.hooks, one.keep.as_ref()));
        let files = of_kind("files", &self.files, |one| (&one.hooks, one.keep.as_ref()));
        let commands = of_kind("command", &self.commands, |one| (&one.hooks, one.keep.as_ref()));
        let devices = of_kind("device", &self.devices, |one| (&one.hooks, one.keep.as_ref()));
        databases.chain(files).chain(commands).chain(devices)
    }

    /// The sources of a backup of a type that names none: those that `[type.NAME]` lists. Else, `config` means
    /// the files that are backed up when they change, and those that are called so; `incremental` all but these and
    /// devices; any other type means all. Where there are databases alone, every type does.
    pub(crate) fn sources_of_type(&self, backup_type: &str) -> Vec<String> {
        if let Some(listed) = self.types.get(backup_type).and_then(|one| one.sources.as_ref()) {
            return listed.clone();
        }
        let is_config = |name: &str| {
            self.files.get(name).is_some_and(|files| files.on_change || name == "config")
        };
        let only_databases = self.source_names().all(|(kind, _)| kind == "database");
        let belongs = |kind: &str, name: &str| match backup_type {
            _ if only_databases => true,
            "config" => is_config(name),
            "incremental" => !is_config(name) && kind != "device",
            _ => true,
        };
        let all = self.source_names().filter(|(kind, name)| belongs(kind, name));
        all.map(|(_, name)| name.clone()).collect()
    }
}
