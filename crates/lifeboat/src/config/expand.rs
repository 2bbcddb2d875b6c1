//! `${VAR}` and `${VAR:-default}` in values.

use toml::Value;

use crate::Environment;

/// Replaces variables in every text of a value.
pub(super) fn expand(value: &mut Value, environment: &Environment) -> Result<(), String> {
    match value {
        Value::String(text) => *text = expand_text(text, environment)?,
        Value::Array(values) => {
            for value in values {
                expand(value, environment)?;
            }
        }
        Value::Table(table) => {
            for (_, value) in table.iter_mut() {
                expand(value, environment)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The line, from 1, of the first text that cannot be expanded.
pub(super) fn line_of_problem(text: &str, environment: &Environment) -> Option<usize> {
    let fails =
        |line: &str| !line.trim_start().starts_with('#') && expand_text(line, environment).is_err();
    Some(text.lines().position(fails)? + 1)
}

fn expand_text(text: &str, environment: &Environment) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or("a `${` is not closed")?;
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        let value = environment
            .text(name)
            .or(default)
            .ok_or_else(|| format!("the variable {name} is not set"))?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
