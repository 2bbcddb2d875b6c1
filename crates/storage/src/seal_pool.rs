//! The threads of a [`crate::SealWriter`]: workers compress frames, one thread encrypts them in
//! order, and one writes what comes of it (and hashes it, in a repository).
//!
//! A frame is a pair of buffers that goes round: the cutter fills `plain`, a worker compresses it to
//! `packed`, the writer thread writes that and gives the pair back. There are `workers + 2` pairs,
//! so memory is bounded and whoever is ahead waits for a pair. It cannot wait for ever: pairs are
//! handed to workers in order, so the one the writer thread waits for is always in the hands of a
//! worker or on its way.
//!
//! Who fails ends, and dropping its ends of the channels ends the others: the cutter finds the
//! return of pairs closed, and takes the error from the writer thread; workers find nobody to take
//! their results. A panic of a worker is sent on as an error, or the writer thread would wait for
//! its frame.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use zstd::bulk::Compressor;

use crate::SealOptions;
use crate::seal::{AgeSink, Sealed};
use crate::write_behind::WriteBehind;

/// A pair of buffers.
#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

struct Job {
    index: u64,
    buffers: Buffers,
}

enum Message {
    Packed(Job),
    Failed(io::Error),
    /// All frames were submitted, this many.
    End(u64),
}

pub(crate) struct Pool<W> {
    options: SealOptions,
    jobs: Option<Sender<Job>>,
    waiting: Arc<Mutex<Receiver<Job>>>,
    messages: Option<Sender<Message>>,
    returned: Option<Receiver<Buffers>>,
    workers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<io::Result<Sealed<W>>>>,
    /// Pairs that exist.
    pairs: usize,
    submitted: u64,
    /// The `packed` half of the pair whose `plain` half is being filled.
    spare: Vec<u8>,
}

impl<W: Write + Send + 'static> Pool<W> {
    pub(crate) fn start(sink: AgeSink<W>, options: &SealOptions) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let (messages, inbox) = channel();
        let (give_back, returned) = channel();
        let sink = sink.on_a_thread()?;
        let write = move || write_in_order(sink, &inbox, &give_back);
        let writer = thread::Builder::new().name("seal-write".to_owned()).spawn(write)?;
        Ok(Self {
            options: options.clone(),
            jobs: Some(jobs),
            waiting: Arc::new(Mutex::new(waiting)),
            messages: Some(messages),
            returned: Some(returned),
            workers: Vec::new(),
            writer: Some(writer),
            pairs: 1,
            submitted: 0,
            spare: Vec::new(),
        })
    }

    /// Hands on a full frame; returns an empty one, waiting until there is one.
    pub(crate) fn submit(&mut self, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        self.send(plain)?;
        let Buffers { mut plain, packed } = self.next_pair()?;
        plain.clear();
        plain.reserve_exact(self.options.frame_bytes);
        self.spare = packed;
        Ok(plain)
    }

    /// Hands on the last frame, waits for all to be written and ends the age file.
    pub(crate) fn finish(mut self, last: Vec<u8>) -> io::Result<Sealed<W>> {
        self.send(last)?;
        if let Some(messages) = &self.messages {
            // Refused only by a writer thread that has failed, which `stop` hears of.
            let _ = messages.send(Message::End(self.submitted));
        }
        self.stop()
    }

    fn send(&mut self, plain: Vec<u8>) -> io::Result<()> {
        if self.workers.len() < self.options.workers {
            let worker = self.start_worker()?;
            self.workers.push(worker);
        }
        let buffers = Buffers { plain, packed: std::mem::take(&mut self.spare) };
        let job = Job { index: self.submitted, buffers };
        self.submitted += 1;
        match self.jobs.as_ref().map(|jobs| jobs.send(job)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failure()),
        }
    }

    fn next_pair(&mut self) -> io::Result<Buffers> {
        let returned = self.returned.as_ref().map(|returned| {
            if self.pairs < self.options.workers + 2 {
                // Reuse what is free before making another.
                returned.try_recv().ok()
            } else {
                returned.recv().ok()
            }
        });
        match returned.flatten() {
            Some(pair) => Ok(pair),
            None if self.pairs < self.options.workers + 2 => {
                self.pairs += 1;
                Ok(Buffers::default())
            }
            None => Err(self.failure()),
        }
    }

    fn start_worker(&self) -> io::Result<JoinHandle<()>> {
        let jobs = Arc::clone(&self.waiting);
        let messages = self.messages.clone();
        let level = self.options.level;
        let work = move || {
            if let Some(messages) = messages {
                compress_jobs(level, &jobs, &messages);
            }
        };
        thread::Builder::new().name("seal-compress".to_owned()).spawn(work)
    }

    /// Why a channel to the threads was found closed.
    fn failure(&mut self) -> io::Error {
        self.stop().err().unwrap_or_else(|| io::Error::other("the sealing threads ended early"))
    }

    /// Closes the channels, waits for the threads; the result is the writer thread's.
    fn stop(&mut self) -> io::Result<Sealed<W>> {
        self.jobs = None;
        self.messages = None;
        self.returned = None;
        for worker in self.workers.drain(..) {
            // A panic was caught inside and sent on.
            let _ = worker.join();
        }
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the sealing thread panicked")),
            None => Err(io::Error::other("sealing failed before")),
        }
    }
}

impl<W> Drop for Pool<W> {
    fn drop(&mut self) {
        self.jobs = None;
        self.messages = None;
        self.returned = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Compresses frames until there are no more to come or nobody takes them.
fn compress_jobs(level: i32, jobs: &Mutex<Receiver<Job>>, messages: &Sender<Message>) {
    let mut compressor = None;
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = next else { return };
        let packed =
            catch_unwind(AssertUnwindSafe(|| compress(&mut compressor, level, &mut job.buffers)));
        let message = match packed {
            Ok(Ok(())) => Message::Packed(job),
            Ok(Err(error)) => Message::Failed(error),
            Err(_) => Message::Failed(io::Error::other("a compressing thread panicked")),
        };
        if messages.send(message).is_err() {
            return;
        }
    }
}

fn compress(
    compressor: &mut Option<Compressor<'static>>,
    level: i32,
    buffers: &mut Buffers,
) -> io::Result<()> {
    let compressor = match compressor {
        Some(compressor) => compressor,
        None => compressor.insert(Compressor::new(level)?),
    };
    buffers.packed.clear();
    buffers.packed.reserve_exact(zstd::zstd_safe::compress_bound(buffers.plain.len()));
    compressor.compress_to_buffer(&buffers.plain, &mut buffers.packed)?;
    Ok(())
}

/// Encrypts frames in the order they were submitted, whatever the order they come in.
fn write_in_order<W: Write + Send + 'static>(
    sink: AgeSink<WriteBehind<W>>,
    inbox: &Receiver<Message>,
    give_back: &Sender<Buffers>,
) -> io::Result<Sealed<W>> {
    let mut writer = sink.start()?;
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut end = None;
    while end != Some(next) {
        match inbox.recv() {
            Ok(Message::Packed(job)) => drop(early.insert(job.index, job.buffers)),
            Ok(Message::Failed(error)) => return Err(error),
            Ok(Message::End(frames)) => end = Some(frames),
            Err(_) => return Err(io::Error::other("dropped before it was finished")),
        }
        while let Some(buffers) = early.remove(&next) {
            writer.write_all(&buffers.packed)?;
            // Refused only when the cutter needs no more of them.
            let _ = give_back.send(buffers);
            next += 1;
        }
    }
    let Sealed { out, compressed_bytes, sealed_bytes } = writer.finish()?;
    Ok(Sealed { out: out.finish()?, compressed_bytes, sealed_bytes })
}
