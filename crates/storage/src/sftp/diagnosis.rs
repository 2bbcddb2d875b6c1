//! From what ssh said to what is wrong.

use super::failure::printable;
use super::problem::{NoConnection, SftpProblem};

/// How a connection came to its end.
pub(super) enum End {
    /// The program closed its output; whether the server had greeted by then, and how it exited.
    Closed { greeted: bool, exit: String },
    /// What came was not SFTP.
    Malformed(String),
    /// Nothing came for so long that it was given up.
    Silent,
}

/// Words of OpenSSH's client, and what they tell. The first that is found counts: what comes later
/// may follow from it.
const WORDS: &[(&str, SftpProblem)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", SftpProblem::HostKeyChanged),
    ("Host key verification failed", SftpProblem::HostKeyUnknown),
    ("Permission denied (", SftpProblem::Denied),
    ("Too many authentication failures", SftpProblem::Denied),
    ("Could not resolve hostname", SftpProblem::NameUnresolved),
    ("Connection refused", SftpProblem::Refused),
    ("No route to host", SftpProblem::Unreachable),
    ("Network is unreachable", SftpProblem::Unreachable),
    ("timed out", SftpProblem::TimedOut),
    ("not responding", SftpProblem::TimedOut),
    ("subsystem request failed", SftpProblem::NoSubsystem),
    ("Bad configuration option", SftpProblem::Configuration),
    ("Bad owner or permissions on", SftpProblem::Configuration),
    ("terminating, ", SftpProblem::Configuration),
];

/// Lines of ssh that become part of a message.
const LINES: usize = 3;
/// Their length in characters.
const LINE: usize = 200;

/// What is wrong with a connection to `host` (with its user), of which ssh wrote `words`.
pub(super) fn diagnose(host: &str, end: End, words: &str) -> NoConnection {
    let found = WORDS.iter().find(|(text, _)| words.contains(text)).map(|(_, problem)| *problem);
    let (problem, sentence) = match (end, found) {
        (End::Malformed(why), _) => (
            SftpProblem::Protocol,
            format!(
                "what answers at {host} does not speak SFTP ({why}); \
                 does a start-up file of its shell print something?"
            ),
        ),
        (End::Silent, _) => (SftpProblem::TimedOut, format!("no answer from {host} in time")),
        (End::Closed { .. }, Some(problem)) => (problem, sentence(problem, host)),
        (End::Closed { greeted: true, exit }, None) => {
            (SftpProblem::Lost, format!("the connection to {host} was lost ({exit})"))
        }
        (End::Closed { greeted: false, exit }, None) => (
            SftpProblem::Lost,
            format!("the connection to {host} ended before SFTP began ({exit})"),
        ),
    };
    let said = relevant(problem, words);
    let message = if said.is_empty() { sentence } else { format!("{sentence}: {said}") };
    NoConnection { problem, message }
}

fn sentence(problem: SftpProblem, host: &str) -> String {
    match problem {
        SftpProblem::HostKeyChanged => format!("the host key of {host} is not the known one"),
        SftpProblem::HostKeyUnknown => format!("the host key of {host} is not known"),
        SftpProblem::Denied => {
            format!("permission denied; is the key in ~/.ssh/authorized_keys of {host}?")
        }
        SftpProblem::NameUnresolved => format!("no address for {host}"),
        SftpProblem::Refused => format!("{host} refused the connection"),
        SftpProblem::Unreachable => format!("no way to {host}"),
        SftpProblem::TimedOut => format!("no answer from {host} in time"),
        SftpProblem::NoSubsystem => format!("{host} has no SFTP subsystem"),
        SftpProblem::Configuration => "ssh refuses its configuration".to_owned(),
        SftpProblem::ProgramMissing | SftpProblem::Protocol | SftpProblem::Lost => {
            format!("no connection to {host}")
        }
    }
}

/// The lines that say most, on one.
fn relevant(problem: SftpProblem, words: &str) -> String {
    let lines = words.lines().map(|line| printable(line, LINE)).filter(|line| !line.is_empty());
    let lines: Vec<_> = match problem {
        // Of its page of warnings: which key it is, and where the known one stands.
        SftpProblem::HostKeyChanged => {
            lines.filter(|line| line.contains("SHA256:") || line.contains("Offending")).collect()
        }
        _ => lines.filter(|line| !line.starts_with("@@@")).collect(),
    };
    lines[lines.len().saturating_sub(LINES)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(words: &str) -> NoConnection {
        let end = End::Closed { greeted: false, exit: "exit status: 255".to_owned() };
        diagnose("pi@host", end, words)
    }

    #[test]
    fn what_ssh_says_is_understood() {
        for (words, problem) in [
            (
                "@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@@\n\
                 SHA256:abc.\nOffending RSA key in /home/pi/.ssh/known_hosts:3\n\
                 Host key verification failed.\n",
                SftpProblem::HostKeyChanged,
            ),
            (
                "No ED25519 host key is known for host and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                SftpProblem::HostKeyUnknown,
            ),
            ("pi@host: Permission denied (publickey).\r\n", SftpProblem::Denied),
            (
                "ssh: Could not resolve hostname host: Name or service not known\r\n",
                SftpProblem::NameUnresolved,
            ),
            ("ssh: connect to host host port 22: Connection refused\r\n", SftpProblem::Refused),
            ("ssh: connect to host host port 22: No route to host\r\n", SftpProblem::Unreachable),
            ("ssh: connect to host host port 22: Connection timed out\r\n", SftpProblem::TimedOut),
            ("Connection timed out during banner exchange\r\n", SftpProblem::TimedOut),
            ("Timeout, server host not responding.\r\n", SftpProblem::TimedOut),
            ("subsystem request failed on channel 0\r\n", SftpProblem::NoSubsystem),
            (
                "/home/pi/.ssh/config: line 1: Bad configuration option: what\r\n",
                SftpProblem::Configuration,
            ),
            ("Connection closed by 192.0.2.1 port 22\r\n", SftpProblem::Lost),
            ("", SftpProblem::Lost),
        ] {
            let found = closed(words);
            assert_eq!(found.problem, problem, "{words}");
            assert!(
                !found.message.contains(['\r', '\n', '@']) || found.message.contains("pi@host")
            );
        }
    }

    #[test]
    fn the_message_has_what_ssh_said_last() {
        let found =
            closed("a banner\nanother line\n\x1b[2Jline\npi@host: Permission denied (publickey).");
        assert_eq!(
            found.message,
            "permission denied; is the key in ~/.ssh/authorized_keys of pi@host?: \
             another line;  [2Jline; pi@host: Permission denied (publickey)."
        );
        assert!(closed("").message.ends_with("(exit status: 255)"));
    }

    #[test]
    fn a_changed_key_names_the_known_one() {
        let words = "@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
                     REMOTE HOST IDENTIFICATION HAS CHANGED\nSHA256:abc.\n\
                     Offending RSA key in /known_hosts:3\nHost key verification failed.";
        let message = closed(words).message;
        assert!(message.contains("Offending RSA key in /known_hosts:3"), "{message}");
        assert!(!message.contains("NASTY"), "{message}");
    }
}
