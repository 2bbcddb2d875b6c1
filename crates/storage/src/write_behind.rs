//! Writing behind on a thread.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes in a block, and blocks that wait to be written.
const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS: usize = 4;

/// Hands what is written to it to another writer, on a thread of its own, in blocks that are
/// recycled.
///
/// An error of the writer below comes back from one of the next writes or from
/// [`WriteBehind::finish`]. Dropped before, it drops what was not written yet, waits for the thread
/// and drops the writer below.
pub(crate) struct WriteBehind<W> {
    current: Vec<u8>,
    blocks: Option<SyncSender<Vec<u8>>>,
    recycled: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    pub(crate) fn start(out: W) -> io::Result<Self> {
        let (blocks, waiting) = sync_channel(BLOCKS);
        let (recycle, recycled) = sync_channel(BLOCKS + 2);
        let write = move || write_blocks(out, &waiting, &recycle);
        let thread = thread::Builder::new().name("write-behind".to_owned()).spawn(write)?;
        Ok(Self { current: Vec::new(), blocks: Some(blocks), recycled, thread: Some(thread) })
    }

    /// Waits until everything is written, and flushes.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.send()?;
        let mut out = self.stop()?;
        out.flush()?;
        Ok(out)
    }

    /// Hands on the current block.
    fn send(&mut self) -> io::Result<()> {
        let empty = self.recycled.try_recv().unwrap_or_default();
        let block = std::mem::replace(&mut self.current, empty);
        self.current.clear();
        self.current.reserve_exact(BLOCK_BYTES);
        match self.blocks.as_ref().map(|blocks| blocks.send(block)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.stop().err().unwrap_or_else(failed_before)),
        }
    }

    fn stop(&mut self) -> io::Result<W> {
        self.blocks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread panicked")),
            None => Err(failed_before()),
        }
    }
}

fn failed_before() -> io::Error {
    io::Error::other("writing failed before")
}

fn write_blocks<W: Write>(
    mut out: W,
    blocks: &Receiver<Vec<u8>>,
    recycle: &SyncSender<Vec<u8>>,
) -> io::Result<W> {
    while let Ok(block) = blocks.recv() {
        out.write_all(&block)?;
        // Refused only when nobody needs more of them.
        let _ = recycle.try_send(block);
    }
    Ok(out)
}

impl<W: Write + Send + 'static> Write for WriteBehind<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.current.len() >= BLOCK_BYTES {
            self.send()?;
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.current.len());
        self.current.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Does nothing: [`WriteBehind::finish`] flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> Drop for WriteBehind<W> {
    fn drop(&mut self) {
        self.blocks = None;
        if let Some(thread) = self.thread.take() {
            // Nobody is left to hear of its errors.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::{BLOCK_BYTES, WriteBehind};

    #[test]
    fn everything_arrives_in_order() {
        for bytes in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 20 * BLOCK_BYTES + 7] {
            let plain: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut out = WriteBehind::start(Vec::new()).unwrap();
            plain.chunks(70_000).try_for_each(|piece| out.write_all(piece)).unwrap();
            assert!(out.finish().unwrap() == plain, "{bytes}");
        }
    }

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_error_comes_back_and_stays() {
        for room in [0, BLOCK_BYTES, 3 * BLOCK_BYTES] {
            let mut out = WriteBehind::start(Full(room)).unwrap();
            let written = (0..100).try_for_each(|_| out.write_all(&[0; 100_000]));
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert!(out.finish().is_err());
        }
        let mut out = WriteBehind::start(Full(10)).unwrap();
        out.write_all(&[0; 11]).unwrap();
        assert_eq!(out.finish().err().unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
