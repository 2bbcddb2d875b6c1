//! What to do about an error.

mod store;

use std::io::ErrorKind;

use lifeboat::{BackupName, Error, Point};
use lifeboat_repository::Error as Repository;
use lifeboat_restic::Error as Restic;
use lifeboat_sqlite::{Error as Database, SIDECARS};
use lifeboat_storage::{Error as Storage, Key};

use crate::command::backups::local;
use crate::command::points::exact;

/// The hint for an error, if there is one.
pub(crate) fn of_error(error: &Error) -> Option<String> {
    match error {
        Error::Shared(error) => of_error(error),
        Error::Usage { hint, .. } => hint.clone(),
        Error::Database(error) => of_database(error),
        Error::Repository(error) => of_repository(error),
        Error::NoPassword { .. } => Some(
            "give it with --password-file, --password-command or LIFEBOAT_PASSWORD, or a person's \
             key with --identity; a host that has none can back up, and read nothing"
                .to_owned(),
        ),
        Error::Identity { .. } => {
            Some("give a file as age-keygen writes it: a line AGE-SECRET-KEY-1…".to_owned())
        }
        Error::NoKey { .. } => {
            Some("`lifeboat key list` shows the ids; give four digits or more".to_owned())
        }
        Error::KeyInUse { .. } => Some(
            "open the repository with another key to remove it, or change its password with \
             `lifeboat key passwd`"
                .to_owned(),
        ),
        Error::LastKey { .. } => Some("add another key first: `lifeboat key add`".to_owned()),
        Error::NotEncrypted { .. } => Some(
            "leave it out (--password-file, --password-command, LIFEBOAT_PASSWORD…, RESTIC_PASSWORD…, \
             the configuration), or use a repository of form sealed"
                .to_owned(),
        ),
        Error::NoLongerEncrypted { .. } => Some(
            "someone may have replaced it; if it was you, make the new one in another place".to_owned(),
        ),
        Error::EmptyDatabase { .. } => {
            Some("its application has written nothing yet; back it up when it has".to_owned())
        }
        Error::PasswordCommand { .. } => {
            Some("run the command by hand: it must print the password and nothing else".to_owned())
        }
        Error::Busy { .. } => Some("wait until the other lifeboat process has finished".to_owned()),
        Error::Replication { .. } => {
            Some("`lifeboat status` shows how the replication stands".to_owned())
        }
        Error::LeaseHeld { until, .. } => Some(format!(
            "back up on that host, or give this one another name; if that host is silent, this one \
             takes over from {until} on, and at once with --take-over"
        )),
        Error::NoTarget { location } => {
            Some(format!("make it first: `lifeboat init -r {location}`, with a password of its own"))
        }
        Error::OtherHostsCopy { host, .. } => Some(format!(
            "copy on that host, or say --host {host}: then whoever reads the copies must believe this \
             host's signature"
        )),
        Error::NoBackup { .. } => Some("`lifeboat backups` lists what there is".to_owned()),
        Error::Ambiguous { wanted, .. } if wanted == "the host" => {
            Some("name the host with --host".to_owned())
        }
        Error::Ambiguous { wanted, .. } if wanted == "the database" => {
            Some("name the database: lifeboat restore NAME".to_owned())
        }
        Error::Ambiguous { wanted, .. } if wanted.starts_with("transaction") => {
            Some("say which with --lineage".to_owned())
        }
        Error::Ambiguous { wanted, .. } if wanted == "the source" => {
            Some("name the source, or take every one with --all: lifeboat restore NAME".to_owned())
        }
        Error::Ambiguous { .. } => Some("give more digits".to_owned()),
        Error::NoPath { backup, .. } => Some(format!(
            "`lifeboat ls {} PATH` lists what it holds; `lifeboat find` looks in all backups",
            backup.short()
        )),
        Error::NoDatabase { .. } => {
            Some("`lifeboat points` lists the databases of this host, with --host those of another".to_owned())
        }
        Error::NoLineage { .. } => Some("`lifeboat points` lists what there is".to_owned()),
        Error::NoPoint { between, .. } => Some(of_no_point(*between)),
        Error::PointUnrestorable { earlier, .. } => Some(of_unrestorable_point(*earlier)),
        Error::KeepsNothing { .. } => Some(
            "add --keep-last 1 to the rules, or name the backups that go: lifeboat forget ID"
                .to_owned(),
        ),
        Error::NotForgotten { .. } => {
            Some("`lifeboat undelete` lists what can be brought back".to_owned())
        }
        Error::OtherHost { .. } => Some("run `lifeboat undelete` on that host".to_owned()),
        Error::AppendOnly { .. } => Some(
            "do it on another host, with credentials that may remove; `append-only` stands in the configuration"
                .to_owned(),
        ),
        Error::Space { .. } => Some("make room, or choose another place".to_owned()),
        Error::Unrestorable { others, .. } => Some(of_unrestorable(others)),
        Error::Config { path, line: Some(line), .. } => {
            Some(format!("correct line {line} of {}", path.display()))
        }
        Error::Config { path, .. } => Some(format!("correct {}", path.display())),
        Error::File { path, source, .. } => of_io(source.kind(), Some(path)),
        _ => of_causes(error),
    }
}

fn of_unrestorable(others: &[BackupName]) -> String {
    const CHECK: &str = "`lifeboat check --read-data` makes sure";
    if others.is_empty() {
        return format!("as far as is known, no other backup of it can be restored; {CHECK}");
    }
    let others = others.iter().map(|name| format!("{} ({})", name.id.short(), local(name.started)));
    let others = others.collect::<Vec<_>>().join(", ");
    format!("as far as is known, these can be restored: {others}; {CHECK}")
}

fn of_no_point(between: Option<(Point, Point)>) -> String {
    let Some((first, last)) = between else {
        return "there is none at all: is another host meant (--host)?".to_owned();
    };
    format!("its points are from {} to {}; `lifeboat points` lists them", point(first), point(last))
}

fn of_unrestorable_point(earlier: Option<Point>) -> String {
    match earlier {
        Some(earlier) => format!(
            "as far as is known, {} before it can be restored (--at, --txid); \
             `lifeboat check --read-data` says what is damaged",
            point(earlier)
        ),
        None => "no way leads to a point before it either; `lifeboat points` lists what there is"
            .to_owned(),
    }
}

fn point(point: Point) -> String {
    let time = exact(point.time, &jiff::tz::TimeZone::system());
    format!("{time} (transaction {:x})", point.txid.get())
}

fn of_database(error: &Database) -> Option<String> {
    let hint = match error {
        Database::Missing { .. } => "check the path; nothing was created there",
        Database::NotADatabase { .. } => {
            "an encrypted database (SQLCipher, SEE) can only be copied while its application is stopped"
        }
        Database::Locked { .. } => {
            "an application with locking_mode=EXCLUSIVE keeps every reader out: stop it, or change that"
        }
        Database::Corrupt { .. } => {
            "the application's database is damaged; restore the last good backup to another place and compare"
        }
        Database::Integrity { .. } => {
            "the backup is whole, but holds a database that was damaged when it was made: try an \
             earlier backup, or take it as it is with --no-verify"
        }
        Database::TargetExists { path } => {
            return Some(
                if SIDECARS.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)) {
                    "it belongs to a database that is gone; --force moves it aside".to_owned()
                } else {
                    "--force replaces it (and moves it aside), --target chooses another place"
                        .to_owned()
                },
            );
        }
        Database::TargetInUse { .. } => "stop the application first, then restore",
        Database::File { path, source, .. } => return of_io(source.kind(), Some(path)),
        _ => return of_causes(error),
    };
    Some(hint.to_owned())
}

fn of_repository(error: &Repository) -> Option<String> {
    // A check needs these itself.
    let key = error.key().map_or("", Key::as_str);
    if key.starts_with("identities/") {
        return Some(format!(
            "put {key} back from a copy of the repository; until then only the password of another \
             identity opens it"
        ));
    }
    if key == "lifeboat.json" {
        return Some("put lifeboat.json back from a copy of the repository".to_owned());
    }
    let hint = match error {
        Repository::NoRepository { .. } => "make one with `lifeboat init`, or check --repository",
        Repository::PlainRestic { .. } => "choose another place for Lifeboat's repository",
        Repository::LitestreamReplica { .. } => {
            "`points`, `restore`, `dump` and `check` read it; to write, make a repository elsewhere: \
             `lifeboat init` (with --form litestream, Litestream reads it)"
        }
        Repository::AlreadyInitialized { .. } => "use it as it is, or choose another place",
        Repository::UnknownFeature { .. } => "use a newer version of Lifeboat",
        Repository::WrongPassword { .. } => {
            "check --password-file, --password-command, LIFEBOAT_PASSWORD and the configuration"
        }
        Repository::WrongIdentity { .. } => {
            "check --identity, LIFEBOAT_IDENTITY_FILE and the configuration"
        }
        Repository::NoIdentity { .. } => {
            "if it was made for a person's key, give that with --identity; if an object below \
             identities/ is gone, put it back from a copy of the repository"
        }
        Repository::RecipientChanged { .. } => {
            "someone changed whom backups are sealed for: if it was you (`lifeboat key rotate`), give a \
             password that was added since, or `lifeboat key accept --recipient`, or change \
             `recipient` where it was given; if not, who can write to the repository is not to be trusted"
        }
        Repository::HostKeyChanged { host, .. } => {
            return Some(format!(
                "if that host was set up anew, believe it with `lifeboat key accept {host}`; if not, \
                 someone else wrote the backup"
            ));
        }
        Repository::Files(Restic::Locked { .. }) => {
            "wait until it has finished; if it is not at work any more, `lifeboat unlock` removes what it \
             left behind"
        }
        Repository::Files(Restic::LockLost { .. }) => {
            "nothing was removed that is needed; do it again when the storage can be reached"
        }
        Repository::Files(Restic::Corrupt { .. }) => {
            "`lifeboat check --read-data` says what is damaged and what can be restored"
        }
        Repository::TimesNotKept { .. } => "keep it in a bucket or a directory, or use form sealed",
        Repository::NoFiles { .. } => "use a repository of form sealed for files",
        Repository::EmptyDatabase { .. } => "use a repository of form sealed for it",
        Repository::Pruned { .. } => "it comes too late; the newest backups are still there",
        Repository::GenerationTaken { .. } => {
            "nothing was changed; `lifeboat key list` shows what is there"
        }
        Repository::Corrupt { .. }
        | Repository::Sealed { .. }
        | Repository::Ltx { .. }
        | Repository::NotRestorable { .. } => {
            "`lifeboat check --read-data` says what is damaged and what can be restored"
        }
        Repository::Storage(error) => return of_storage(error),
        _ => return of_causes(error),
    };
    Some(hint.to_owned())
}

fn of_storage(error: &Storage) -> Option<String> {
    let of_disk = || match error {
        Storage::Storage { source, .. } => of_io(source.kind(), None),
        _ => None,
    };
    store::of_store(error).or_else(of_disk)
}

/// The system's reason, wherever in the chain it stands.
fn of_causes(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let hint = match (error.downcast_ref::<Storage>(), error.downcast_ref::<std::io::Error>()) {
            (Some(error), _) => of_storage(error),
            (_, Some(error)) => of_io(error.kind(), None),
            _ => None,
        };
        if hint.is_some() {
            return hint;
        }
        cause = error.source();
    }
    None
}

fn of_io(kind: ErrorKind, path: Option<&std::path::Path>) -> Option<String> {
    match kind {
        ErrorKind::PermissionDenied => Some(match path {
            Some(path) => format!("check the owner and permissions of {}", path.display()),
            None => "check the owner and permissions".to_owned(),
        }),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(
            "the disk is full: make room and run it again; earlier backups are untouched"
                .to_owned(),
        ),
        ErrorKind::ReadOnlyFilesystem => Some("the file system is mounted read-only".to_owned()),
        _ => None,
    }
}
