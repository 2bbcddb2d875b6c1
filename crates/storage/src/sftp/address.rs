//! Where a storage is on a server.

mod parse;

use std::fmt;

/// A directory on a host: `sftp://user@host:port/path`.
///
/// `sftp://host/path` is absolute, `sftp://host/~/path` begins at the user's home directory. In
/// this form user and path may have `%xx`. restic's spellings are read, too: `sftp://host//path`,
/// and, without decoding, `sftp:user@host:/path` and `sftp:user@host:path`, which begins at the
/// home directory.
///
/// Its `Display` is an address that is read as the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SftpAddress {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

/// Why a text is no address of a directory on a server. It does not have the text, which may have a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid SFTP address: {reason}")]
pub struct InvalidSftpAddress {
    reason: &'static str,
}

type Result<T> = std::result::Result<T, InvalidSftpAddress>;

fn invalid<T>(reason: &'static str) -> Result<T> {
    Err(InvalidSftpAddress { reason })
}

impl SftpAddress {
    /// Reads an address in any of the spellings above.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("sftp://") {
            return parse::url(rest);
        }
        match text.strip_prefix("sftp:") {
            Some(rest) => parse::short(rest),
            None => invalid("it does not begin with sftp:"),
        }
    }

    /// The user; without one it is as ssh has it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, or a name that ssh's configuration has for it; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; without one it is as ssh has it.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The directory: absolute, or relative to the home directory, of which `.` is the home
    /// directory itself. No `/` at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `user@host`, for messages.
    pub(super) fn login(&self) -> String {
        self.user.as_ref().map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host))
    }

    fn new(user: Option<String>, host: &str, port: Option<u16>, path: &str) -> Result<Self> {
        if let Some(user) = &user {
            parse::check_user(user)?;
        }
        parse::check_host(host)?;
        if path.contains('\0') {
            return invalid("the path has a zero byte");
        }
        Ok(Self { user, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// What must not stand for itself is written as `%xx`.
fn encode(formatter: &mut fmt::Formatter<'_>, text: &str, plain: &str) -> fmt::Result {
    for letter in text.chars() {
        if letter.is_alphanumeric() || plain.contains(letter) {
            write!(formatter, "{letter}")?;
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                write!(formatter, "%{byte:02X}")?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for SftpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sftp://")?;
        if let Some(user) = &self.user {
            encode(formatter, user, ".-_+=,")?;
            formatter.write_str("@")?;
        }
        if self.host.contains(':') {
            write!(formatter, "[{}]", self.host.replace('%', "%25"))?;
        } else {
            formatter.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        const PLAIN: &str = "/.-_+=,@:";
        match self.path.strip_prefix('/') {
            Some(path) => {
                formatter.write_str("/")?;
                encode(formatter, path, PLAIN)
            }
            None if self.path == "." => formatter.write_str("/~"),
            None => {
                formatter.write_str("/~/")?;
                encode(formatter, &self.path, PLAIN)
            }
        }
    }
}
