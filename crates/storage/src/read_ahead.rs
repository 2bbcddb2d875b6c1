//! Reading ahead on a thread.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Reads from another reader ahead of its consumer, on a thread of its own, in blocks that are
/// recycled. What fits into the first block is read without a thread.
///
/// After an error, and at the end, the thread is gone; dropping this waits for it, which is until
/// a read in progress returns.
pub(crate) struct ReadAhead {
    current: Vec<u8>,
    position: usize,
    state: State,
}

enum State {
    Running(Running),
    /// An error came before the end of the first block.
    Failing(io::Error),
    Ended,
    Failed,
}

struct Running {
    blocks: Receiver<io::Result<Vec<u8>>>,
    recycled: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl ReadAhead {
    /// Begins to read: blocks of `block_bytes`, at most `blocks` of them ahead, and two more in the
    /// hands of the two threads.
    pub(crate) fn new(
        mut reader: impl Read + Send + 'static,
        block_bytes: usize,
        blocks: usize,
    ) -> io::Result<Self> {
        let mut first = Vec::new();
        let state = match fill(&mut reader, &mut first, block_bytes) {
            Ok(()) if first.len() < block_bytes => State::Ended,
            Ok(()) => State::Running(Running::start(reader, block_bytes, blocks)?),
            Err(error) => State::Failing(error),
        };
        Ok(Self { current: first, position: 0, state })
    }

    /// Gets the next block, which is empty at the end.
    fn advance(&mut self) -> io::Result<()> {
        let spent = std::mem::take(&mut self.current);
        self.position = 0;
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Ended => self.state = State::Ended,
            State::Failing(error) => return Err(error),
            State::Failed => return Err(io::Error::other("read on after an error")),
            State::Running(running) => {
                // Refused only when the thread has ended and needs no more of them.
                let _ = running.recycled.try_send(spent);
                match running.blocks.recv() {
                    Ok(block) => {
                        self.current = block?;
                        self.state = State::Running(running);
                    }
                    Err(_) => {
                        running.join()?;
                        self.state = State::Ended;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Running {
    fn start(
        mut reader: impl Read + Send + 'static,
        block_bytes: usize,
        blocks: usize,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<io::Result<Vec<u8>>>(blocks);
        let (recycled, spent) = sync_channel::<Vec<u8>>(blocks + 2);
        let read = move || {
            loop {
                let mut block = spent.try_recv().unwrap_or_default();
                let filled = fill(&mut reader, &mut block, block_bytes);
                let last = filled.is_err() || block.len() < block_bytes;
                // What was read before an error is delivered before it.
                if !block.is_empty() && sender.send(Ok(block)).is_err() {
                    return;
                }
                if let Err(error) = filled {
                    let _ = sender.send(Err(error));
                }
                if last {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("read-ahead".to_owned()).spawn(read)?;
        Ok(Self { blocks: receiver, recycled, thread })
    }

    /// Without its channel the thread ends at its next block.
    fn join(self) -> io::Result<()> {
        drop(self.blocks);
        self.thread.join().map_err(|_| io::Error::other("the reading thread panicked"))
    }
}

/// Fills `block` with `block_bytes`, fewer at the end or before an error.
fn fill(reader: &mut impl Read, block: &mut Vec<u8>, block_bytes: usize) -> io::Result<()> {
    // A new block comes zeroed from the system, a recycled one has its length already.
    if block.len() != block_bytes {
        *block = vec![0; block_bytes];
    }
    let mut filled = 0;
    let result = loop {
        if filled == block_bytes {
            break Ok(());
        }
        match reader.read(&mut block[filled..]) {
            Ok(0) => break Ok(()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    block.truncate(filled);
    result
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            self.advance()?;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount).min(self.current.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Ended) {
            // Nobody is left to hear of a panic.
            let _ = running.join();
        }
    }
}
