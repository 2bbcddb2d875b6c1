//! Why a path cannot be reached, by whom, and who else can.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::finding::Diagnosis;

/// The user that this process acts as, as `pi (uid 1000)`.
pub(super) fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_of(&users, uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

fn name_of(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid_of_name) = (fields.next()?, fields.nth(1)?);
        (uid_of_name.parse() == Ok(uid)).then_some(name)
    })
}

/// The first directory above a path that may not be searched.
pub(super) fn closed_directory(path: &Path) -> Option<PathBuf> {
    first_closed(path, |directory| access(directory, Access::EXEC_OK).is_ok())
}

fn first_closed(path: &Path, may_search: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.retain(|directory| !directory.as_os_str().is_empty());
    // From the top: below a closed directory nothing can be searched, whatever its own mode.
    above.into_iter().rev().find(|directory| !may_search(directory)).map(Path::to_owned)
}

/// `owner uid 0, mode 0750`
pub(super) fn owner_and_mode(path: &Path) -> String {
    match path.metadata() {
        Ok(file) => format!("owner uid {}, mode {:04o}", file.uid(), file.mode() & 0o7777),
        Err(error) => error.to_string(),
    }
}

/// Who besides the owner can get at something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Nobody.
    Private,
    /// Others can read it.
    Readable,
    /// Others can change it.
    Writable,
}

/// What the permission bits of a file or directory allow group and others.
pub(super) fn exposure(mode: u32) -> Exposure {
    match mode & 0o077 {
        0 => Exposure::Private,
        bits if bits & 0o022 != 0 => Exposure::Writable,
        _ => Exposure::Readable,
    }
}

/// A finding about the permissions of what only its owner should get at; `None` where there is
/// nothing. `private` are the bits that it should have.
pub(super) fn judge_mode(
    examined: &'static str,
    what: &str,
    path: &Path,
    private: &str,
) -> Option<Diagnosis> {
    let file = path.metadata().ok()?;
    let remedy = format!("chmod {private} {}", path.display());
    let mode = file.mode() & 0o7777;
    match exposure(mode) {
        Exposure::Private if file.uid() != rustix::process::geteuid().as_raw() => {
            let found = format!("{what} belongs to uid {}, not to {}", file.uid(), user());
            let remedy = format!("run as its owner, or: chown {} {}", user_name(), path.display());
            Some(Diagnosis::warning(examined, found, remedy))
        }
        Exposure::Private => {
            Some(Diagnosis::ok(examined, format!("{what} is private ({mode:04o})")))
        }
        Exposure::Readable => {
            let found = format!("{what} can be read by others (mode {mode:04o})");
            Some(Diagnosis::warning(examined, found, remedy))
        }
        Exposure::Writable => {
            let found = format!("{what} can be changed by others (mode {mode:04o})");
            Some(Diagnosis::problem(examined, found, remedy))
        }
    }
}

/// A problem where this user may not write to a directory; `elsewhere` says how to name another.
pub(super) fn judge_writable_directory(path: &Path, elsewhere: &str) -> Option<Diagnosis> {
    let error = access(path, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let reason = std::io::Error::from(error);
    let (user, directory, whose) = (user(), path.display(), owner_and_mode(path));
    let found = format!("{user} may not write to {directory} ({whose}): {reason}");
    Some(Diagnosis::problem("writable", found, format!("run as its owner, or {elsewhere}")))
}

fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&users, uid).map_or_else(|| uid.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Exposure, exposure, first_closed, name_of};

    #[test]
    fn the_topmost_closed_directory_is_named() {
        let closed = |names: &'static [&'static str]| {
            let may_search = move |path: &Path| !names.iter().any(|name| path == Path::new(name));
            first_closed(Path::new("/var/lib/app/app.db"), may_search)
        };
        assert_eq!(closed(&[]), None);
        assert_eq!(closed(&["/var/lib/app"]).unwrap(), Path::new("/var/lib/app"));
        assert_eq!(closed(&["/var/lib/app", "/var"]).unwrap(), Path::new("/var"));
        assert_eq!(closed(&["/var/lib/app/app.db"]), None);
    }

    #[test]
    fn names_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\nbroken\n";
        assert_eq!(name_of(users, 0), Some("root"));
        assert_eq!(name_of(users, 1000), Some("pi"));
        assert_eq!(name_of(users, 100), None);
    }

    #[test]
    fn permission_bits() {
        for (mode, expected) in [
            (0o600, Exposure::Private),
            (0o700, Exposure::Private),
            (0o640, Exposure::Readable),
            (0o604, Exposure::Readable),
            (0o711, Exposure::Readable),
            (0o660, Exposure::Writable),
            (0o702, Exposure::Writable),
        ] {
            assert_eq!(exposure(mode), expected, "{mode:o}");
        }
    }
}
