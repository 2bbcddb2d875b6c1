//! Reading addresses.

use super::{Result, SftpAddress, invalid};

pub(super) fn url(rest: &str) -> Result<SftpAddress> {
    let Some((authority, path)) = rest.split_once('/') else {
        return invalid("it has no path: sftp://host/path, or sftp://host/~/path");
    };
    let (user, host) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((user, _)) if user.contains(':') => {
            return invalid("it has a password; use a key, in ssh's agent or in a file");
        }
        Some((user, host)) => (Some(decoded(user)?), host),
    };
    let (host, port) = split_port(host)?;
    // Which of the forms it is shows before decoding: `%7E` is a directory of that name.
    let (home, path) = match path.trim_end_matches('/') {
        "~" => (true, ""),
        path => match path.strip_prefix("~/") {
            Some(path) => (true, path),
            None => (false, path),
        },
    };
    let path = decoded(path.trim_start_matches('/'))?;
    let path = match (home, path.as_str()) {
        (true, "") => ".".to_owned(),
        (true, _) => path,
        (false, _) => format!("/{path}"),
    };
    SftpAddress::new(user, &host, port, &path)
}

pub(super) fn short(rest: &str) -> Result<SftpAddress> {
    // An IPv6 address has colons, too.
    let at = match (rest.find('['), rest.find(']')) {
        (Some(open), Some(close)) if open < close && !rest[..open].contains([':', '/']) => {
            close + rest[close..].find(':').unwrap_or(rest.len() - close)
        }
        _ => rest.find(':').unwrap_or(rest.len()),
    };
    let Some((login, path)) = rest.split_at_checked(at).filter(|(_, path)| !path.is_empty()) else {
        return invalid("it has no path: sftp:host:path");
    };
    let path = &path[1..];
    let (user, host) = match login.rsplit_once('@') {
        None => (None, login),
        Some((user, host)) => (Some(user.to_owned()), host),
    };
    let (host, None) = split_port(host)? else { return invalid("a port needs the form sftp://") };
    // What follows is no path if it has a host: that was `user:password@host`.
    if user.is_none() && path.split('/').next().is_some_and(|first| first.contains('@')) {
        return invalid("it has a password, or an @ in its path; use a key, and the form sftp://");
    }
    let path = match path {
        "" => return invalid("its path is empty; the home directory is ~"),
        path => match path.trim_end_matches('/') {
            "" => "/",
            "~" => ".",
            path => path.strip_prefix("~/").map_or(path, |path| path.trim_start_matches('/')),
        },
    };
    SftpAddress::new(user, &host, None, path)
}

/// Host and port of `host`, `host:port`, `[address]`, `[address]:port`.
fn split_port(text: &str) -> Result<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            // In a URL, the % before a zone is itself encoded.
            Some((address, port)) if address.contains(':') => (address.replace("%25", "%"), port),
            _ => return invalid("no IPv6 address in the brackets"),
        },
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host.to_owned(), port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => invalid("the port is not within 1 and 65535"),
        },
        _ => invalid("the port is no number (an IPv6 address needs brackets)"),
    }
}

/// Nothing that could become an option of ssh, or part of a command in its configuration.
pub(super) fn check_host(host: &str) -> Result<()> {
    if host.is_empty() {
        return invalid("it has no host");
    }
    let fits = |letter: char| letter.is_alphanumeric() || ".-_:%".contains(letter);
    if host.starts_with('-') || !host.chars().all(fits) {
        return invalid("the host has characters that no host has");
    }
    Ok(())
}

pub(super) fn check_user(user: &str) -> Result<()> {
    if user.is_empty() {
        return invalid("the user is empty");
    }
    let fits = |letter: char| letter.is_alphanumeric() || ".-_+@=,\\".contains(letter);
    if user.starts_with('-') || user.ends_with('\\') || !user.chars().all(fits) {
        return invalid("the user has characters that are not safe for ssh");
    }
    Ok(())
}

/// A text whose `%xx` stand for bytes of UTF-8.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => match (rest.next().and_then(digit), rest.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return invalid("a % that no two hexadecimal digits follow"),
            },
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => invalid("it is not UTF-8"),
    }
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(
            prefix in prop_oneof![Just("sftp://"), Just("sftp:"), Just("sftp://h/"), Just("sftp:h:")],
            text in "[a@:/~%\\[\\]0-9 .ä-]{0,12}|.{0,8}",
        ) {
            if let Ok(address) = SftpAddress::parse(&format!("{prefix}{text}")) {
                prop_assert_eq!(SftpAddress::parse(&address.to_string()), Ok(address));
            }
        }
    }

    #[test]
    fn addresses_in_all_spellings() {
        for (text, user, host, port, path, shown) in [
            ("sftp://host/srv", None, "host", None, "/srv", "sftp://host/srv"),
            (
                "sftp://pi@host:22/srv/a/",
                Some("pi"),
                "host",
                Some(22),
                "/srv/a",
                "sftp://pi@host:22/srv/a",
            ),
            ("sftp://host//srv", None, "host", None, "/srv", "sftp://host/srv"),
            ("sftp://host/", None, "host", None, "/", "sftp://host/"),
            ("sftp://host/~/a/b", None, "host", None, "a/b", "sftp://host/~/a/b"),
            ("sftp://host/~/", None, "host", None, ".", "sftp://host/~"),
            ("sftp://host/~", None, "host", None, ".", "sftp://host/~"),
            ("sftp://host/%7E/a", None, "host", None, "/~/a", "sftp://host/%7E/a"),
            ("sftp://host/~pi/a", None, "host", None, "/~pi/a", "sftp://host/%7Epi/a"),
            (
                "sftp://host/a%20b?#%C3%A4",
                None,
                "host",
                None,
                "/a b?#ä",
                "sftp://host/a%20b%3F%23ä",
            ),
            ("sftp://a%40b@host/x", Some("a@b"), "host", None, "/x", "sftp://a%40b@host/x"),
            ("sftp://a@b@host/x", Some("a@b"), "host", None, "/x", "sftp://a%40b@host/x"),
            ("sftp://[::1]:2222/x", None, "::1", Some(2222), "/x", "sftp://[::1]:2222/x"),
            (
                "sftp://[fe80::1%25eth0]/x",
                None,
                "fe80::1%eth0",
                None,
                "/x",
                "sftp://[fe80::1%25eth0]/x",
            ),
            ("sftp:pi@host:/srv/x", Some("pi"), "host", None, "/srv/x", "sftp://pi@host/srv/x"),
            ("sftp:pi@host:srv/x/", Some("pi"), "host", None, "srv/x", "sftp://pi@host/~/srv/x"),
            ("sftp:host:~/x", None, "host", None, "x", "sftp://host/~/x"),
            ("sftp:host:~", None, "host", None, ".", "sftp://host/~"),
            ("sftp:host:/", None, "host", None, "/", "sftp://host/"),
            ("sftp:host:a:b", None, "host", None, "a:b", "sftp://host/~/a:b"),
            ("sftp:pi@[::1]:/x", Some("pi"), "::1", None, "/x", "sftp://pi@[::1]/x"),
            ("sftp:host:a[b]:c", None, "host", None, "a[b]:c", "sftp://host/~/a%5Bb%5D:c"),
        ] {
            let address =
                SftpAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = (address.user(), address.host(), address.port(), address.path());
            assert_eq!(found, (user, host, port, path), "{text}");
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(SftpAddress::parse(shown).unwrap(), address, "{shown}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, reason) in [
            ("/srv", "begin with"),
            ("sftp://host", "no path"),
            ("sftp:host", "no path"),
            ("sftp:host:", "path is empty"),
            ("sftp:///srv", "no host"),
            ("sftp::srv", "no host"),
            ("sftp://@host/srv", "user is empty"),
            ("sftp://pi:secret@host/srv", "password"),
            ("sftp://pi:secret@with@host/srv", "password"),
            ("sftp:pi:secret@host:/srv", "password"),
            ("sftp://host:0/srv", "port"),
            ("sftp://host:65536/srv", "port"),
            ("sftp://host:ssh/srv", "port"),
            ("sftp://::1/srv", "brackets"),
            ("sftp://[host]/srv", "brackets"),
            ("sftp://[::1/srv", "brackets"),
            ("sftp://-oProxyCommand=x/srv", "host"),
            ("sftp://`x`/srv", "host"),
            ("sftp://a b/srv", "host"),
            ("sftp://-x@host/srv", "user"),
            ("sftp://$(x)@host/srv", "user"),
            ("sftp://a%0Ab@host/srv", "user"),
            ("sftp://host/%", "hexadecimal"),
            ("sftp://host/%zz", "hexadecimal"),
            ("sftp://host/%ff", "UTF-8"),
            ("sftp://host/a%00b", "zero"),
        ] {
            let error = SftpAddress::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
