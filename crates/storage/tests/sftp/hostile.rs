//! Servers that do not keep to the protocol: errors, and neither panics nor waits without end.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvError, channel};
use std::time::Duration;

use lifeboat_storage::{
    Error, Result, SftpAddress, SftpOptions, SftpProblem, SftpStorage, Storage,
};

use crate::gate::{Gate, Request, framed, greeting, packet, string};
use crate::server::key;

const DIRECTORY: &[u8] = &[0, 0, 0, 4, 0, 0, 0x41, 0xc0];

fn open(options: &SftpOptions) -> Result<SftpStorage> {
    SftpStorage::open(&SftpAddress::parse("sftp://host/srv").unwrap(), options)
}

fn file(size: u64) -> Vec<u8> {
    let (mode, times) = ([0, 0, 0x81, 0x80], [0; 8]);
    [&[0, 0, 0, 0x0d], &size.to_be_bytes()[..], &mode, &times].concat()
}

#[test]
fn what_is_no_greeting() {
    let version_6 = framed(&[2, 0, 0, 0, 6]);
    let answers: [&[u8]; 9] = [
        b"Welcome to this server! Please behave.\r\n",
        &[0xff; 100],
        &[0; 100],
        &[0, 0, 0, 1, 2],
        &framed(b"\x65\0\0\0\0"),
        &version_6,
        &framed(&[2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]),
        // And those that end early.
        b"",
        &[0, 0, 0, 100, 2, 0, 0, 0, 3],
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let owned = answer.to_vec();
        let gate = Gate::new(move |_, mut requests, mut answers| {
            let _ = packet(&mut requests);
            let _ = answers.write_all(&owned);
        });
        let error = open(&gate.options()).unwrap_err();
        let expected = if number < 7 { SftpProblem::Protocol } else { SftpProblem::Lost };
        assert_eq!(SftpProblem::of(&error), Some(expected), "{answer:?}: {error:?}");
    }
}

#[test]
fn what_is_no_answer() {
    let answers: [fn(&Request<'_>) -> Vec<u8>; 9] = [
        |_| b"Broadcast message: going down".to_vec(),
        |_| vec![0xff; 100],
        |_| framed(&[]),
        |_| framed(&[101, 0, 0, 0x30, 0x39, 0, 0, 0, 0]),
        |request| request.answer(105, &[]),
        |request| request.answer(105, &[0xff; 8]),
        |request| request.answer(102, &string(b"a handle")),
        |request| request.answer(99, &[]),
        |request| request.status(0),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let gate = Gate::answering(&[], move |request| Some(answer(&request)));
        let error = open(&gate.options()).unwrap_err();
        assert_eq!(SftpProblem::of(&error), Some(SftpProblem::Protocol), "{number}: {error:?}");
    }
}

#[test]
fn limits_that_are_none() {
    for limits in [&b"short"[..], &[0xff; 7]] {
        let gate = Gate::answering(&["limits@openssh.com"], move |request| {
            Some(request.answer(201, limits))
        });
        let error = open(&gate.options()).unwrap_err();
        assert_eq!(SftpProblem::of(&error), Some(SftpProblem::Protocol), "{error:?}");
    }
}

#[test]
fn silence() {
    let short = Duration::from_millis(50);
    let gate = Gate::new(|_, mut requests, _answers| while packet(&mut requests).is_ok() {});
    let error = open(&SftpOptions { connect_timeout: short, ..gate.options() }).unwrap_err();
    assert_eq!(SftpProblem::of(&error), Some(SftpProblem::TimedOut), "{error:?}");

    let gate = Gate::new(|_, mut requests, mut answers| {
        let _ = packet(&mut requests);
        let _ = answers.write_all(&greeting(&[]));
        while packet(&mut requests).is_ok() {}
    });
    let error = open(&SftpOptions { answer_timeout: short, ..gate.options() }).unwrap_err();
    assert_eq!(SftpProblem::of(&error), Some(SftpProblem::TimedOut), "{error:?}");
}

/// It takes an object's first requests and then nothing more, so that all pipes are full.
#[test]
fn a_server_that_stops_taking() {
    let (done, until_done) = channel();
    let until_done = Mutex::new(until_done);
    let gate = Gate::new(move |_, mut requests, mut answers| {
        let _ = packet(&mut requests);
        let _ = answers.write_all(&greeting(&[]));
        while let Ok(packet) = packet(&mut requests) {
            let request = Request::of(&packet);
            let answer = match request.kind {
                3 => request.answer(102, &string(b"handle")),
                17 => request.answer(105, DIRECTORY),
                _ => break,
            };
            let _ = answers.write_all(&answer);
        }
        let _: std::result::Result<(), RecvError> = until_done.lock().unwrap().recv();
    });
    let options = SftpOptions { answer_timeout: Duration::from_secs(1), ..gate.options() };
    let storage = open(&options).unwrap();
    let mut upload = storage.begin().unwrap();
    let error: Error = upload.write_all(&vec![7; 8 << 20]).unwrap_err().downcast().unwrap();
    assert_eq!(SftpProblem::of(&error), Some(SftpProblem::TimedOut), "{error:?}");
    drop(done);
}

/// A directory of which the server says what it likes.
fn listing(names: &'static [(&str, &[u8])]) -> Gate {
    let told = AtomicBool::new(false);
    Gate::answering(&[], move |request| {
        Some(match request.kind {
            7 if request.rest.ends_with(b"gone") => request.status(2),
            7 | 17 => request.answer(105, DIRECTORY),
            11 => request.answer(102, &string(b"handle")),
            12 if !told.swap(true, Ordering::Relaxed) => {
                let mut answer = u32::try_from(names.len()).unwrap().to_be_bytes().to_vec();
                for (name, attributes) in names {
                    answer.extend([&*string(name.as_bytes()), &string(b""), attributes].concat());
                }
                request.answer(104, &answer)
            }
            _ => request.status(1),
        })
    })
}

#[test]
fn names_that_lead_elsewhere() {
    let gate = listing(&[
        (".", DIRECTORY),
        ("..", DIRECTORY),
        ("../outside", DIRECTORY),
        ("a/b", DIRECTORY),
        ("/etc", DIRECTORY),
        ("tmp", DIRECTORY),
        ("", DIRECTORY),
        ("gone", &[0; 4]),
        ("nothing", DIRECTORY),
    ]);
    let storage = open(&gate.options()).unwrap();
    let names = storage.list_names(None).unwrap();
    assert_eq!(names.iter().map(|child| child.key().as_str()).collect::<Vec<_>>(), ["nothing"]);
}

/// An object of 100 bytes, and what the server answers to a request to read.
fn object(answer: impl Fn(&Request<'_>) -> Vec<u8> + Send + Sync + 'static) -> Gate {
    Gate::answering(&[], move |request| {
        Some(match request.kind {
            17 => request.answer(105, DIRECTORY),
            7 | 8 => request.answer(105, &file(100)),
            3 => request.answer(102, &string(b"handle")),
            5 => answer(&request),
            _ => request.status(0),
        })
    })
}

fn read(gate: &Gate) -> std::result::Result<Vec<u8>, std::io::Error> {
    let mut found = Vec::new();
    open(&gate.options()).unwrap().read(&key("object"), None)?.read_to_end(&mut found)?;
    Ok(found)
}

#[test]
fn an_object_that_ends_early() {
    let answers: [fn(&Request<'_>) -> Vec<u8>; 4] = [
        |request| request.status(1),
        |request| request.status(4),
        |request| request.answer(103, &string(b"")),
        |request| request.answer(103, &string(&[1; 101])),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(read(&object(answer)).is_err(), "{number}");
    }
}

/// It may answer with fewer bytes than it was asked for.
#[test]
fn an_object_in_small_pieces() {
    let gate = object(|request| {
        let offset = request.rest[10..18].try_into().map(u64::from_be_bytes).unwrap();
        request.answer(103, &string(&[u8::try_from(offset).unwrap()]))
    });
    assert_eq!(read(&gate).unwrap(), (0..100).collect::<Vec<u8>>());
}

/// Neither in a listing nor by its name is it left out as if it were not there.
#[test]
fn a_server_that_does_not_tell_what_is_a_file() {
    let gate = Gate::answering(&[], |request| {
        Some(match request.kind {
            17 => request.answer(105, DIRECTORY),
            7 => request.answer(105, &[0; 4]),
            11 => request.answer(102, &string(b"handle")),
            12 => {
                let name = [&[0, 0, 0, 1], &*string(b"object"), &string(b""), &[0; 4]].concat();
                request.answer(104, &name)
            }
            _ => request.status(0),
        })
    });
    let storage = open(&gate.options()).unwrap();
    assert!(storage.stat(&key("object")).is_err());
    assert!(storage.list(None).is_err());
    assert!(storage.list_names(None).is_err());
}
