//! Ends long work when the user or the system asks for it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lifeboat::{Context, Error};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};

/// Set by the first SIGINT or SIGTERM; the second one ends the program as if nobody had listened.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    call_on_signal(move |_| set.store(true, Ordering::Relaxed))?;
    Ok(stop)
}

/// Calls `act` at the first SIGINT or SIGTERM. The second one ends the program as if nobody had
/// listened.
pub(crate) fn call_on_signal(act: impl FnOnce(i32) + Send + 'static) -> Result<(), Error> {
    let listen = || {
        let mut ears = Vec::new();
        for signal in [SIGINT, SIGTERM] {
            let (ear, mouth) = UnixStream::pair()?;
            pipe::register(signal, mouth)?;
            ears.push((signal, ear));
        }
        Ok(ears)
    };
    let ears = listen().map_err(failed)?;
    let act = Arc::new(Mutex::new(Some(act)));
    for (signal, mut ear) in ears {
        let act = act.clone();
        let wait = move || {
            while ear.read_exact(&mut [0]).is_ok() {
                match act.lock().ok().and_then(|mut act| act.take()) {
                    Some(act) => act(signal),
                    None => drop(emulate_default_handler(signal)),
                }
            }
        };
        thread::Builder::new().name("signal".to_owned()).spawn(wait).map_err(failed)?;
    }
    Ok(())
}

/// For what holds locks of others' kind: the first SIGINT or SIGTERM gives them back, and then ends the program.
pub(crate) fn release_locks(context: &Context) -> Result<(), Error> {
    ignore_hang_up()?;
    let locks = context.held_locks().clone();
    call_on_signal(move |signal| {
        locks.release();
        drop(emulate_default_handler(signal));
    })
}

/// Lets the terminal go, and survives the signal by which restic asks whether the holder of a lock is alive.
pub(crate) fn ignore_hang_up() -> Result<(), Error> {
    let noticed = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, noticed).map_err(failed)?;
    Ok(())
}

fn failed(source: io::Error) -> Error {
    Error::File { operation: "listen to signals for", path: "lifeboat".into(), source }
}
