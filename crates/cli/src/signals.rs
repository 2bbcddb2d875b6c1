//! What a signal asks for, done by a thread: a handler itself may do almost nothing.

use std::io::Read;
use std::os::unix::net::UnixStream;

use lifeboat::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};

/// Calls `act` at the first SIGINT or SIGTERM. The second one ends the program as if nobody had
/// listened.
pub(crate) fn on_signal(act: impl FnOnce(i32) + Send + 'static) -> Result<(), Error> {
    let failed = |source| Error::File {
        operation: "listen to signals for",
        path: "lifeboat".into(),
        source,
    };
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
    let act = std::sync::Arc::new(std::sync::Mutex::new(Some(act)));
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
        std::thread::Builder::new().name("signal".to_owned()).spawn(wait).map_err(failed)?;
    }
    Ok(())
}
