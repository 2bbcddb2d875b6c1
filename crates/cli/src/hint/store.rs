//! What to do about a store over a network.

use lifeboat_storage::{Cause, Error, Failure, SftpProblem};

/// The hint for an error of a store; `None` for one of this machine's disks.
pub(super) fn of_store(error: &Error) -> Option<String> {
    let Error::Storage { location, .. } = error else { return None };
    let hint = match (SftpProblem::of(error), Failure::of(error)) {
        (Some(problem), _) => of_sftp(problem),
        (None, Some(failure)) => of_cause(failure.cause, scheme(location))?,
        (None, None) => return None,
    };
    Some(hint.to_owned())
}

fn scheme(location: &str) -> &str {
    location.split_once(':').map_or("", |(scheme, _)| scheme)
}

fn of_sftp(problem: SftpProblem) -> &'static str {
    match problem {
        SftpProblem::ProgramMissing => "install OpenSSH's client: apt install openssh-client",
        SftpProblem::Configuration => "look at `ssh-key`, `known-hosts` and ~/.ssh/config",
        SftpProblem::HostKeyUnknown => {
            "log in once by hand (ssh USER@HOST), compare the fingerprint, and accept it"
        }
        SftpProblem::HostKeyChanged => {
            "if the host was set up anew, remove its old key: ssh-keygen -R HOST; if not, somebody may be in between"
        }
        SftpProblem::Denied => {
            "put this user's public key into ~/.ssh/authorized_keys there: ssh-copy-id USER@HOST; \
             `ssh-key` names another key"
        }
        SftpProblem::NameUnresolved => {
            "look at the host's name, and whether this machine has a network"
        }
        SftpProblem::Refused => "is its SSH server running, and on this port?",
        SftpProblem::Unreachable | SftpProblem::TimedOut | SftpProblem::Lost => {
            "is the host up? The next backup brings it what it lacks"
        }
        SftpProblem::NoSubsystem => "its sshd_config needs a line: Subsystem sftp internal-sftp",
        SftpProblem::Protocol => {
            "something writes before SFTP begins: the remote shell's startup files must print nothing"
        }
        _ => "log in by hand to see more: sftp USER@HOST",
    }
}

fn of_cause(cause: Cause, scheme: &str) -> Option<&'static str> {
    Some(match cause {
        Cause::Unreachable => {
            "look at the address and the network; the next backup brings what is lacking"
        }
        Cause::Untrusted => {
            "`ca-file` names the certificate of an authority of your own; install ca-certificates for the usual ones"
        }
        Cause::TimedOut | Cause::Interrupted | Cause::Unavailable => {
            "it may pass: run it again later; nothing that was stored is lost"
        }
        Cause::Throttled => "wait, or ask for less at a time: `upload-limit`, a longer `interval`",
        Cause::Unauthenticated => match scheme {
            "s3" => {
                "look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or `access-key` and `secret-key`"
            }
            "gcs" => {
                "look at GOOGLE_APPLICATION_CREDENTIALS, or GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY"
            }
            "b2" => "look at B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY",
            "azblob" => "look at AZURE_ACCOUNT_NAME and AZURE_ACCOUNT_KEY",
            "gdrive" => "give the permission anew: lifeboat auth gdrive",
            "webdav" | "webdavs" => {
                "the user stands in the URL, the password in LIFEBOAT_WEBDAV_PASSWORD"
            }
            _ => "look at the credentials",
        },
        Cause::Denied => match scheme {
            "s3" => {
                "the key needs s3:ListBucket, s3:GetObject, s3:PutObject, s3:AbortMultipartUpload, and \
                 s3:DeleteObject unless `append-only` is set"
            }
            _ => "the account may not do this; give it the permission, or use another",
        },
        Cause::NoContainer => match scheme {
            "gdrive" => {
                "make the folder with `lifeboat init`; one that another program made cannot be seen"
            }
            _ => "make the bucket first; look at its name, the region and the endpoint",
        },
        Cause::Full => "make room there, or raise the quota; earlier backups are untouched",
        Cause::ClockSkew => "set this machine's clock: timedatectl set-ntp true",
        Cause::Protected => "the store keeps it until its lock ends: do it again then",
        Cause::Invalid => match scheme {
            "s3" | "gcs" | "b2" | "azblob" => "look at the URL, `endpoint` and `region`",
            "webdav" | "webdavs" => "look at the URL and `endpoint`",
            "gdrive" => "look at the URL; lifeboat auth gdrive gives the permission anew",
            "rclone" => {
                "`rclone listremotes` shows the remotes, `rclone lsd REMOTE:PATH` what is there"
            }
            _ => return None,
        },
        Cause::Protocol => {
            "is this the right address? What answers does not speak the store's protocol"
        }
        _ => return None,
    })
}
