//! restic, on the files part of a repository.

use std::path::Path;
use std::process::{Command, Output};

use super::Home;

/// What restic prints of our repository.
pub(crate) fn restic(home: &Home, arguments: &[&str]) -> String {
    restic_at(home, &home.repository(), &home.password_file(), arguments)
}

/// What it prints of another one.
pub(crate) fn restic_at(
    home: &Home,
    repository: &Path,
    password_file: &Path,
    arguments: &[&str],
) -> String {
    let output = try_restic(home, repository, password_file, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{error}");
    text
}

pub(crate) fn try_restic(
    home: &Home,
    repository: &Path,
    password_file: &Path,
    arguments: &[&str],
) -> Output {
    let mut command = Command::new("restic");
    command.arg("--no-cache").arg("--repo").arg(repository);
    command.arg("--password-file").arg(password_file);
    command.env("HOME", home.directory()).args(arguments).output().unwrap()
}
