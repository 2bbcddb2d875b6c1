//! A server of the test's own behind the storage's input and output.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lifeboat_storage::SftpOptions;

use crate::server::output;

/// Each connection makes two pipes, tells their place, and passes on between them and itself.
const CONNECT: &str = r#"
    set -e
    pipes=$(mktemp -d "$0/XXXXXX")
    mkfifo "$pipes/requests" "$pipes/answers"
    echo "$pipes" > "$0/connect"
    cat "$pipes/answers" &
    exec cat > "$pipes/requests"
"#;

/// Takes connections of a storage whose command is [`Gate::options`], each on a thread of its own.
/// Dropped, it waits until they are served.
pub(crate) struct Gate {
    directory: tempfile::TempDir,
    listener: Option<JoinHandle<()>>,
}

impl Gate {
    /// `serve` gets what the storage sends, and where to write what it is to receive. Its number
    /// counts connections from 0.
    pub(crate) fn new(serve: impl Fn(usize, File, File) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let connect = directory.path().join("connect");
        make_pipe(&connect);
        // Open for writing, too: it has no end while nobody connects.
        let connections = File::options().read(true).write(true).open(&connect).unwrap();
        let serve = Arc::new(serve);
        let listen = move || {
            let mut threads = Vec::new();
            for (number, line) in BufReader::new(connections).lines().enumerate() {
                let pipes = PathBuf::from(line.unwrap());
                if pipes.as_os_str().is_empty() {
                    break;
                }
                let serve = Arc::clone(&serve);
                threads.push(thread::spawn(move || {
                    let answers = File::options().write(true).open(pipes.join("answers")).unwrap();
                    serve(number, File::open(pipes.join("requests")).unwrap(), answers);
                }));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        };
        Self { directory, listener: Some(thread::spawn(listen)) }
    }

    /// A server that greets with `extensions` and then answers each request with what `answer` makes
    /// of it; `None` ends the connection.
    pub(crate) fn answering(
        extensions: &'static [&str],
        answer: impl Fn(Request<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |_, mut requests, mut answers| {
            if packet(&mut requests).is_err() || answers.write_all(&greeting(extensions)).is_err() {
                return;
            }
            while let Ok(packet) = packet(&mut requests) {
                let Some(answer) = answer(Request::of(&packet)) else { return };
                if answers.write_all(&answer).is_err() {
                    return;
                }
            }
        })
    }

    pub(crate) fn options(&self) -> SftpOptions {
        let command = ["sh".into(), "-c".into(), CONNECT.into(), self.directory.path().into()];
        SftpOptions { command: Some(command.into()), ..SftpOptions::default() }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        fs::write(self.directory.path().join("connect"), "\n").unwrap();
        if let Some(listener) = self.listener.take() {
            let served = listener.join();
            assert!(served.is_ok() || thread::panicking(), "serving failed");
        }
    }
}

fn make_pipe(path: &Path) {
    output(Command::new("mkfifo").arg(path));
}

/// A request as it came.
pub(crate) struct Request<'a> {
    pub(crate) kind: u8,
    id: &'a [u8],
    pub(crate) rest: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn of(packet: &'a [u8]) -> Self {
        Self { kind: packet[0], id: &packet[1..5], rest: &packet[5..] }
    }

    /// An answer to it.
    pub(crate) fn answer(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        framed(&[&[kind], self.id, rest].concat())
    }

    /// A yes, or a no.
    pub(crate) fn status(&self, code: u8) -> Vec<u8> {
        self.answer(101, &[0, 0, 0, code, 0, 0, 0, 0, 0, 0, 0, 0])
    }
}

pub(crate) fn greeting(extensions: &[&str]) -> Vec<u8> {
    let mut packet = vec![2, 0, 0, 0, 3];
    for extension in extensions {
        packet.extend(string(extension.as_bytes()));
        packet.extend(string(b"1"));
    }
    framed(&packet)
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    framed(bytes)
}

/// Strings and packets alike are bytes behind their length.
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The next packet, without its length.
pub(crate) fn packet(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut packet)?;
    Ok(packet)
}
