//! The threads of an [`crate::Unsealed`]: one decrypts and cuts frames, workers decompress them, and
//! the reader gets them in order.
//!
//! A frame is a pair of buffers that goes round, as in `seal_pool`: the cutter fills `packed`, a
//! worker decompresses it to `plain`, the reader uses that and gives the pair back. There are
//! `workers + 2` pairs. Frames are handed out in order, so the one that the reader waits for is always
//! in the hands of a worker or on its way. Errors travel as frames do, and come after what was read
//! before them.
//!
//! What is not cut into frames of a moderate size, which foreign writers may do, is decompressed by
//! the cutter itself.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use zstd::bulk::Decompressor;

use crate::Error;
use crate::frames::{Frames, Next};
use crate::unseal::{NO_FRAME, zstd_reader};

/// Plain bytes that the cutter itself decompresses at a time.
const STREAMED_BYTES: usize = 1 << 20;

/// A pair of buffers.
#[derive(Default)]
struct Buffers {
    packed: Vec<u8>,
    plain: Vec<u8>,
}

struct Job {
    index: u64,
    plain_bytes: usize,
    buffers: Buffers,
}

enum Message {
    Done(u64, io::Result<Buffers>),
    /// This was the number of frames.
    End(u64),
}

pub(crate) struct Pool {
    messages: Option<Receiver<Message>>,
    give_back: Option<Sender<Buffers>>,
    cutter: Option<JoinHandle<()>>,
    early: BTreeMap<u64, io::Result<Buffers>>,
    next: u64,
    end: Option<u64>,
    current: Buffers,
    position: usize,
    failed: bool,
}

impl Pool {
    /// Begins to read; `workers` decompress.
    pub(crate) fn start(reader: impl Read + Send + 'static, workers: usize) -> io::Result<Self> {
        let (sender, messages) = channel();
        let (give_back, returned) = channel();
        let cutter = Cutter { messages: sender, returned, pairs: 0, workers, index: 0 };
        let cut = move || cutter.run(reader);
        let cutter = thread::Builder::new().name("unseal-read".to_owned()).spawn(cut)?;
        Ok(Self {
            messages: Some(messages),
            give_back: Some(give_back),
            cutter: Some(cutter),
            early: BTreeMap::new(),
            next: 0,
            end: None,
            current: Buffers::default(),
            position: 0,
            failed: false,
        })
    }

    /// Plain bytes not read yet; none at the end.
    pub(crate) fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.current.plain.len() && self.end != Some(self.next) {
            self.advance()?;
        }
        Ok(&self.current.plain[self.position..])
    }

    pub(crate) fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount).min(self.current.plain.len());
    }

    /// Takes the next frame, or hears of the end.
    fn advance(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("read on after an error"));
        }
        if let Some(done) = self.early.remove(&self.next) {
            self.next += 1;
            self.position = 0;
            match done {
                Ok(buffers) => {
                    let spent = std::mem::replace(&mut self.current, buffers);
                    // Refused only when the cutter needs no more of them.
                    let _ = self.give_back.as_ref().map(|give_back| give_back.send(spent));
                }
                Err(error) => {
                    self.current.plain.clear();
                    self.failed = true;
                    return Err(error);
                }
            }
            return Ok(());
        }
        match self.messages.as_ref().map(Receiver::recv) {
            Some(Ok(Message::Done(index, done))) => drop(self.early.insert(index, done)),
            Some(Ok(Message::End(frames))) => self.end = Some(frames),
            _ => {
                self.failed = true;
                return Err(io::Error::other("the reading threads ended early"));
            }
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Without these the cutter ends at its next frame, and the workers after it.
        self.messages = None;
        self.give_back = None;
        if let Some(cutter) = self.cutter.take() {
            // Nobody is left to hear of a panic.
            let _ = cutter.join();
        }
    }
}

/// Who has the reader below.
struct Cutter {
    messages: Sender<Message>,
    returned: Receiver<Buffers>,
    /// Pairs that exist.
    pairs: usize,
    workers: usize,
    /// The next frame.
    index: u64,
}

/// Nobody reads on.
struct Unwanted;

impl Cutter {
    fn run(mut self, reader: impl Read + Send + 'static) {
        let (jobs, waiting) = channel();
        let waiting = Mutex::new(waiting);
        thread::scope(|scope| {
            // Moved in, so that it is gone when the scope waits for the workers.
            let jobs = jobs;
            let mut frames = Frames::new(reader);
            let mut working = 0;
            while let Ok(mut buffers) = self.next_pair() {
                match frames.next(&mut buffers.packed) {
                    Ok(Next::Frame { plain_bytes }) => {
                        if working < self.workers {
                            let (waiting, messages) = (&waiting, self.messages.clone());
                            let work = move || decompress_jobs(waiting, &messages);
                            let worker = thread::Builder::new().name("unseal-zstd".to_owned());
                            match worker.spawn_scoped(scope, work) {
                                Ok(_) => working += 1,
                                Err(error) if working == 0 => {
                                    let _ = self.done(Err(error));
                                    return;
                                }
                                // Those that are there do it.
                                Err(_) => self.workers = working,
                            }
                        }
                        let job = Job { index: self.index, plain_bytes, buffers };
                        self.index += 1;
                        if jobs.send(job).is_err() {
                            return;
                        }
                    }
                    Ok(Next::Other) => {
                        let read = Cursor::new(buffers.packed).chain(frames.into_inner());
                        let _ = self.stream(read);
                        return;
                    }
                    Ok(Next::End) => {
                        // Refused only by a reader that is gone.
                        let _ = self.messages.send(Message::End(self.index));
                        return;
                    }
                    Err(error) => {
                        let _ = self.done(Err(error));
                        return;
                    }
                }
            }
        });
    }

    fn next_pair(&mut self) -> Result<Buffers, Unwanted> {
        if self.pairs < self.workers + 2 {
            // Reuse what is free before making another.
            return Ok(self.returned.try_recv().unwrap_or_else(|_| {
                self.pairs += 1;
                Buffers::default()
            }));
        }
        self.returned.recv().map_err(|_| Unwanted)
    }

    /// Decompresses all that is left.
    fn stream(&mut self, rest: impl Read + Send + 'static) -> Result<(), Unwanted> {
        let mut rest = match zstd_reader(io::BufReader::with_capacity(1 << 18, rest)) {
            Ok(rest) => rest,
            Err(error) => return self.done(Err(error.into())),
        };
        loop {
            let mut buffers = self.next_pair()?;
            buffers.plain.clear();
            match (&mut rest).take(STREAMED_BYTES as u64).read_to_end(&mut buffers.plain) {
                Ok(0) => {
                    return self.messages.send(Message::End(self.index)).map_err(|_| Unwanted);
                }
                Ok(_) => self.done(Ok(buffers))?,
                // What was read before the error comes before it.
                Err(error) => {
                    self.done(Ok(buffers))?;
                    return self.done(Err(error));
                }
            }
        }
    }

    fn done(&mut self, done: io::Result<Buffers>) -> Result<(), Unwanted> {
        let message = Message::Done(self.index, done);
        self.index += 1;
        self.messages.send(message).map_err(|_| Unwanted)
    }
}

/// Decompresses frames until there are no more to come or nobody takes them.
fn decompress_jobs(jobs: &Mutex<Receiver<Job>>, messages: &Sender<Message>) {
    let mut decompressor = None;
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let index = job.index;
        let done = catch_unwind(AssertUnwindSafe(|| decompress(&mut decompressor, job)));
        let done =
            done.unwrap_or_else(|_| Err(io::Error::other("a decompressing thread panicked")));
        if messages.send(Message::Done(index, done)).is_err() {
            return;
        }
    }
}

fn decompress(
    decompressor: &mut Option<Decompressor<'static>>,
    Job { plain_bytes, mut buffers, .. }: Job,
) -> io::Result<Buffers> {
    let decompressor = match decompressor {
        Some(decompressor) => decompressor,
        None => decompressor.insert(Decompressor::new()?),
    };
    buffers.plain.clear();
    buffers.plain.reserve_exact(plain_bytes);
    decompressor
        .decompress_to_buffer(&buffers.packed, &mut buffers.plain)
        .map_err(|error| Error::corrupt(NO_FRAME, error))?;
    Ok(buffers)
}
