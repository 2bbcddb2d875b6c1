//! Exit codes.

use std::process::ExitCode;

use lifeboat::{Detour, Error};
use lifeboat_repository::Error as Repository;
use lifeboat_restic::Error as Restic;
use lifeboat_sqlite::Error as Database;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Partial = 3,
    NoRepository = 10,
    Locked = 11,
    WrongPassword = 12,
    Missed = 21,
    CorruptSource = 22,
    Interrupted = 130,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Whether all of what was asked for was restored: the newest backup, unless one was named.
pub(crate) fn of_detour(detour: &Detour) -> Exit {
    if detour.skipped.is_empty() { Exit::Ok } else { Exit::Partial }
}

/// The exit code that tells an error from others.
pub(crate) fn of_error(error: &Error) -> Exit {
    match error {
        Error::Shared(error) => of_error(error),
        Error::Usage { .. }
        | Error::Config { .. }
        | Error::Ambiguous { .. }
        | Error::OtherHostsCopy { .. }
        | Error::NotEncrypted { .. } => Exit::Usage,
        Error::Busy { .. }
        | Error::LeaseHeld { .. }
        | Error::Repository(Repository::Files(Restic::Locked { .. }))
        | Error::Database(Database::Locked { .. } | Database::TargetInUse { .. }) => Exit::Locked,
        Error::Database(Database::Corrupt { .. } | Database::NotADatabase { .. }) => {
            Exit::CorruptSource
        }
        Error::NoTarget { .. }
        | Error::Repository(
            Repository::NoRepository { .. }
            | Repository::PlainRestic { .. }
            | Repository::LitestreamReplica { .. },
        ) => Exit::NoRepository,
        Error::NoPassword { .. }
        | Error::PasswordCommand { .. }
        | Error::Identity { .. }
        | Error::Repository(
            Repository::WrongPassword { .. }
            | Repository::WrongIdentity { .. }
            | Repository::NoIdentity { .. },
        ) => Exit::WrongPassword,
        Error::Interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    }
}
