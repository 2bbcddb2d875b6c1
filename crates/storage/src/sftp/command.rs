//! The command that connects.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::address::SftpAddress;
use super::options::SftpOptions;
use super::problem::{NoConnection, SftpProblem};

/// Questions without an answer until ssh gives up.
const KEEP_ALIVE_COUNT: u32 = 4;

/// The command that connects, for the address.
pub(super) fn command(
    address: &SftpAddress,
    options: &SftpOptions,
) -> Result<Command, NoConnection> {
    let arguments = match &options.command {
        Some(command) => command.clone(),
        None => ssh(address, options)?,
    };
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(NoConnection::new(SftpProblem::Configuration, "the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn ssh(address: &SftpAddress, options: &SftpOptions) -> Result<Vec<OsString>, NoConnection> {
    let mut settings = vec![
        // Nobody is there to answer a question.
        "BatchMode=yes".to_owned(),
        // What ssh says decides the remedy, so it may not be told to be quiet.
        "LogLevel=INFO".to_owned(),
        format!("ConnectTimeout={}", seconds(options.connect_timeout)),
        format!("ServerAliveInterval={}", seconds(options.keep_alive)),
        format!("ServerAliveCountMax={KEEP_ALIVE_COUNT}"),
        // As sftp(1): what a user has set up for sessions is nothing for a backup.
        "ForwardX11=no".to_owned(),
        "ForwardAgent=no".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "RequestTTY=no".to_owned(),
        "RemoteCommand=none".to_owned(),
    ];
    if let Some(key) = &options.key {
        settings.push(format!("IdentityFile={}", quoted(key)?));
        settings.push("IdentitiesOnly=yes".to_owned());
    }
    if let Some(known_hosts) = &options.known_hosts {
        settings.push(format!("UserKnownHostsFile={}", quoted(known_hosts)?));
        settings.push("StrictHostKeyChecking=yes".to_owned());
    }
    let mut arguments = vec![OsString::from("ssh")];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-o".into(), setting.into()]));
    if let Some(port) = address.port() {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = address.user() {
        arguments.extend(["-l".into(), user.into()]);
    }
    arguments.extend(["-s", "--", address.host(), "sftp"].map(OsString::from));
    Ok(arguments)
}

/// As ssh takes it: 0 would be without a limit.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().clamp(1, 24 * 60 * 60)
}

/// A path as a value of ssh's configuration, which expands `%` and cuts at spaces.
fn quoted(path: &Path) -> Result<String, NoConnection> {
    let fits = |text: &&str| !text.contains(['"', '\\', '\n', '\r', '$']);
    let Some(text) = path.to_str().filter(fits) else {
        let message = format!("ssh cannot be told a path like {}", path.display());
        return Err(NoConnection::new(SftpProblem::Configuration, message));
    };
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(address: &str, options: &SftpOptions) -> String {
        let arguments = ssh(&SftpAddress::parse(address).unwrap(), options).unwrap();
        arguments.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn host_and_user_are_no_options() {
        let line = line("sftp://pi@host:2222/srv", &SftpOptions::default());
        assert!(line.starts_with("ssh -o BatchMode=yes "), "{line}");
        assert!(line.ends_with(" -p 2222 -l pi -s -- host sftp"), "{line}");
        assert!(!line.contains("StrictHostKeyChecking"), "{line}");
    }

    #[test]
    fn files_are_quoted() {
        let options = SftpOptions {
            key: Some("/a b/100%".into()),
            known_hosts: Some("/c".into()),
            ..SftpOptions::default()
        };
        let line = line("sftp://host/srv", &options);
        assert!(line.contains("IdentityFile=\"/a b/100%%\" -o IdentitiesOnly=yes"), "{line}");
        assert!(line.contains("UserKnownHostsFile=\"/c\" -o StrictHostKeyChecking=yes"), "{line}");
        assert!(line.ends_with(" -s -- host sftp"), "{line}");
        for odd in ["/a\"b", "/a\nb", "/a\\b", "/${HOME}"] {
            assert!(quoted(Path::new(odd)).is_err(), "{odd}");
        }
    }
}
