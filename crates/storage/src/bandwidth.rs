//! How much may come and go in a second.

use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Content;

/// The rate that holds now, in bytes a second; `None`: as much as there is.
type Rate = dyn Fn() -> Option<NonZeroU64> + Send + Sync;

/// As much is read at once where there is a limit, so that a pause is short.
const PIECE: usize = 32 * 1024;
/// The longest pause before the rate is asked for again.
const PAUSE: Duration = Duration::from_millis(250);

/// A limit on what is sent and on what is received, each by itself. Clones share it: it holds for all that
/// use them together.
#[derive(Clone, Default)]
pub struct Bandwidth {
    up: Option<Arc<Valve>>,
    down: Option<Arc<Valve>>,
}

impl fmt::Debug for Bandwidth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |valve: &Option<Arc<Valve>>| valve.as_ref().and_then(|valve| (valve.rate)());
        let (up, down) = (rate(&self.up), rate(&self.down));
        formatter.debug_struct("Bandwidth").field("up", &up).field("down", &down).finish()
    }
}

impl Bandwidth {
    /// Limits what is sent to a rate, which is asked for again and again.
    #[must_use]
    pub fn with_upload(
        self,
        rate: impl Fn() -> Option<NonZeroU64> + Send + Sync + 'static,
    ) -> Self {
        Self { up: Some(Arc::new(Valve::new(rate))), ..self }
    }

    /// Limits what is received to a rate, which is asked for again and again.
    #[must_use]
    pub fn with_download(
        self,
        rate: impl Fn() -> Option<NonZeroU64> + Send + Sync + 'static,
    ) -> Self {
        Self { down: Some(Arc::new(Valve::new(rate))), ..self }
    }

    /// Waits until so many bytes may have been sent.
    pub(crate) fn upload(&self, bytes: usize) {
        self.up.iter().for_each(|valve| valve.pass(bytes));
    }

    /// Waits until so many bytes may have been received.
    pub(crate) fn download(&self, bytes: usize) {
        self.down.iter().for_each(|valve| valve.pass(bytes));
    }
}

struct Valve {
    rate: Box<Rate>,
    /// When the bytes that have passed are paid for.
    paid: Mutex<Instant>,
}

impl Valve {
    fn new(rate: impl Fn() -> Option<NonZeroU64> + Send + Sync + 'static) -> Self {
        Self { rate: Box::new(rate), paid: Mutex::new(Instant::now()) }
    }

    /// Lets bytes pass once those before are paid for: they are paid for by waiting before the next ones.
    fn pass(&self, bytes: usize) {
        loop {
            let Some(rate) = (self.rate)() else { return };
            let now = Instant::now();
            let wait = {
                let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
                if *paid <= now {
                    *paid = now + price(bytes, rate);
                    return;
                }
                *paid - now
            };
            thread::sleep(wait.min(PAUSE));
        }
    }
}

fn price(bytes: usize, rate: NonZeroU64) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A content that is read no faster than may be sent.
pub(crate) struct LimitedContent<'a> {
    content: &'a dyn Content,
    bandwidth: &'a Bandwidth,
}

impl<'a> LimitedContent<'a> {
    pub(crate) fn new(content: &'a dyn Content, bandwidth: &'a Bandwidth) -> Self {
        Self { content, bandwidth }
    }
}

impl Content for LimitedContent<'_> {
    fn size(&self) -> u64 {
        self.content.size()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        let reader = self.content.read(range)?;
        if self.bandwidth.up.is_none() {
            return Ok(reader);
        }
        Ok(Box::new(LimitedReader { reader, bandwidth: self.bandwidth }))
    }

    fn examine(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        self.content.examine(range)
    }
}

struct LimitedReader<'a, R> {
    reader: R,
    bandwidth: &'a Bandwidth,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = buf.len().min(PIECE);
        let read = self.reader.read(&mut buf[..wanted])?;
        self.bandwidth.upload(read);
        Ok(read)
    }
}
