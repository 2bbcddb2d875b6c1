//! What standard output can show.

use std::io::{IsTerminal, stdout};

/// How wide lines may be: as the terminal is, else 80 characters.
pub(crate) fn width() -> usize {
    const DEFAULT: usize = 80;
    match rustix::termios::tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => DEFAULT,
    }
}

/// Whether it is a terminal that shows more than ASCII, by the locale of the environment.
pub(crate) fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    stdout().is_terminal() && (locale.contains("utf-8") || locale.contains("utf8"))
}
