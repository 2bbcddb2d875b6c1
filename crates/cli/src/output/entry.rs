//! Entries of files as `ls -l` and JSON show them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use lifeboat::{Entry, FileTime, Kind, escape, kind_name};
use serde_json::{Value, json};

/// A line with mode, owner, size, time and path; the path alone if it is not to be long.
pub(crate) fn line(entry: &Entry, long: bool) -> String {
    let path = path(entry);
    if !long {
        return path;
    }
    let metadata = &entry.metadata;
    let owner = named(&metadata.user, metadata.user_id);
    let group = named(&metadata.group, metadata.group_id);
    format!(
        "{} {owner:8} {group:8} {:>12} {} {path}",
        mode(&entry.kind, metadata.permissions),
        metadata.size,
        time(metadata.modified, &TimeZone::system()),
    )
}

fn path(entry: &Entry) -> String {
    let path = escape(entry.path.as_os_str());
    match &entry.kind {
        Kind::Symlink { target } => format!("{path} -> {}", escape(target)),
        _ => path,
    }
}

fn named(name: &str, number: u32) -> String {
    if name.is_empty() { number.to_string() } else { escape(name.as_ref()) }
}

/// As in `drwxr-xr-x`.
fn mode(kind: &Kind, permissions: u32) -> String {
    let letter = match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink { .. } => 'l',
        Kind::BlockDevice { .. } => 'b',
        Kind::CharacterDevice { .. } => 'c',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let mut text = String::from(letter);
    for (shift, special, set, also) in
        [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = permissions >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (permissions & special != 0, bits & 1 != 0) {
            (true, true) => set,
            (true, false) => also,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

pub(crate) fn time(time: FileTime, zone: &TimeZone) -> String {
    match timestamp(time) {
        Some(time) => Zoned::new(time, zone.clone()).strftime("%F %T").to_string(),
        None => format!("{}s", time.seconds),
    }
}

fn timestamp(time: FileTime) -> Option<Timestamp> {
    Timestamp::new(time.seconds, i32::try_from(time.nanoseconds).ok()?).ok()
}

/// What is known of an entry.
pub(crate) fn document(entry: &Entry) -> Value {
    let metadata = &entry.metadata;
    let mut document = json!({
        "message_type": "entry",
        "path": escape(entry.path.as_os_str()),
        "type": kind_name(&entry.kind),
        "permissions": format!("{:04o}", metadata.permissions),
        "uid": metadata.user_id,
        "gid": metadata.group_id,
        "user": metadata.user,
        "group": metadata.group,
        "size": metadata.size,
        "mtime": timestamp(metadata.modified).map(|time| time.to_string()),
    });
    if let Kind::Symlink { target } = &entry.kind {
        document["link_target"] = json!(escape(target));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(mode(&Kind::File, 0o640), "-rw-r-----");
        assert_eq!(mode(&Kind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(&Kind::File, 0o6711), "-rws--s--x");
        assert_eq!(mode(&Kind::Fifo, 0o7000), "p--S--S--T");
    }

    #[test]
    fn times() {
        let at = |seconds| time(FileTime { seconds, nanoseconds: 5 }, &TimeZone::UTC);
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(-1), "1969-12-31 23:59:59");
        assert_eq!(at(i64::MAX), format!("{}s", i64::MAX));
    }
}
