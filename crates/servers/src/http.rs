//! A small HTTP/1.1 server that fails at the request it is told to.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// As sent, without the query.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body was cut short.
    pub cut: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(parameter, _)| parameter == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What happens at a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not done, and answered with this.
    Answer(Response),
    /// It is not done, and the connection closed.
    Reset,
    /// Half of its body arrives; the connection is closed.
    HalfRequest,
    /// It is done, and the connection closed.
    LostAnswer,
    /// It is done, and the connection closed after half of the answer.
    HalfAnswer,
}

#[derive(Clone, Debug)]
pub struct Fault {
    /// Which request, counted from 0.
    pub at: usize,
    pub kind: FaultKind,
}

#[derive(Default)]
struct Plan {
    requests: Vec<Request>,
    fault: Option<Fault>,
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

pub struct Server {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (shared, ends) = (Arc::clone(&plan), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (plan, handler) = (Arc::clone(&shared), Arc::clone(&handler));
                thread::spawn(move || serve(&stream.unwrap(), &plan, &*handler));
            }
        });
        Self { address, plan, stopped, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the requests so far and counts from 0 again.
    pub fn reset(&self, fault: Option<Fault>) {
        *self.plan() = Plan { requests: Vec::new(), fault };
    }

    pub fn requests(&self) -> Vec<Request> {
        self.plan().requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Until the client leaves or a fault closes the connection.
fn serve(stream: &TcpStream, plan: &Mutex<Plan>, handler: &Handler) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some((mut request, length)) = read_head(&mut reader) {
        let fault = {
            let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let number = plan.requests.len();
            plan.requests.push(request.clone());
            plan.fault.clone().filter(|fault| fault.at == number).map(|fault| fault.kind)
        };
        let half = fault == Some(FaultKind::HalfRequest);
        if request.header("expect").is_some() {
            let _ = (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let wanted = if half { length / 2 } else { length };
        request.cut = half;
        request.body = vec![0; wanted];
        if reader.read_exact(&mut request.body).is_err() {
            return;
        }
        if half && length > 0 {
            handler(&request);
        }
        let done = match fault {
            Some(FaultKind::Reset | FaultKind::HalfRequest) => false,
            Some(FaultKind::Answer(response)) => answer(stream, &request, &response, false),
            Some(FaultKind::LostAnswer) => {
                handler(&request);
                false
            }
            Some(FaultKind::HalfAnswer) => {
                answer(stream, &request, &handler(&request), true);
                false
            }
            None => answer(stream, &request, &handler(&request), false),
        };
        if !done {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<(Request, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request =
        Request { method, path: path.to_owned(), query: form(query), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    assert!(request.header("transfer-encoding").is_none(), "a body without a length");
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    Some((request, length))
}

fn answer(mut stream: &TcpStream, request: &Request, response: &Response, half: bool) -> bool {
    let mut head = format!("HTTP/1.1 {} Status\r\n", response.status);
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if response.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    head.push_str("\r\n");
    let body = if request.method == "HEAD" { &[][..] } else { &response.body[..] };
    let bytes = [head.as_bytes(), body].concat();
    let sent = if half { bytes.len() - body.len().div_ceil(2).max(1) } else { bytes.len() };
    stream.write_all(&bytes[..sent]).is_ok()
}

/// The pairs of a query, or of a form.
pub fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
