//! A server of our own, for what nobody has a crate for: a function answers requests.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::proxy::{Head, read_head};

/// An answer, as it is sent.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut answer = format!("{text}\r\n").into_bytes();
    answer.extend(body);
    answer
}

/// Answers requests with a function, one on each connection, until the process ends.
pub fn serve(
    handle: impl Fn(&Head, &[u8]) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let handle = handle.clone();
            // What a client breaks off ends its thread.
            thread::spawn(move || drop(serve_one(&client.unwrap(), &handle)));
        }
    });
    address
}

fn serve_one(mut client: &TcpStream, handle: &impl Fn(&Head, &[u8]) -> Vec<u8>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let head = read_head(&mut reader)?;
    if head.header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    client.write_all(&handle(&head, &body))?;
    client.shutdown(Shutdown::Both)
}

impl Head {
    /// The path without the query, decoded.
    pub fn name(&self) -> String {
        decode(self.path.split('?').next().unwrap())
    }

    /// The fields of the query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let fields = query.split('&').filter(|field| !field.is_empty());
        fields
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(it, _)| it == name).map(|(_, value)| value)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
