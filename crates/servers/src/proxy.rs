//! Stands between a client and a server, and does what a test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It waits.
    Delay(Duration),
    /// It is not passed on; this is answered: a status, a header with its line's end or nothing, a body.
    Answer(u16, &'static str, &'static str),
    /// It is passed on, its answer is not.
    LoseAnswer,
    /// So many bytes of its body are passed on, as all of a shorter one.
    CutRequest(usize),
    /// So many bytes of its answer's body are passed on.
    CutAnswer(usize),
    /// It is read, and nothing is answered.
    Hang,
}

/// A request, without its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// How many came before it.
    pub at: usize,
    pub method: String,
    /// With the query.
    pub path: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

type Decide = dyn Fn(&Head) -> Option<Fault> + Send + Sync;
type Rewrite = dyn Fn(&mut Head) + Send + Sync;

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
    decide: Arc<Mutex<Box<Decide>>>,
}

impl Proxy {
    /// Passes everything on to a server.
    pub fn start(server: SocketAddr) -> Self {
        Self::start_rewriting(server, |_| {})
    }

    /// Changes the heads of requests on their way.
    pub fn start_rewriting(
        server: SocketAddr,
        rewrite: impl Fn(&mut Head) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let nothing: Box<Decide> = Box::new(|_| None);
        let (seen, decide) = (Arc::default(), Arc::new(Mutex::new(nothing)));
        let proxy = Self { address, seen, decide };
        let shared = (proxy.clone(), Arc::new(rewrite));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (proxy, rewrite) = shared.clone();
                // What a client or a test breaks off ends its thread.
                thread::spawn(move || drop(proxy.pass(&client.unwrap(), server, &*rewrite)));
            }
        });
        proxy
    }

    /// From now on, does this with each request.
    pub fn decide(&self, decide: impl Fn(&Head) -> Option<Fault> + Send + Sync + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    /// The requests since this was last called; those to come are counted from 0 again.
    pub fn take_seen(&self) -> Vec<Head> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn pass(&self, client: &TcpStream, server: SocketAddr, rewrite: &Rewrite) -> io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut head = read_head(&mut reader)?;
        let fault = {
            let mut seen = self.seen.lock().unwrap();
            head.at = seen.len();
            seen.push(head.clone());
            (self.decide.lock().unwrap())(&head)
        };
        rewrite(&mut head);
        if head.header("expect").is_some() {
            (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        match fault {
            Some(Fault::Hang) => {
                reader.read_to_end(&mut Vec::new())?;
            }
            Some(Fault::Answer(status, header, text)) => {
                let length = text.len();
                let text = if head.method == "HEAD" { "" } else { text };
                let answer = format!(
                    "HTTP/1.1 {status} Fault\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{text}"
                );
                (&*client).write_all(answer.as_bytes())?;
            }
            Some(Fault::CutRequest(bytes)) => {
                let bytes = bytes.min(length.saturating_sub(1));
                forward(server, &head, &body[..bytes], true)?;
            }
            Some(Fault::LoseAnswer) => {
                forward(server, &head, &body, false)?;
            }
            Some(Fault::CutAnswer(bytes)) => {
                let answer = forward(server, &head, &body, false)?;
                let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                (&*client).write_all(&answer[..answer.len().min(end + bytes)])?;
            }
            Some(Fault::Delay(_)) | None => {
                if let Some(Fault::Delay(delay)) = fault {
                    thread::sleep(delay);
                }
                let answer = forward(server, &head, &body, false)?;
                (&*client).write_all(&answer)?;
            }
        }
        client.shutdown(Shutdown::Both)
    }
}

pub fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
        }
    }
    Ok(Head { at: 0, method, path, headers })
}

/// Sends a request, of which the body may be cut, and reads the answer, if there is to be one.
pub fn forward(server: SocketAddr, head: &Head, body: &[u8], cut: bool) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", head.method, head.path);
    for (name, value) in head.headers.iter().filter(|(name, _)| name != "expect") {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    stream.write_all(body)?;
    if cut {
        stream.shutdown(Shutdown::Both)?;
        return Ok(Vec::new());
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
