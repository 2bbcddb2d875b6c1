//! The text of a configuration.

use std::collections::BTreeMap;

use super::{Config, expand, keys};
use crate::Environment;

/// What is wrong with the text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: String,
}

impl Config {
    /// Reads the text of a configuration; the error says what is wrong and where.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigProblem> {
        let in_text = |error: &toml::de::Error| ConfigProblem {
            line: line_of(text, error),
            problem: error.message().to_owned(),
        };
        let mut table: toml::Table = text.parse().map_err(|error| in_text(&error))?;
        // A table does not know where it came from; reading the text as it should be finds it.
        let place = || toml::from_str::<Self>(text).err().and_then(|error| line_of(text, &error));
        keys::check(&table).map_err(|problem| ConfigProblem {
            line: place().or_else(|| line_of_unknown_key(text, &problem)),
            problem,
        })?;
        for (_, value) in &mut table {
            expand::expand(value, environment).map_err(|problem| ConfigProblem {
                line: expand::line_of_problem(text, environment),
                problem,
            })?;
        }
        take_s3(&mut table).map_err(|problem| ConfigProblem { line: None, problem })?;
        let config: Self = table.try_into().map_err(|error: toml::de::Error| ConfigProblem {
            line: place(),
            problem: error.message().to_owned(),
        })?;
        let unsound = |problem| ConfigProblem { line: None, problem };
        config.require_sound().map_err(unsound)?;
        Ok(config)
    }

    /// What its parts by themselves do not show to be wrong.
    fn require_sound(&self) -> Result<(), String> {
        let mut kinds = BTreeMap::new();
        for (kind, name) in self.source_names() {
            if let Some(other) = kinds.insert(name, kind) {
                return Err(format!(
                    "[{other}.{name}] and [{kind}.{name}]: two sources cannot have one name"
                ));
            }
        }
        for (name, files) in &self.files {
            if let Some(problem) = files.problem() {
                return Err(format!("[files.{name}]: {problem}"));
            }
        }
        for (name, of_type) in &self.types {
            let unknown = |source: &&String| !kinds.contains_key(*source);
            if let Some(unknown) = of_type.sources.iter().flatten().find(unknown) {
                return Err(format!("[type.{name}]: there is no source {unknown}"));
            }
        }
        Ok(())
    }
}

/// The line of the key that a problem names, where no other key is called so.
fn line_of_unknown_key(text: &str, problem: &str) -> Option<usize> {
    let path = problem.strip_prefix("unknown key `")?.split('`').next()?;
    let key = path.rsplit('.').next()?;
    let is_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| is_it(line));
    let (number, _) = lines.next()?;
    lines.next().is_none().then_some(number)
}

/// Makes the repository `s3` of a table `[s3]`, which names a bucket in place of a URL.
fn take_s3(table: &mut toml::Table) -> Result<(), String> {
    let Some(s3) = table.remove("s3") else { return Ok(()) };
    let toml::Value::Table(mut s3) = s3 else { return Err("`s3` must be a table".to_owned()) };
    let mut text = |key: &str| match s3.remove(key) {
        None => Ok(String::new()),
        Some(toml::Value::String(text)) => Ok(text.trim_matches('/').to_owned()),
        Some(_) => Err(format!("`s3.{key}` must be a text")),
    };
    let (bucket, prefix) = (text("bucket")?, text("prefix")?);
    if bucket.is_empty() {
        return Err("[s3] names no bucket".to_owned());
    }
    let url = format!("s3://{bucket}/{prefix}").trim_end_matches('/').to_owned();
    s3.insert("url".to_owned(), url.into());
    let repositories = table.entry("repository").or_insert_with(|| toml::Table::new().into());
    match repositories.as_table_mut().map(|all| all.insert("s3".to_owned(), s3.into())) {
        Some(None) => Ok(()),
        Some(Some(_)) => Err("[s3] and [repository.s3]: one of both".to_owned()),
        None => Err("`repository` must be a table".to_owned()),
    }
}

fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let before = text.get(..error.span()?.start)?;
    Some(before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests;
