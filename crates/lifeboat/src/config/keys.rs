//! Refuses keys that mean nothing, and names the one that was probably meant.

use lifeboat_repository::BackupType;
use toml::{Table, Value};

const TOP: &[&str] = &[
    "host",
    "repository",
    "s3",
    "replicate",
    "points",
    "hooks",
    "type",
    "database",
    "files",
    "command",
    "device",
];
const REPOSITORY: &[&str] = &[
    "url",
    "password-file",
    "password-command",
    "identity-file",
    "recipient",
    "keep",
    "interval",
    "append-only",
    "endpoint",
    "region",
    "path-style",
    "profile",
    "access-key",
    "secret-key",
    "session-token",
    "storage-class",
    "object-lock",
    "ca-file",
    "ssh-key",
    "known-hosts",
    "ssh-command",
    "webdav-password",
    "rclone",
    "rclone-config",
    "token-file",
    "shared-drive",
    "upload-limit",
    "download-limit",
    "retry",
];
/// What `[s3]` has in the place of a URL.
const S3: &[&str] = &["bucket", "prefix"];
const REPLICATE: &[&str] = &["interval", "idle", "wal-limit", "spool-limit"];
const POINTS: &[&str] = &["ladder"];
const HOOKS: &[&str] = &["before", "after", "on-failure", "timeout"];
const DATABASE: &[&str] = &["path", "replicate", "points", "keep", "hooks"];
const FILES: &[&str] = &[
    "paths",
    "preset",
    "exclude",
    "iexclude",
    "exclude-file",
    "exclude-caches",
    "exclude-if-present",
    "exclude-larger-than",
    "one-file-system",
    "default-excludes",
    "databases",
    "on-change",
    "debounce",
    "keep",
    "hooks",
];
const COMMAND: &[&str] = &["run", "file-name", "timeout", "environment", "keep", "hooks"];
const DEVICE: &[&str] = &["path", "keep", "hooks"];
const TYPE: &[&str] = &["keep", "sources"];
/// Tables of tables by name, and the keys that each of them may have.
const NAMED: &[(&str, &[&str])] = &[
    ("repository", REPOSITORY),
    ("type", TYPE),
    ("database", DATABASE),
    ("files", FILES),
    ("command", COMMAND),
    ("device", DEVICE),
];
const KEEP: &[&str] = &[
    "last",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "within",
    "within-hourly",
    "within-daily",
    "within-weekly",
    "within-monthly",
    "within-yearly",
    "tags",
];

/// Checks every key of a configuration.
pub(super) fn check(table: &Table) -> Result<(), String> {
    check_keys(table, "", TOP)?;
    for (name, keys) in [("replicate", REPLICATE), ("points", POINTS)] {
        match table.get(name) {
            None => {}
            Some(Value::Table(entry)) => check_keys(entry, &format!("{name}."), keys)?,
            Some(_) => return Err(format!("`{name}` must be a table")),
        }
    }
    check_hooks(table, "")?;
    if let Some(Value::Table(s3)) = table.get("s3") {
        let keys: Vec<&str> =
            S3.iter().chain(REPOSITORY).copied().filter(|key| *key != "url").collect();
        check_keys(s3, "s3.", &keys)?;
    }
    for (kind, keys) in NAMED {
        let Some(named) = table.get(*kind) else { continue };
        let Value::Table(named) = named else { return Err(format!("`{kind}` must be a table")) };
        for (name, entry) in named {
            let Value::Table(entry) = entry else {
                return Err(format!("`{kind}.{name}` must be a table, as in [{kind}.NAME]"));
            };
            let path = format!("{kind}.{name}");
            check_keys(entry, &format!("{path}."), keys)?;
            if *kind == "type" {
                name.parse::<BackupType>().map_err(|error| format!("[{path}]: {error}"))?;
            }
            check_hooks(entry, &format!("{path}."))?;
            match entry.get("keep") {
                None => {}
                Some(Value::Table(keep)) => check_keys(keep, &format!("{path}.keep."), KEEP)?,
                Some(Value::String(_)) => {}
                Some(_) => {
                    let forms = "{ daily = 7 }, \"last 5\", \"30 days\", \"7/4/12\" or \"all\"";
                    return Err(format!("`{path}.keep` must be rules: {forms}"));
                }
            }
        }
    }
    Ok(())
}

/// Checks the `hooks` of a table.
fn check_hooks(table: &Table, prefix: &str) -> Result<(), String> {
    let Some(hooks) = table.get("hooks") else { return Ok(()) };
    let prefix = format!("{prefix}hooks");
    let Value::Table(hooks) = hooks else { return Err(format!("`{prefix}` must be a table")) };
    check_keys(hooks, &format!("{prefix}."), HOOKS)
}

fn check_keys(table: &Table, prefix: &str, valid: &[&str]) -> Result<(), String> {
    for key in table.keys() {
        if valid.contains(&key.as_str()) {
            continue;
        }
        let nearest = valid.iter().min_by_key(|valid| distance(key, valid));
        return Err(match nearest {
            Some(nearest) if distance(key, nearest) <= key.len() / 2 => {
                format!("unknown key `{prefix}{key}`; did you mean `{nearest}`?")
            }
            _ => format!("unknown key `{prefix}{key}`; valid keys are `{}`", valid.join("`, `")),
        });
    }
    Ok(())
}

/// How many letters must be inserted, removed or changed.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..to.len() {
            let changed = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
