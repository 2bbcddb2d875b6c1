//! Work on consecutive windows of a database by several threads, taken in order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Windows that a worker may be ahead of the consumer.
const AHEAD: usize = 4;

/// Runs `work` for windows `0..windows` on `workers` threads and hands the results to `consume`
/// on this thread in the order of the windows. The first error ends the work.
///
/// Worker *k* takes windows *k*, *k* + workers, …, each through its own bounded channel, so order
/// and a bound on memory come without a queue to sort.
pub(crate) fn in_order<T: Send, E: Send>(
    windows: u32,
    workers: usize,
    work: impl Fn(u32) -> Result<T, E> + Sync,
    mut consume: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let workers = workers.clamp(1, windows.max(1) as usize);
    if workers == 1 {
        return (0..windows).try_for_each(|window| consume(work(window)?));
    }
    thread::scope(|scope| {
        let work = &work;
        let receivers: Vec<Receiver<Result<T, E>>> = (0..workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(AHEAD);
                scope.spawn(move || run(worker, workers, windows, work, &sender));
                receiver
            })
            .collect();
        for window in 0..windows as usize {
            // A worker ends early only by panicking; the scope then passes the panic on.
            let Ok(result) = receivers[window % workers].recv() else { break };
            consume(result?)?;
        }
        Ok(())
    })
}

fn run<T, E>(
    worker: usize,
    workers: usize,
    windows: u32,
    work: &impl Fn(u32) -> Result<T, E>,
    sender: &SyncSender<Result<T, E>>,
) {
    for window in (0..windows).skip(worker).step_by(workers) {
        if sender.send(work(window)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn keeps_the_order_and_stops_at_an_error() {
        for workers in [1, 2, 3, 7] {
            let mut seen = Vec::new();
            let result = in_order(
                100,
                workers,
                |window| if window == 60 { Err("sixty") } else { Ok(window) },
                |window| {
                    seen.push(window);
                    Ok(())
                },
            );
            assert_eq!(result, Err("sixty"));
            assert_eq!(seen, (0..60).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_of_the_consumer_ends_the_workers() {
        let result =
            in_order(1_000_000, 2, Ok, |window| if window < 5 { Ok(()) } else { Err(window) });
        assert_eq!(result, Err(5));
    }
}
