//! Credentials that a program prints.

use std::process::{Command, Stdio};

use super::Credentials;
use crate::refreshing::Fresh;
use crate::remote::Attempt;
use crate::{Cause, Failure};

const NAME: &str = "the credential_process";

/// Runs a command line, without a shell, and reads what it prints.
pub(super) fn run(command: &str) -> Attempt<Fresh<Credentials>> {
    let failed = |what: String| Failure::new(Cause::Unauthenticated, format!("{NAME} {what}"));
    let words = words(command).ok_or_else(|| failed("has a quote that does not end".to_owned()))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("is empty".to_owned()));
    };
    // Its errors may name secrets: they are the terminal's.
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed: {}", output.status)));
    }
    Credentials::parse(NAME, &String::from_utf8_lossy(&output.stdout), "SessionToken")
}

/// Words between blanks; a quoted one may have some. `None` if a quote does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        while let Some(first) = rest.chars().next().filter(|first| !first.is_whitespace()) {
            if first == '"' || first == '\'' {
                let (quoted, after) = rest[1..].split_once(first)?;
                word.push_str(quoted);
                rest = after;
            } else {
                word.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_has_words() {
        for (line, expected) in [
            ("", Some(vec![])),
            ("  a  b ", Some(vec!["a", "b"])),
            ("\"/opt/a b\" --x='c d' e", Some(vec!["/opt/a b", "--x=c d", "e"])),
            ("a '' $HOME;b", Some(vec!["a", "", "$HOME;b"])),
            ("a \"b", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
