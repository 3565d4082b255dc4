//! The binary `gracewatch`: parses the command line, runs the command, turns a failure into one sentence.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use gracewatch::cli::Cli;
use gracewatch::failure;

fn main() -> ExitCode {
    let ended = Cli::of_process()
        .map_err(anyhow::Error::from)
        .and_then(Cli::execute);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where even standard error is gone.
            writeln!(std::io::stderr(), "gracewatch: {error:#}").ok();
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
