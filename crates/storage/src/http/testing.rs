//! A server that answers what a test says, byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// Answers connections one after another; yields what each was sent, of which it reads to the end of the head,
/// and as many bytes more as its content-length says unless it is not to.
pub(crate) struct Server {
    pub(crate) url: String,
    thread: JoinHandle<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Reads the request, answers, closes.
    Say(&'static str),
    /// Closes without having read the request's body.
    Close,
    /// Reads the request, and is silent until the client gives up.
    Silence,
}

impl Server {
    pub(crate) fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            answers.iter().map(|answer| serve(&listener.accept().unwrap().0, *answer)).collect()
        });
        Self { url, thread }
    }

    pub(crate) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn serve(mut stream: &TcpStream, answer: Answer) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.extend(byte);
    }
    let mut request = String::from_utf8(head).unwrap();
    let length = request.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    match answer {
        Answer::Close => {}
        Answer::Say(text) => {
            let _cut = stream.read_exact(&mut body);
            stream.write_all(text.as_bytes()).unwrap();
        }
        Answer::Silence => {
            let _end = stream.read_to_end(&mut body);
        }
    }
    let _gone = stream.shutdown(Shutdown::Both);
    request.push_str(&String::from_utf8_lossy(&body));
    request
}
