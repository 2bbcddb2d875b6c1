//! Sends a large content in pieces.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Attempt, Patience};

/// What each piece holds: so many bytes, or more where there would be more pieces than a store takes.
pub(crate) fn pieces(size: u64, piece_bytes: u64, most: u64) -> Vec<Range<u64>> {
    let piece_bytes = piece_bytes.max(size.div_ceil(most)).max(1);
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < size {
        let end = start.saturating_add(piece_bytes).min(size);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// Sends pieces, several at once, each until it comes through; what was answered to them, in their order. The first
/// that fails ends it, once those that are under way are through.
pub(crate) fn send_pieces<T: Send>(
    pieces: &[Range<u64>],
    at_once: NonZeroUsize,
    patience: &Patience,
    send: impl Fn(usize, &Range<u64>) -> Attempt<T> + Sync,
) -> Attempt<Vec<T>> {
    let next = AtomicUsize::new(0);
    let sent: Mutex<Attempt<Vec<(usize, T)>>> = Mutex::new(Ok(Vec::new()));
    let lock = || sent.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some((at, piece)) = take(&next, pieces) {
            if lock().is_err() {
                return;
            }
            let answer = patience.retry(|| send(at, piece));
            let mut sent = lock();
            match (&mut *sent, answer) {
                (Ok(sent), Ok(answer)) => sent.push((at, answer)),
                (Ok(_), Err(failure)) => *sent = Err(failure),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..at_once.get().min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    sent.sort_unstable_by_key(|(at, _)| *at);
    Ok(sent.into_iter().map(|(_, answer)| answer).collect())
}

fn take<'a>(next: &AtomicUsize, pieces: &'a [Range<u64>]) -> Option<(usize, &'a Range<u64>)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, pieces.get(at)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Failure};

    #[test]
    fn pieces_cover_a_content() {
        for (size, piece_bytes, count) in [
            (0, 16, 0),
            (1, 16, 1),
            (17, 16, 2),
            (32, 16, 2),
            (160_000, 16, 10_000),
            (160_001, 16, 9_412),
            (5 << 40, 16 << 20, 10_000),
        ] {
            let pieces = pieces(size, piece_bytes, 10_000);
            assert_eq!(pieces.len(), count, "{size}");
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.last().map_or(0, |last| last.end), size);
        }
    }

    #[test]
    fn answers_keep_the_order_and_failures_end_it() {
        let pieces = pieces(1000, 1, 10_000);
        for at_once in [1, 3, 2000] {
            let at_once = NonZeroUsize::new(at_once).unwrap();
            let sent = send_pieces(&pieces, at_once, &Patience::NONE, |_, piece| Ok(piece.clone()));
            assert_eq!(sent.unwrap(), pieces);
            let tried = AtomicUsize::new(0);
            let sent = send_pieces(&pieces, at_once, &Patience::NONE, |at, _| {
                tried.fetch_add(1, Ordering::Relaxed);
                if at == 5 { Err(Failure::new(Cause::Denied, "no")) } else { Ok(()) }
            });
            assert!(sent.is_err_and(|failure| failure.cause == Cause::Denied));
            assert!(at_once.get() > 1 || tried.into_inner() == 6);
        }
    }
}
