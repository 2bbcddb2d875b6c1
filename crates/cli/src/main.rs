//! The `lifeboat` command.

mod arguments;
mod command;
mod exit;
mod hint;
mod output;
mod progress;
mod prompt;
mod stop;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::exit::Exit;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors to clap either; the rest is usage.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.code() } else { ExitCode::SUCCESS };
        }
    };
    let json = arguments.global.json;
    match command::run(arguments) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            let exit = exit::of_error(&failure);
            // A reader that went away (`lifeboat backups | head`) is no failure of ours.
            if output::is_closed_pipe(&failure) {
                return ExitCode::SUCCESS;
            }
            output::error(&failure, exit, json);
            exit.code()
        }
    }
}
