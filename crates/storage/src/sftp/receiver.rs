//! The thread that takes what the server says.

use std::io::{self, BufReader, Read};
use std::process::ChildStdout;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::Link;
use super::decode::Malformed;
use super::diagnosis::{End, diagnose};
use super::reply;

/// OpenSSH sends and takes no longer packets.
const MAX_PACKET_BYTES: usize = 256 << 10;

/// How long the server may be silent.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) greeting: Duration,
    pub(super) answer: Duration,
}

/// Takes what the server says, until the connection ends; then tells all that wait why.
pub(super) fn run(
    link: &Link,
    output: ChildStdout,
    greeted: SyncSender<Vec<String>>,
    timeouts: Timeouts,
) {
    let mut greeting_came = false;
    let end = receive(link, output, &greeted, timeouts, &mut greeting_came);
    if !matches!(end, Stop::Closed) {
        link.process.kill();
    }
    link.close_input();
    let exit = link.process.reap();
    let end = match end {
        Stop::Closed => End::Closed { greeted: greeting_came, exit },
        Stop::Malformed(why) => End::Malformed(why.to_owned()),
        Stop::Silent => End::Silent,
    };
    link.pending.fail(diagnose(&link.host, end, &link.process.words()));
    // Not before: who waits for the greeting then looks for the reason.
    drop(greeted);
}

enum Stop {
    Closed,
    Malformed(&'static str),
    Silent,
}

impl From<Malformed> for Stop {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Malformed(why)
    }
}

fn receive(
    link: &Link,
    output: ChildStdout,
    greeted: &SyncSender<Vec<String>>,
    timeouts: Timeouts,
    greeting_came: &mut bool,
) -> Stop {
    let began = Instant::now();
    let silence = || Some(began.elapsed());
    let output = Watched { output, silence: &silence, limit: timeouts.greeting };
    let mut output = BufReader::with_capacity(64 << 10, output);
    let greeting = match packet(&mut output).map(|packet| reply::decode_greeting(&packet)) {
        Ok(Ok(extensions)) => extensions,
        Ok(Err(malformed)) => return malformed.into(),
        Err(stop) => return stop,
    };
    *greeting_came = true;
    let _ = greeted.send(greeting);

    let silence = || link.pending.silence();
    let watched = output.get_mut();
    (watched.silence, watched.limit) = (&silence, timeouts.answer);
    loop {
        let answered = packet(&mut output).and_then(|packet| {
            let (id, reply) = reply::decode(&packet)?;
            Ok(link.pending.answer(id, reply)?)
        });
        if let Err(stop) = answered {
            return stop;
        }
    }
}

/// The next packet, without its length.
fn packet(output: &mut impl Read) -> Result<Vec<u8>, Stop> {
    let mut length = [0; 4];
    output.read_exact(&mut length).map_err(|error| stop(&error))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_PACKET_BYTES {
        return Err(Stop::Malformed("a packet is longer than 256 KiB"));
    }
    let mut packet = vec![0; length];
    output.read_exact(&mut packet).map_err(|error| stop(&error))?;
    Ok(packet)
}

fn stop(error: &io::Error) -> Stop {
    if error.kind() == io::ErrorKind::TimedOut { Stop::Silent } else { Stop::Closed }
}

/// An output that is given up when it is silent for too long.
struct Watched<'a> {
    output: ChildStdout,
    /// How long an answer has been due.
    silence: &'a dyn Fn() -> Option<Duration>,
    limit: Duration,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pause = (self.limit / 4).clamp(Duration::from_millis(10), Duration::from_secs(15));
        let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
        loop {
            match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&pause)) {
                Ok(0) if (self.silence)().is_some_and(|silence| silence > self.limit) => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.output.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
