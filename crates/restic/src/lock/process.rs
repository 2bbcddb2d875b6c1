//! Who we are, and whether somebody else still is.

use std::fs;

use jiff::Timestamp;
use rustix::process::{Pid, getgid, getpid, getuid, test_kill_process};
use rustix::system::uname;

use super::Lock;

/// What the host is called, as in the locks of its processes.
#[must_use]
pub fn hostname() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

/// What the user of this process is called; empty if that is not known.
#[must_use]
pub fn username() -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = getuid().as_raw().to_string();
    let user = users.lines().find(|line| line.split(':').nth(2) == Some(&uid));
    user.and_then(|line| line.split(':').next()).unwrap_or_default().to_owned()
}

/// A lock of this process.
pub(super) fn ours(exclusive: bool, time: Timestamp) -> Lock {
    Lock {
        time,
        exclusive,
        hostname: hostname(),
        username: username(),
        pid: getpid().as_raw_nonzero().get().into(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
    }
}

/// Whether a process of this host is there. One that we may not send signals to is.
///
/// restic asks with a real SIGHUP, which ends a process that does not expect it: programs that hold a lock
/// must ignore that signal. This sends none.
#[must_use]
pub fn is_alive(pid: i64) -> bool {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_is_there() {
        assert!(is_alive(std::process::id().into()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        for gone in [i64::from(child.id()), 0, -1, i64::MAX, i64::from(i32::MAX)] {
            assert!(!is_alive(gone), "{gone}");
        }
    }
}
