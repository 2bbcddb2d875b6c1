//! Ends long work when the user or the system asks for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lifeboat::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};

/// Set by the first SIGINT or SIGTERM; the second one ends the program as if nobody had listened.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal sets what makes the second one end the program.
        register_conditional_default(signal, stop.clone())
            .and_then(|_| register(signal, stop.clone()))
            .map_err(failed)?;
    }
    Ok(stop)
}

fn failed(source: io::Error) -> Error {
    Error::File { operation: "listen to signals for", path: "lifeboat".into(), source }
}
