//! What users and groups are called on this host.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::Problem;

/// The users and groups of this host, from `/etc/passwd` and `/etc/group`.
///
/// Other places that could name some (LDAP, systemd) are not asked: numbers are kept beside names, and
/// asking the C library would load code of theirs into this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerNames {
    users: Names,
    groups: Names,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    by_id: HashMap<u32, String>,
    by_name: HashMap<String, u32>,
}

impl OwnerNames {
    /// The names on this host. A file that does not exist names nobody; one that cannot be read is a
    /// problem, and names nobody.
    #[must_use]
    pub fn of_host() -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut names = |path: &str| {
            names_in(Path::new(path)).unwrap_or_else(|source| {
                problems.push(Problem::new(path, "read", source));
                Names::default()
            })
        };
        let owners = Self { users: names("/etc/passwd"), groups: names("/etc/group") };
        (owners, problems)
    }

    /// The names in the text of a `passwd` and a `group` file. Lines that are not like
    /// `name:password:number…` name nobody; of several names of one number, and of several numbers of one name,
    /// the first counts, as it does for the C library.
    #[must_use]
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: Names::parse(passwd), groups: Names::parse(group) }
    }

    /// The name of a user; empty if it has none.
    #[must_use]
    pub fn user(&self, id: u32) -> &str {
        self.users.by_id.get(&id).map_or("", String::as_str)
    }

    /// The name of a group; empty if it has none.
    #[must_use]
    pub fn group(&self, id: u32) -> &str {
        self.groups.by_id.get(&id).map_or("", String::as_str)
    }

    /// The number of a user.
    #[must_use]
    pub fn user_id(&self, name: &str) -> Option<u32> {
        self.users.by_name.get(name).copied()
    }

    /// The number of a group.
    #[must_use]
    pub fn group_id(&self, name: &str) -> Option<u32> {
        self.groups.by_name.get(name).copied()
    }
}

fn names_in(path: &Path) -> io::Result<Names> {
    match fs::read(path) {
        Ok(text) => Ok(Names::parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Names::default()),
        Err(error) => Err(error),
    }
}

impl Names {
    fn parse(text: &[u8]) -> Self {
        let mut names = Self::default();
        for (id, name) in text.split(|byte| *byte == b'\n').filter_map(parse_line) {
            names.by_name.entry(name.clone()).or_insert(id);
            names.by_id.entry(id).or_insert(name);
        }
        names
    }
}

fn parse_line(line: &[u8]) -> Option<(u32, String)> {
    let mut fields = std::str::from_utf8(line).ok()?.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let id = fields.nth(1)?.parse().ok()?;
    Some((id, name.to_owned()))
}
