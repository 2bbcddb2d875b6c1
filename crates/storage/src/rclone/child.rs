//! The child that serves a remote.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::RcloneOptions;
use super::log::Log;
use crate::http::{HttpOptions, one_line};
use crate::random::random_hex_for;
use crate::remote::Attempt;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, Failure, WebDavOptions};

/// Runs its arguments, and ends them when its input does: that is a pipe whose other end we hold, which the
/// kernel closes whatever ends us.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{ read -r _ <&3; kill "$child"; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
status=$?
kill "$watch" 2>/dev/null
wait "$watch" 2>/dev/null
exit "$status"
"#;
/// How long it has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Settings of the owner that would change what is served here, or to whom.
const FOREIGN: [&str; 16] = [
    "RCLONE_ADDR",
    "RCLONE_AUTH_PROXY",
    "RCLONE_BASEURL",
    "RCLONE_CERT",
    "RCLONE_CLIENT_CA",
    "RCLONE_DISABLE_DIR_LIST",
    "RCLONE_DRY_RUN",
    "RCLONE_HTPASSWD",
    "RCLONE_KEY",
    "RCLONE_LOG_FILE",
    "RCLONE_QUIET",
    "RCLONE_RC",
    "RCLONE_READ_ONLY",
    "RCLONE_SYSLOG",
    "RCLONE_USE_JSON_LOG",
    "RCLONE_VERBOSE",
];

/// An rclone that serves.
pub(super) struct Child {
    process: Mutex<Process>,
    url: String,
    user: String,
    password: SecretString,
    output: Arc<Output>,
}

/// What it wrote, and whether it still may.
#[derive(Debug, Default)]
struct Output {
    log: Mutex<Log>,
    ended: AtomicBool,
}

impl Child {
    /// Starts it, and waits until it serves.
    pub(super) fn start(remote: &str, options: &RcloneOptions) -> Attempt<Self> {
        match Self::start_at(remote, options, 0)? {
            Some(child) => Ok(child),
            // It does not tell which port it was given: it is given one that was free just now.
            None => Self::start_at(remote, options, free_port()?)?.ok_or_else(|| {
                Failure::new(Cause::Protocol, "rclone does not say where it serves")
            }),
        }
    }

    /// `None` if it serves at a port that it does not tell.
    fn start_at(remote: &str, options: &RcloneOptions, port: u16) -> Attempt<Option<Self>> {
        let (user, password) = (
            random_hex_for::<32>("password for rclone")?,
            random_hex_for::<32>("password for rclone")?,
        );
        let mut process = command(remote, options, port)
            .env("RCLONE_USER", &user)
            .env("RCLONE_PASS", &password)
            .spawn()
            .map_err(|error| Failure::new(Cause::Local, format!("sh cannot be run: {error}")))?;
        let output = Arc::new(Output::default());
        let (sender, served) = mpsc::channel();
        if let Some(stderr) = process.stderr.take() {
            let output = Arc::clone(&output);
            thread::spawn(move || follow(stderr, &output, &sender));
        }
        let mut child = Self {
            process: Mutex::new(process),
            url: String::new(),
            user,
            password: password.into(),
            output,
        };
        child.url = match served.recv_timeout(options.start_timeout) {
            Ok(0) => return Ok(None),
            Ok(port) => format!("http://{}@127.0.0.1:{port}", child.user),
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("rclone does not begin to serve: {}", child.log_since(0));
                return Err(Failure::new(Cause::TimedOut, message));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(child.why_not(options)),
        };
        Ok(Some(child))
    }

    /// Why it ended before it served.
    fn why_not(&self, options: &RcloneOptions) -> Failure {
        let status = self.process.lock().unwrap_or_else(PoisonError::into_inner).wait();
        let program = options.program.display();
        let told = self.log_since(0);
        let code = status.ok().and_then(|status| status.code());
        let message = match code {
            Some(127) => format!("{program} is not installed"),
            Some(126) => format!("{program} cannot be run"),
            _ => format!("rclone does not serve: {told}"),
        };
        Failure::new(Cause::Invalid, message)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How it is talked to: it is here, so that no proxy is in between.
    pub(super) fn webdav_options(&self) -> WebDavOptions {
        WebDavOptions {
            password: Some(self.password.clone()),
            http: HttpOptions {
                proxy_from_environment: false,
                idle_timeout: IDLE,
                ..HttpOptions::default()
            },
            ..WebDavOptions::default()
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.output.ended.load(Ordering::SeqCst)
    }

    pub(super) fn log_length(&self) -> u64 {
        self.output.log().written()
    }

    /// The end of what it wrote after a position, in one line, without its secrets.
    pub(super) fn log_since(&self, position: u64) -> String {
        let text = self.output.log().since(position);
        let text = text.replace(self.password.expose_secret(), "…");
        let last = text.lines().rev().take(3).collect::<Vec<_>>();
        one_line(&last.into_iter().rev().collect::<Vec<_>>().join(" "))
    }
}

/// How long rclone may be silent: it answers when the remote has taken the last byte.
const IDLE: Duration = Duration::from_secs(600);

impl Output {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The guard sees this, and ends rclone, which waits for what it does at the moment.
        drop(process.stdin.take());
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match process.try_wait() {
                Ok(Some(_)) => return,
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(_) => break,
            }
        }
        let group = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        // An error means that it is gone.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = process.wait();
    }
}

fn command(remote: &str, options: &RcloneOptions, port: u16) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh"]).arg(&options.program).args(["serve", "webdav"]);
    command.args(&options.arguments);
    if let Some(config) = &options.config {
        command.arg("--config").arg(config);
    }
    command.arg(format!("--addr=127.0.0.1:{port}"));
    command.args([
        "--vfs-cache-mode=off",
        "--dir-cache-time=1s",
        "--poll-interval=0",
        "--log-level=NOTICE",
        "--ask-password=false",
        "--",
        remote,
    ]);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // What is typed at a terminal to end us must not end it before us.
    command.process_group(0);
    command
}

/// Keeps what it writes, and tells where it serves. Ends with it.
fn follow(stderr: ChildStderr, output: &Output, served: &Sender<u16>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end must not fill the memory.
        let read = lines.by_ref().take(64 * 1024).read_until(b'\n', &mut line);
        if !read.is_ok_and(|read| read > 0) {
            break;
        }
        output.log().write(&line);
        if let Some(port) = serving_at(&String::from_utf8_lossy(&line)) {
            // Nobody listens after the first.
            let _ = served.send(port);
        }
    }
    output.ended.store(true, Ordering::SeqCst);
}

/// The port in `WebDav Server started on http://127.0.0.1:8080/`; newer versions put it in brackets.
fn serving_at(line: &str) -> Option<u16> {
    const START: &str = "http://127.0.0.1:";
    let (_, rest) = line.split_once("erver started on")?;
    let (_, rest) = rest.split_once(START)?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    port.parse().ok()
}

fn free_port() -> Attempt<u16> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.port())
        .map_err(|error| Failure::new(Cause::Local, format!("no free port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_what_rclone_says() {
        for (line, expected) in [
            ("NOTICE: x: WebDav Server started on http://127.0.0.1:42777/\n", Some(42777)),
            ("NOTICE: x: WebDav Server started on [http://127.0.0.1:80/]", Some(80)),
            ("NOTICE: x: WebDav Server started on http://127.0.0.1:0/", Some(0)),
            ("NOTICE: Serving remote control on http://127.0.0.1:5572/", None),
            ("WebDav Server started on http://127.0.0.1:99999/", None),
        ] {
            assert_eq!(serving_at(line), expected, "{line}");
        }
    }
}
