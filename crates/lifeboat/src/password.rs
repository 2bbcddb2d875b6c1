//! Where the password of a repository comes from.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lifeboat_storage::secrecy::ExposeSecret;
pub use lifeboat_storage::secrecy::SecretString;

use crate::{Environment, Error, Result};

/// Letters of a generated password: none that look alike, 5 bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 26 letters have 130 bits.
const LENGTH: usize = 26;

/// One way to get a password.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The first line of a file.
    File(PathBuf),
    /// What a command prints, run by the shell.
    Command(String),
    /// The password itself.
    Given(SecretString),
}

impl PasswordSource {
    /// What the variables `<prefix>_PASSWORD`, `_PASSWORD_FILE` and `_PASSWORD_COMMAND` say.
    pub fn of_variables(environment: &Environment, prefix: &str) -> Option<Self> {
        let variable = |name: &str| environment.text(&format!("{prefix}_{name}"));
        let given = |text: &str| Self::Given(SecretString::from(text.to_owned()));
        variable("PASSWORD")
            .map(given)
            .or_else(|| variable("PASSWORD_FILE").map(|path| Self::File(PathBuf::from(path))))
            .or_else(|| {
                variable("PASSWORD_COMMAND").map(|command| Self::Command(command.to_owned()))
            })
    }

    /// The password.
    pub fn get(&self) -> Result<SecretString> {
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
                first_line(&text).ok_or_else(|| Error::State {
                    path: path.clone(),
                    detail: "its first line is empty".into(),
                })
            }
            Self::Command(command) => run(command),
            Self::Given(password) => Ok(password.clone()),
        }
    }
}

fn first_line(text: &str) -> Option<SecretString> {
    let line = text.lines().next()?.trim_end_matches('\r');
    (!line.is_empty()).then(|| SecretString::from(line.to_owned()))
}

fn run(command: &str) -> Result<SecretString> {
    let failed = |problem: String| Error::PasswordCommand { command: command.to_owned(), problem };
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, text.trim())));
    }
    String::from_utf8(output.stdout)
        .ok()
        .as_deref()
        .and_then(first_line)
        .ok_or_else(|| failed("it printed no password".into()))
}

/// Refuses a password that could not be kept in a file, whose first line it is.
pub(crate) fn require_usable(password: &SecretString) -> Result<()> {
    let text = password.expose_secret();
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err(Error::usage(
            "the new password is empty or has a line break",
            "choose another",
        ));
    }
    Ok(())
}

/// Writes a new random password to a file that must not exist, readable by its owner alone.
pub(crate) fn generate(path: &Path) -> Result<SecretString> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut random = [0; LENGTH];
    getrandom::fill(&mut random).map_err(|error| Error::file("generate", path)(error.into()))?;
    let mut password = String::new();
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    if let Some(parent) = path.parent() {
        crate::state::create_private_directory(parent)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("create", path))?;
    file.write_all(format!("{password}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(Error::file("write", path))?;
    crate::state::sync_directory_of(path)?;
    Ok(SecretString::from(password))
}

#[cfg(test)]
mod tests {
    use lifeboat_storage::secrecy::ExposeSecret;

    use super::{PasswordSource, generate};

    #[test]
    fn generated_passwords_are_long_private_and_never_overwritten() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/password");
        let password = generate(&path).unwrap();
        assert_eq!(password.expose_secret().len(), 31);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let read = PasswordSource::File(path.clone()).get().unwrap();
        assert_eq!(read.expose_secret(), password.expose_secret());
        assert!(generate(&path).is_err());
    }

    #[test]
    fn commands_print_the_password_or_fail_by_name() {
        let password = PasswordSource::Command("printf 'one\\ntwo\\n'".into()).get().unwrap();
        assert_eq!(password.expose_secret(), "one");
        let error = PasswordSource::Command("echo no >&2; exit 3".into()).get().unwrap_err();
        assert!(error.to_string().contains("exit status: 3: no"), "{error}");
        assert!(PasswordSource::Command("true".into()).get().is_err());
    }
}
